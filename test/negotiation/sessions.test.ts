/** Rounds in peace and in trouble, message by message, on a clock of the test. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { runCoinjoin, type CoinjoinOptions } from '../../src/negotiation/coinjoin.js';
import { createDoor, DEFAULT_DOOR_LIMITS } from '../../src/negotiation/door.js';
import { DEFAULT_MAKER_POLICY, type MakerOutcome } from '../../src/negotiation/maker-api.js';
import { createMakerSessions } from '../../src/negotiation/maker-sessions.js';
import type { MakerWallet } from '../../src/negotiation/ports.js';
import type { RoundResult } from '../../src/negotiation/taker-api.js';
import { formatFill } from '../../src/negotiation/texts.js';
import { createBoxKeyPair } from '../../src/protocol/encryption.js';
import type { Offer } from '../../src/protocol/offer.js';
import {
  createMakerWallet,
  createMemoryChain,
  createMemoryCommitments,
  createTakerWallet,
  mintFor,
  type CoinType,
  type TestMakerWallet,
} from '../helpers/coinjoin-world.js';
import { createPostOffice, type Mail } from '../helpers/mail.js';
import { createTestClock } from '../helpers/test-clock.js';

const AMOUNT = 1_000_000;
const OFFER: Offer = {
  type: 'sw0reloffer',
  oid: 0,
  minsize: 100_000,
  maxsize: 500_000_000,
  txfee: 100,
  cjfee: '0.001',
};
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface WorldOptions {
  readonly dress?: (wallet: MakerWallet, nick: string) => MakerWallet;
  readonly type?: CoinType;
  /** What becomes of a message: undefined lets it through. */
  readonly intercept?: (mail: Mail) => readonly Mail[] | undefined;
  readonly used?: readonly string[];
}

function createWorld(options: WorldOptions = {}) {
  const clock = createTestClock();
  const chain = createMemoryChain();
  const office = createPostOffice();
  const wallet = createTakerWallet('taker', mintFor(chain, 'taker', [1_500_000, 900_000]));
  const makers = ['J5one', 'J5two', 'J5three', 'J5four'].map((nick) => {
    const channel = office.open(nick);
    const own: TestMakerWallet = createMakerWallet(
      nick,
      mintFor(chain, nick, [900_000, 700_000, 1_600_000], options.type),
    );
    const outcomes: MakerOutcome[] = [];
    const used: string[] = [];
    const commitments = createMemoryCommitments();
    for (const commitment of options.used ?? []) void commitments.add(commitment);
    const sessions = createMakerSessions({
      channel,
      network: 'signet',
      offers: [OFFER],
      wallet: options.dress?.(own, nick) ?? own,
      chain,
      commitments,
      policy: DEFAULT_MAKER_POLICY,
      limits: { unproven: 2, proven: 1 },
      door: createDoor(clock, DEFAULT_DOOR_LIMITS),
      clock,
      randomBytes,
      log: silentLog,
      onOutcome: (_, outcome) => outcomes.push(outcome),
      onUsed: (commitment) => used.push(commitment),
    });
    channel.on('privmsg', (message) => sessions.receive(message));
    return { nick, wallet: own, sessions, outcomes, used };
  });

  /** Brings the post until nothing comes any more. */
  async function bring(): Promise<void> {
    for (let idle = 0; idle < 4;) {
      const mails = office.pending.splice(0);
      idle = mails.length === 0 ? idle + 1 : 0;
      for (const mail of mails) {
        for (const kept of options.intercept?.(mail) ?? [mail]) office.deliver(kept);
      }
      await settle();
    }
  }

  async function round(more: Partial<CoinjoinOptions> = {}): Promise<RoundResult> {
    const running = runCoinjoin({
      channel: office.open('J5taker'),
      network: 'signet',
      wallet,
      chain,
      commitments: createMemoryCommitments(),
      amount: AMOUNT,
      makers: 2,
      candidates: makers.map(({ nick }) => ({ nick, offer: OFFER })),
      clock,
      randomBytes,
      log: silentLog,
      ...more,
      policy: { minimumMakers: 2, broadcast: 'self', ...more.policy },
    });
    const results: RoundResult[] = [];
    void running.then((value) => results.push(value));
    for (let turn = 0; turn < 60 && results.length === 0; turn += 1) {
      await bring();
      if (results.length === 0) clock.advance(30_000);
    }
    return running;
  }
  return { clock, chain, office, wallet, makers, bring, round };
}

const stepOf = (result: RoundResult, nick: string) =>
  result.makers.find((maker) => maker.nick === nick);

