/**
 * Fills the file system of a folder, and uses the wallet there: started by `full-disk.test.ts`. It
 * prints one line of JSON for each step.
 */
import { appendFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../../src/kit/error-text.js';
import { createWalletStore, openWalletStore } from '../../../src/wallet/store/store.js';
import { COST, faultOf, PASSWORD, SECRET } from './scene.js';

const [base = ''] = process.argv.slice(2);
const folder = join(base, 'main');
const filler = join(base, 'filler');
const say = (step: string, result: unknown): void =>
  void writeSync(1, `${JSON.stringify([step, result ?? null])}\n`);
const open = () => openWalletStore(folder, PASSWORD, { mode: 'write', cost: COST });

function fill(): void {
  for (const bytes of [65_536, 4_096]) {
    try {
      for (;;) appendFileSync(filler, Buffer.alloc(bytes));
    } catch (error) {
      if (errorCode(error) !== 'ENOSPC') throw error;
    }
  }
}

const store = await createWalletStore(
  folder,
  { secret: SECRET, password: PASSWORD, records: ['first'] },
  { cost: COST },
);
fill();
// Longer than what is left of the last block.
const long = 'x'.repeat(20_000);
say('append', await faultOf(store.append([long])));
say('password', await faultOf(store.changePassword('another')));
say('backup', await faultOf(store.backup(join(base, 'backup'))));
await store.close();
const again = await open();
say('records', again.records);
say('append again', await faultOf(again.append([long])));
rmSync(filler);
say('with room', await faultOf(again.append(['later'])));
await again.close();
const last = await open();
say('at last', [last.records, last.lostBytes]);
await last.close();
