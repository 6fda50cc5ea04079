/**
 * Takers, makers and directories over any overlay. Six makers and two directories: four makers complete a
 * coinjoin while one is silent, one lies in `ioauth`, and one of the four disconnects during the round and
 * returns. Then four makers, one of which is slow and hears that the commitment is used.
 */
import { RawTx } from '@scure/btc-signer/script.js';
import { EventEmitter } from 'eventemitter3';
import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type {
  MessageChannelEvents,
  OnionMessageChannel,
} from '../../src/channel/message-channel.js';
import type { Connection, Overlay } from '../../src/channel/ports.js';
import { runCoinjoin, type RoundProgress } from '../../src/negotiation/taker/coinjoin.js';
import {
  createCommitmentRelay,
  type CommitmentRelay,
} from '../../src/negotiation/maker/commitment-relay.js';
import type { MakerOutcome } from '../../src/negotiation/maker/api.js';
import type { MakerWallet } from '../../src/negotiation/ports.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { nickKey } from '../../src/protocol/nick.js';
import type { Offer } from '../../src/protocol/offer.js';
import { announceCommitment } from '../../src/roles/announce-commitment.js';
import { startMaker, type Maker } from '../../src/roles/maker.js';
import { openLiveTestChannel, withParts, type LiveTestChannel } from '../helpers/test-channel.js';
import {
  createMakerWallet,
  createMemoryChain,
  createMemoryCommitments,
  createTakerWallet,
  mintFor,
  secretOf,
  type MemoryChain,
  type TestMakerWallet,
} from '../helpers/coinjoin-world.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { createTestClock } from '../helpers/test-clock.js';
import type { ChannelSubject } from '../channel/compliance.js';

const AMOUNT = 1_000_000;
const QUICK = { backoffFirstMs: 200, peerRetryMs: 200, peerDialJitterMs: 10 };
const OFFER: Offer = {
  type: 'sw0reloffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 100,
  cjfee: '0.001',
};

interface ScenarioMaker {
  readonly maker: Maker;
  readonly wallet: TestMakerWallet;
  readonly outcomes: MakerOutcome[];
  readonly used: ReadonlySet<string>;
}

/** Names a coin in `ioauth` that does not exist. */
function lying(wallet: MakerWallet): MakerWallet {
  return {
    ...wallet,
    async reserve(request, signal) {
      const reservation = await wallet.reserve(request, signal);
      if (reservation === undefined) return undefined;
      const [coin, ...more] = reservation.coins;
      if (coin === undefined) return undefined;
      return { ...reservation, coins: [{ ...coin, txid: 'ff'.repeat(32) }, ...more] };
    },
  };
}

function startScenarioMaker(
  channel: OnionMessageChannel,
  chain: MemoryChain,
  name: string,
  dress: (wallet: MakerWallet) => MakerWallet = (wallet) => wallet,
  relay?: CommitmentRelay,
): ScenarioMaker {
  const wallet = createMakerWallet(name, mintFor(chain, name, [700_000, 900_000]));
  const commitments = createMemoryCommitments();
  const outcomes: MakerOutcome[] = [];
  const maker = startMaker({
    channel,
    offers: [OFFER],
    clock: systemClock,
    log: silentLog,
    blacklist: { store: commitments, ...(relay && { relay }) },
    coinjoins: {
      network: 'signet',
      wallet: dress(wallet),
      chain,
      onOutcome: (_, outcome) => outcomes.push(outcome),
    },
  });
  return { maker, wallet, outcomes, used: commitments.all };
}

/** An overlay that can lose its network, with every connection it has, and get it back. */
interface Cuttable {
  readonly overlay: Overlay;
  cut(): void;
  restore(): void;
}

function cuttable(overlay: Overlay): Cuttable {
  const connections = new Set<Connection>();
  let offline = false;
  const keep = (connection: Connection): Connection => {
    connections.add(connection);
    if (offline) connection.destroy();
    return connection;
  };
  return {
    overlay: {
      ...overlay,
      async dial(location, options) {
        if (offline) throw new Error('no network');
        return keep(await overlay.dial(location, options));
      },
      serve: (onConnection, options) =>
        overlay.serve((connection) => onConnection(keep(connection)), options),
    },
    cut() {
      offline = true;
      for (const connection of connections) connection.destroy();
      connections.clear();
    },
    restore() {
      offline = false;
    },
  };
}

