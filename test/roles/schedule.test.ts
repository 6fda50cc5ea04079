/** A schedule over a wallet and a chain in memory. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { NOTHING_REVEALED } from '../../src/negotiation/taker/api.js';
import { ScheduleFiles } from '../../src/roles/schedule-files.js';
import { runWalletSchedule } from '../../src/roles/schedule.js';
import { DEFAULT_RUN_TERMS } from '../../src/schedule/decide.js';
import type { ScheduleEvent } from '../../src/schedule/run.js';
import { createTestClock } from '../helpers/test-clock.js';
import { createWalletWorld } from '../helpers/wallet-world.js';

t.test('a block between the look at the chain and the wait ends the wait', async (t) => {
  const { wallet, chain } = await createWalletWorld();
  const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  chain.pay(script, 50_000_000);
  chain.mine(1);
  const path = join(t.testdir({}), 'w.schedule');
  await writeFile(path, '0,0,4,INTERNAL,0,16,0\n');
  const files = await ScheduleFiles.open({ path, wallet: 'w', network: wallet.network });
  const clock = createTestClock();
  const stop = new AbortController();
  const events: ScheduleEvent[] = [];
  const { end } = await runWalletSchedule({
    wallet,
    chain,
    files,
    terms: { ...DEFAULT_RUN_TERMS, confirmations: 5 },
    coinjoin: async () => {
      stop.abort();
      return { ok: false, fault: 'stopped', detail: '', failed: [], revealed: NOTHING_REVEALED };
    },
    address: async () => Promise.reject(new Error('there is no terminal')),
    clock,
    unixTime: () => 1_700_000_000,
    random: Math.random,
    stop: stop.signal,
    abort: stop.signal,
    onEvent: (event) => {
      events.push(event);
      // After the wallet was read, and before the run asks for the next block.
      if (event.kind === 'waits') chain.mine(4);
    },
  });
  await files.close();
  t.match(
    events.map(({ kind }) => kind),
    ['waits', 'begins', 'ended'],
  );
  t.match(events, [{ waiting: { reason: 'young', until: undefined } }]);
  t.equal(end.kind, 'stopped');
  t.equal(clock.pending, 0, 'no timer is left, and none has run out');
});
