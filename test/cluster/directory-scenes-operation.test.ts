/** The scenes of the operator, of the fan-out and of memory on three nodes: see directory-scenes.ts. */
import { testScenes } from './directory-scenes.js';

testScenes([
  { file: 'operator', hours: true },
  { file: 'fanout', hours: true },
  { file: 'memory' },
]);
