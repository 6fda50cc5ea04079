/** The scenes of messages, and of connections that come and go, on three nodes: see directory-scenes.ts. */
import { testScenes } from './directory-scenes.js';

testScenes([{ file: 'relay' }, { file: 'life', hours: true }]);
