/**
 * A program that plays one scene in a folder and is killed at one write point: started by `kill.test.ts`
 * with the folder, the number of the scene, the number of the point and the kind of the kill. It prints
 * what it knows, one line of JSON after each change.
 */
import { writeSync } from 'node:fs';
import { nodeFiles } from '../../../src/wallet/store/files.js';
import { FaultingFiles } from './faulting-files.js';
import { knownBefore, Progress, SCENES } from './scenes.js';

const [base = '', number, at, kind] = process.argv.slice(2);
const scene = SCENES[Number(number)];
if (scene === undefined) throw new Error('no such scene');
const fault = {
  at: Number(at),
  kind: kind === 'half-way' ? 'killed half-way' : 'killed before',
} as const;
const files = new FaultingFiles(nodeFiles, fault, () => {
  process.kill(process.pid, 'SIGKILL');
  // The signal arrives now; nothing below runs.
  for (;;);
});
const progress = new Progress(knownBefore(scene), (known) => {
  writeSync(1, `${JSON.stringify(known)}\n`);
});
await scene.run({ files, base }, progress);
