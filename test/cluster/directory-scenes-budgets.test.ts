/** The scenes of budgets on three nodes: see directory-scenes.ts. */
import { testScenes } from './directory-scenes.js';

testScenes([{ file: 'budgets', hours: true }]);
