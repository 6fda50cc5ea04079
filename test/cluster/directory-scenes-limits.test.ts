/** The scenes of abuse and of peer lists on three nodes: see directory-scenes.ts. */
import { testScenes } from './directory-scenes.js';

testScenes([{ file: 'abuse', hours: true }, { file: 'lists' }]);
