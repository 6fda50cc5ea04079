/**
 * A taker that plays one life in a folder and is killed at one effect: started by `kill-taker.test.ts` with
 * the folder, the number of the effect, and the scripts that were paid. It prints what leaves it, one line of
 * JSON each.
 */
import { writeSync } from 'node:fs';
import { nodeFiles } from '../../../src/wallet/store/files.js';
import { FaultingFiles } from '../../wallet/store/faulting-files.js';
import { commitmentsIn, takerLife } from './taker-life.js';

const [base = '', at, ...paid] = process.argv.slice(2);
const files = new FaultingFiles(nodeFiles, { at: Number(at), kind: 'killed before' }, () => {
  process.kill(process.pid, 'SIGKILL');
  // The signal arrives now; nothing below runs.
  for (;;);
});
await takerLife({ files, base }, paid, commitmentsIn(base), files, (it) => {
  writeSync(1, `${JSON.stringify(it)}\n`);
});