for (const type of ['p2wpkh', 'p2sh-p2wpkh'] as const) {
  t.test(`a coinjoin with makers' coins of kind ${type}`, async (t) => {
    const world = createWorld({ type });
    const result = await world.round();
    t.match(result, { ok: true, broadcastBy: undefined });
    t.equal(world.chain.accepted.length, 1);
    t.equal(world.wallet.commitments.length, 1);
    t.strictSame(world.makers[0]?.used, [world.wallet.commitments[0]?.commitment]);
    world.clock.advance(400_000);
    t.match(world.makers[0]?.outcomes, [{ result: 'signed', pushed: false, earned: 900 }]);
    t.strictSame(world.makers[2]?.outcomes, [], 'who was not needed was not asked');
    t.equal(world.clock.pending, 0);
  });
}

t.test('who fails, and how, is named; others come in its place', async (t) => {
  const lies: readonly (readonly [string, (wallet: MakerWallet) => MakerWallet])[] = [
    [
      'a signature of another key',
      (wallet) => ({
        ...wallet,
        async reserve(request, signal) {
          return wallet.reserve({ ...request, boxPublicKey: '00'.repeat(32) }, signal);
        },
      }),
    ],
    [
      'an address of another network',
      (wallet) => ({
        ...wallet,
        async reserve(request, signal) {
          const reservation = await wallet.reserve(request, signal);
          const coinjoinAddress = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
          return reservation && { ...reservation, coinjoinAddress };
        },
      }),
    ],
    [
      'one address twice',
      (wallet) => ({
        ...wallet,
        async reserve(request, signal) {
          const reservation = await wallet.reserve(request, signal);
          return reservation && { ...reservation, changeAddress: reservation.coinjoinAddress };
        },
      }),
    ],
  ];
  for (const [name, dress] of lies) {
    // Our own maker does not let its wallet do this to a taker.
    const world = createWorld({
      dress: (wallet, nick) => (nick === 'J5one' ? dress(wallet) : wallet),
    });
    const result = await world.round();
    t.match(result, { ok: true }, name);
    t.match(stepOf(result, 'J5one'), { failure: { step: 'ioauth', fault: 'refused' } });
    t.match(world.makers[0]?.outcomes, [{ by: 'us', fault: 'bad-reservation' }]);
    t.equal(world.makers[0]?.wallet.record.reserved.size, 0);
  }

  const noCoins = createWorld({
    dress: (wallet, nick) =>
      nick === 'J5two' ? { ...wallet, reserve: async () => undefined } : wallet,
  });
  const result = await noCoins.round();
  t.match(stepOf(result, 'J5two'), { failure: { fault: 'refused', detail: /out of range/ } });
  t.match(stepOf(result, 'J5three'), { step: 'signed' });
  t.equal(noCoins.wallet.commitments.length, 2, 'what one has seen is not shown to the next');
});

t.test('silence at each step', async (t) => {
  for (const [command, step] of [
    ['pubkey', 'pubkey'],
    ['ioauth', 'ioauth'],
  ] as const) {
    const world = createWorld({
      intercept: (mail) => (mail.from === 'J5one' && mail.command === command ? [] : undefined),
    });
    const result = await world.round();
    t.match(stepOf(result, 'J5one'), { failure: { step, fault: 'silent' } });
    t.match(result, { ok: true });
  }
  const unsigned = createWorld({
    intercept: (mail) => (mail.from === 'J5one' && mail.command === 'sig' ? [] : undefined),
  });
  const result = await unsigned.round();
  t.match(result, { ok: false, fault: 'unsigned' });
  t.match(stepOf(result, 'J5one'), { failure: { step: 'sig', fault: 'silent' } });
  t.match(stepOf(result, 'J5two'), { step: 'signed' }, 'the honest one is known');
  t.strictSame(unsigned.wallet.record.settlements, ['unsigned']);
  t.equal(unsigned.chain.accepted.length, 0);
});

const reject = (): Promise<never> => Promise.reject(new Error('the node is down'));

t.test('the end of a round that cannot be', async (t) => {
  const few = createWorld();
  t.match(await few.round({ candidates: [] }), { fault: 'too-few-makers' });
  const proofless = createWorld();
  t.match(
    await proofless.round({ wallet: { ...proofless.wallet, commit: async () => undefined } }),
    {
      fault: 'no-commitment',
    },
  );
  const poor = createWorld();
  t.match(await poor.round({ wallet: { ...poor.wallet, fund: async () => undefined } }), {
    fault: 'no-funds',
  });
  const broken = createWorld();
  t.match(await broken.round({ chain: { ...broken.chain, coins: reject } }), {
    fault: 'port',
    detail: 'chain: the node is down',
  });
  const offline = createWorld();
  const result = await offline.round({ chain: { ...offline.chain, broadcast: reject } });
  t.match(result, { fault: 'not-broadcast', detail: 'the node is down' });
  t.ok(!result.ok && result.transaction, 'it can be broadcast by hand');
  t.strictSame(offline.wallet.record.settlements, ['signed']);
  const stopped = createWorld();
  t.match(await stopped.round({ signal: AbortSignal.abort() }), { fault: 'stopped' });
  for (const { clock } of [few, proofless, poor, broken, offline, stopped]) {
    clock.advance(600_000);
    t.equal(clock.pending, 0);
  }
});

