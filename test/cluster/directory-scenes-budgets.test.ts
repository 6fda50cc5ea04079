/** The scenes of budgets, and of thousands of peers, on three nodes: see directory-scenes.ts. */
import { testScenes } from './directory-scenes.js';

testScenes([{ file: 'budgets', hours: true }, { file: 'mass' }]);
