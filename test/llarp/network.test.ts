/**
 * A directory behind a hidden service of LLARP v0, makers and a taker, over paths of three hops through routers in this
 * process: offers, messages over the directory and over direct links, and a coinjoin to its last signature.
 */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { memoryDemoChain } from '../../src/lab/demo/chain.js';
import { showCoinjoin } from '../../src/lab/demo/coinjoin.js';
import { startLlarpOverlays } from '../../src/lab/demo/llarp-overlays.js';
import { openMoney } from '../../src/lab/demo/money.js';
import { MAKERS, startParticipants } from '../../src/lab/demo/participants.js';
import { allOffers } from '../../src/lab/demo/steps.js';
import { textTable } from '../../src/kit/text-table.js';

t.setTimeout(240_000);

/** A request that no maker takes: it answers with an error. */
const fill = (): string =>
  `99 100000 ${randomBytes(32).toString('hex')} P${randomBytes(32).toString('hex')}`;

t.test('directory, makers and taker over the laboratory', async (t) => {
  const signal = new AbortController().signal;
  const said: string[] = [];
  const say = (subject: string, text: string): void => void said.push(`${subject}: ${text}`);
  const overlays = await startLlarpOverlays(say);
  t.teardown(() => overlays.close());
  t.match(said[0], /9 routers, paths of 3 hops. It gives nobody privacy/);
  const money = await openMoney(MAKERS, signal, say, async () => memoryDemoChain(say));
  t.teardown(() => money.close());
  const participants = await startParticipants(overlays, signal, say, money);
  t.teardown(() => participants.close());
  const { directory, makers, taker, takerChannel } = participants;
  t.match(directory.location, { kind: 'x-llarp', host: /^[a-z0-9]{52}\.llarp$/, port: 5_222 });
  await allOffers(taker, signal);
  const [maker] = makers;
  if (!maker) throw new Error('no maker');

  const relayed = await taker.ask(maker.channel.nick, 'fill', fill(), 30_000);
  t.match(relayed, { sentBy: { kind: 'directory' }, route: { kind: 'directory' } });
  t.ok(await takerChannel.connectTo(maker.channel.nick), 'a direct link to the service of a maker');
  const direct = await taker.ask(maker.channel.nick, 'fill', fill(), 30_000);
  t.match(direct, { sentBy: { kind: 'direct' }, route: { kind: 'direct' } });
  t.comment(`answers after ${relayed.rttMs.toFixed(0)} and ${direct.rttMs.toFixed(0)} ms`);

  const screen = {
    say,
    heading: (text: string) => void said.push(text),
    table: (rows: readonly (readonly string[])[]) => void said.push(...textTable([], rows)),
  };
  const coinjoin = await showCoinjoin(participants, money, screen, signal);
  t.match(coinjoin, { amount: 5_000_000, makers: MAKERS });
  const { total } = money.taker.wallet.summary();
  t.equal(total, 19_600_000 - coinjoin.makerFees - coinjoin.minerFee, 'to the satoshi');
});