t.test('a maker broadcasts it, and when it does not, we do', async (t) => {
  const pushed = createWorld();
  const result = await pushed.round({ policy: { broadcast: 'not-self' } });
  t.ok(result.ok && result.broadcastBy !== undefined);
  const outcomes = pushed.makers.flatMap((maker) => maker.outcomes);
  t.match(outcomes, [{ result: 'signed', pushed: true }]);

  const lost = createWorld({ intercept: ({ command }) => (command === 'push' ? [] : undefined) });
  t.match(await lost.round({ policy: { broadcast: 'not-self' } }), { fault: 'not-broadcast' });
  const fallback = createWorld({
    intercept: ({ command }) => (command === 'push' ? [] : undefined),
  });
  t.match(await fallback.round({ policy: { broadcast: 'random-peer' } }), {
    ok: true,
    broadcastBy: undefined,
  });
});

t.test('at the door of the sessions', async (t) => {
  const { office, makers, bring, clock } = createWorld();
  const [maker] = makers;
  if (maker === undefined) throw new Error('a maker');
  const heard: Mail[] = [];
  const say = async (from: string, args: string): Promise<readonly Mail[]> => {
    office.open(from);
    office.deliver({ from, to: maker.nick, command: 'fill', args });
    const answers = office.pending.splice(0);
    heard.push(...answers);
    await bring();
    return answers;
  };
  const takerKey = createBoxKeyPair(randomBytes).publicKeyHex;
  const fill = (n: number, terms: { readonly oid?: number; readonly amount?: number } = {}) =>
    formatFill({
      oid: 0,
      amount: AMOUNT,
      takerKey,
      commitment: n.toString(16).padStart(64, '0'),
      ...terms,
    });
  const [pubkey] = await say('J5a', fill(1));
  t.match(pubkey, { command: 'pubkey', args: /^[0-9a-f]{64}$/ });
  t.strictSame(await say('J5a', fill(1)), [pubkey], 'asked again: the same key');
  t.not((await say('J5a', fill(2)))[0]?.args, pubkey?.args, 'another fill: another session');
  t.match(maker.outcomes, [{ fault: 'replaced' }]);
  await say('J5b', fill(3));
  await say('J5c', fill(3));
  t.equal(maker.sessions.size, 2, 'the oldest made room');
  t.match(maker.outcomes.at(-1), { fault: 'evicted', by: 'us' });
  const refusals: readonly (readonly [string, RegExp])[] = [
    [fill(5, { oid: 7 }), /oid not found/],
    [fill(6, { amount: 1 }), /amount out of range/],
    [fill(7).replace(takerKey, '12'), /Invalid nacl pubkey/],
    [fill(8).replace(takerKey, '00'.repeat(32)), /Invalid nacl pubkey/],
    [fill(9).replace(' P', ' Q'), /commitment-type/],
  ];
  for (const [n, [args, reason]] of refusals.entries()) {
    t.match(await say(`J5r${n}`, args), [{ command: 'error', args: reason }]);
  }
  clock.advance(60_000);
  t.equal(maker.sessions.size, 0);
  t.match(maker.outcomes.at(-1), { by: 'taker', step: 'auth', fault: 'silent' });
  t.equal(clock.pending, 0);

  const again = createWorld({ used: ['0'.repeat(63) + '1'] });
  again.office.open('J5a');
  again.office.deliver({ from: 'J5a', to: 'J5one', command: 'fill', args: fill(1) });
  t.match(again.office.pending, [{ command: 'error', args: /^Commitment is blacklisted: 0+1$/ }]);
  t.equal(again.makers[0]?.used.length, 1, 'and others are told once more');
});

t.test('a maker that names a coin of ours is left out', async (t) => {
  const [ours] = mintFor(createMemoryChain(), 'taker', [1_500_000, 900_000]).slice(1);
  if (ours === undefined) throw new Error('our second coin');
  const thief = createWorld({
    dress: (wallet, nick) =>
      nick !== 'J5one'
        ? wallet
        : {
            ...wallet,
            async reserve(request, signal) {
              const reservation = await wallet.reserve(request, signal);
              return reservation && { ...reservation, coins: [...reservation.coins, ours] };
            },
          },
  });
  const result = await thief.round({ makers: 3 });
  t.match(result, { ok: true });
  t.match(stepOf(result, 'J5one'), { failure: { step: 'ready', fault: 'shared' } });
  t.strictSame(thief.wallet.record.settlements, ['unsigned', 'signed']);
});
