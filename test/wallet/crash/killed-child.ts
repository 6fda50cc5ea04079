/**
 * A program that plays one life in a folder and is killed at one effect: started by `kill.test.ts` with
 * the folder, the number of the effect, and the scripts that were paid. It prints what leaves it, one
 * line of JSON each.
 */
import { writeSync } from 'node:fs';
import { nodeFiles } from '../../../src/wallet/store/files.js';
import { FaultingFiles } from '../store/faulting-files.js';
import { live, spiedChain, startChain, type Said } from './life.js';

const [base = '', at, ...paid] = process.argv.slice(2);
const files = new FaultingFiles(nodeFiles, { at: Number(at), kind: 'killed before' }, () => {
  process.kill(process.pid, 'SIGKILL');
  // The signal arrives now; nothing below runs.
  for (;;);
});
const say = (it: Said): void => void writeSync(1, `${JSON.stringify(it)}\n`);
const chain = spiedChain(startChain(paid), (what, run) => files.outside(what, run), say);
await live({ files, base, chain }, say);