export async function coinjoinScenario(t: Test, subject: ChannelSubject): Promise<void> {
  const directories = await Promise.all([
    serveDirectory(t, subject.server(), systemClock, 'J5firstOOOOOOOOO'),
    serveDirectory(t, subject.server(), systemClock, 'J5secondOOOOOOOO'),
  ]);
  const locations = directories.map(({ location }) => location);
  const chain = createMemoryChain();

  const open = async (name: string, overlay: Overlay, serve: boolean): Promise<LiveTestChannel> => {
    const channel = openLiveTestChannel(locations, {
      overlay,
      serve,
      nickKey: nickKey(secretOf(name)),
      timings: QUICK,
    });
    t.teardown(() => channel.close());
    await channel.next('welcome');
    return channel;
  };
  const openMaker = (name: string): Promise<LiveTestChannel> => open(name, subject.server(), true);

  const unsteady = cuttable(subject.server());
  const [taker, silent, liar, first, second, third, restless] = await Promise.all([
    open('taker', subject.dialer(), false),
    openMaker('silent'),
    openMaker('liar'),
    openMaker('first'),
    openMaker('second'),
    openMaker('third'),
    open('restless', unsteady.overlay, true),
  ]);
  const makers = [
    startScenarioMaker(liar, chain, 'liar', lying),
    startScenarioMaker(first, chain, 'first'),
    startScenarioMaker(second, chain, 'second'),
    startScenarioMaker(third, chain, 'third'),
    startScenarioMaker(restless, chain, 'restless'),
  ];
  // It is visible, and then silent.
  silent.publish('sw0reloffer 0 27300 500000000 100 0.001');
  for (const { maker } of makers) maker.announce();
  const candidates = [silent, liar, first, restless, second, third].map(({ nick }) => ({
    nick,
    offer: OFFER,
  }));
  const shown = new Set<string>();
  while (shown.size < candidates.length) shown.add((await taker.next('pubmsg')).from);

  const wallet = createTakerWallet('taker', mintFor(chain, 'taker', [1_500_000, 400_000]));
  const commitments = createMemoryCommitments();
  // This test controls the deadlines: they pass when all other makers have answered.
  const clock = createTestClock();

  let isCut = false;
  async function cutAndReturn(): Promise<void> {
    isCut = true;
    unsteady.cut();
    for (let gone = ''; gone !== restless.nick; gone = await taker.next('peer-gone'));
    while (taker.waiting('pubmsg') > 0) await taker.next('pubmsg');
    unsteady.restore();
    for (let back = ''; back !== restless.nick; back = (await taker.next('pubmsg')).from);
    // The taker sends messages again that may have been lost.
    clock.advance(2_000);
  }
  let isHeld = true;
  let isOver = false;
  function onProgress({ phase, makers: steps }: RoundProgress): void {
    // All makers except the silent one have shown their keys, so the round no longer waits for it.
    if (isHeld && [...steps.values()].filter((step) => step === 'auth').length === 3) {
      isHeld = false;
      setImmediate(() => clock.advance(5_000));
    }
    if (steps.get(restless.nick) === 'ioauth' && !isCut) void cutAndReturn();
    const ready = [...steps.values()].filter((step) => step === 'ready').length;
    if (phase !== 'gathering' || ready < 3 || isOver) return;
    isOver = true;
    setImmediate(() => clock.advance(60_000));
  }
  const result = await runCoinjoin({
    channel: taker,
    network: 'signet',
    wallet,
    chain,
    commitments,
    amount: AMOUNT,
    makers: 4,
    candidates,
    policy: { minimumMakers: 4, maxCjFeeAbs: 900 },
    clock,
    randomBytes,
    log: silentLog,
    onProgress,
  });

  if (!result.ok) throw new Error(`${result.fault}: ${result.detail}`);
  const report = (nick: string) => result.makers.find((maker) => maker.nick === nick);
  t.match(report(silent.nick), { step: 'failed', failure: { step: 'pubkey', fault: 'silent' } });
  t.match(report(liar.nick), { step: 'failed', failure: { step: 'coins', fault: 'coin-missing' } });
  for (const { nick } of [first, second, third, restless]) {
    t.match(report(nick), { step: 'signed', failure: undefined });
  }
  t.ok(isCut, 'one maker was disconnected for a while');

  // The chain has verified every signature under BIP143.
  t.equal(chain.accepted.length, 1);
  const { outputs, inputs } = RawTx.decode(result.transaction);
  t.equal(outputs.filter(({ amount }) => amount === BigInt(AMOUNT)).length, 5);
  t.equal(inputs.length, 2 + 4 * 2);
  t.strictSame(wallet.record.settlements, ['signed']);
  t.ok(wallet.commitments.every(({ commitment }) => commitments.has(commitment)));
  t.equal(clock.pending, 0, 'the round left no timer');

  for (const { maker } of makers) maker.stop();
  const outcomes = makers.map((maker) => maker.outcomes);
  t.match(outcomes[0], [{ result: 'failed', fault: 'stopped', step: 'tx' }]);
  t.strictSame(makers[0]?.wallet.record.settlements, ['unsigned']);
  for (const [outcome] of outcomes.slice(1)) {
    t.match(outcome, { result: 'signed', amount: AMOUNT, earned: 900, txid: result.txid });
  }
  t.equal(
    outcomes.flat().filter((outcome) => outcome.result === 'signed' && outcome.pushed).length,
    result.broadcastBy === undefined ? 0 : 1,
  );
  for (const { used } of makers.slice(1)) t.equal(used.size, 1, 'the commitment is used');
}

/** Holds the first `fill` to a maker back until `go`, as slow circuits do. */
function slow(channel: LiveTestChannel): {
  readonly channel: OnionMessageChannel;
  readonly go: () => void;
} {
  const events = new EventEmitter<MessageChannelEvents>();
  const kept: (() => void)[] = [];
  let isGoing = false;
  channel.on('pubmsg', (message) => void events.emit('pubmsg', message));
  channel.on('privmsg', (message) => {
    const deliver = (): void => void events.emit('privmsg', message);
    if (isGoing || message.commands[0].name !== 'fill') deliver();
    else kept.push(deliver);
  });
  return {
    channel: withParts<OnionMessageChannel, Pick<OnionMessageChannel, 'on' | 'off'>>(channel, {
      on: (event, listener) => void events.on(event, listener),
      off: (event, listener) => void events.off(event, listener),
    }),
    go: () => {
      isGoing = true;
      for (const deliver of kept.splice(0)) deliver();
    },
  };
}

/** Makers that tell each other of used commitments, and the `fill` of one of them is late. */
export async function slowMakerScenario(t: Test, subject: ChannelSubject): Promise<void> {
  const { location } = await serveDirectory(t, subject.server(), systemClock, 'J5firstOOOOOOOOO');
  const chain = createMemoryChain();
  const open = async (name: string): Promise<LiveTestChannel> => {
    const channel = openLiveTestChannel([location], {
      overlay: subject.dialer(),
      nickKey: nickKey(secretOf(name)),
      timings: QUICK,
    });
    t.teardown(() => channel.close());
    await channel.next('welcome');
    return channel;
  };
  const names = ['first', 'second', 'third', 'late'];
  const taker = await open('taker');
  const channels = await Promise.all(names.map(open));
  const late = channels.at(-1);
  if (late === undefined) throw new Error('a late maker');
  const held = slow(late);
  const makers = channels.map((channel, n) => {
    const relay = createCommitmentRelay({
      announce: (commitment, signal) =>
        announceCommitment(commitment, signal, {
          network: 'signet',
          directories: [location],
          overlay: subject.dialer(),
          clock: systemClock,
          random: Math.random,
          randomBytes,
        }),
      clock: systemClock,
      log: silentLog,
    });
    t.teardown(() => relay.close());
    const own = channel === late ? held.channel : channel;
    return startScenarioMaker(own, chain, names[n] ?? '', undefined, relay);
  });
  for (const { maker } of makers) maker.announce();
  const shown = new Set<string>();
  while (shown.size < names.length) shown.add((await taker.next('pubmsg')).from);

  // The others have answered, or were served and the late maker hears of it.
  const answered = (steps: RoundProgress['makers']): boolean =>
    [...steps.values()].filter((step) => step === 'auth').length === names.length - 1;
  late.on('pubmsg', ({ commands }) => {
    if (commands.some(({ name }) => name === 'hp2')) setImmediate(held.go);
  });
  const wallet = createTakerWallet('taker', mintFor(chain, 'taker', [1_500_000, 400_000]));
  const result = await runCoinjoin({
    channel: taker,
    network: 'signet',
    wallet,
    chain,
    commitments: createMemoryCommitments(),
    amount: AMOUNT,
    makers: names.length,
    candidates: channels.map(({ nick }) => ({ nick, offer: OFFER })),
    policy: { minimumMakers: names.length, maxCjFeeRel: 0.0009 },
    clock: createTestClock(),
    randomBytes,
    log: silentLog,
    onProgress: ({ makers: steps }) => {
      if (answered(steps)) setImmediate(held.go);
    },
  });
  t.match(
    result.makers.map(({ step, failure }) => failure ?? step),
    names.map(() => 'signed'),
  );
  t.ok(result.ok);
  t.equal(wallet.commitments.length, 1, 'one proof served all of them');
  for (const { maker, used } of makers) {
    t.equal(used.size, 1);
    maker.stop();
  }
}
