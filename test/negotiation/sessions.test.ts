/** Rounds with and without faults, message by message, on a clock of the test. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { RawTx } from '@scure/btc-signer/script.js';
import { randomBytes } from 'node:crypto';
import t from 'tap';
import type { Route } from '../../src/channel/channel-api.js';
import { silentLog } from '../../src/channel/log.js';
import { runCoinjoin, type CoinjoinOptions } from '../../src/negotiation/taker/coinjoin.js';
import {
  createRequestLimiter,
  DEFAULT_REQUEST_LIMITS,
} from '../../src/negotiation/maker/request-limits.js';
import { DEFAULT_MAKER_POLICY, type MakerOutcome } from '../../src/negotiation/maker/api.js';
import { MakerSessions, type SessionLimits } from '../../src/negotiation/maker/sessions.js';
import type { Funding, FundingRequest, MakerWallet } from '../../src/negotiation/ports.js';
import type { RoundResult } from '../../src/negotiation/taker/api.js';
import { formatFill } from '../../src/negotiation/payloads.js';
import { addressScript } from '../../src/bitcoin/address.js';
import type { CommandName } from '../../src/protocol/commands.js';
import { createBoxKeyPair, openBoxSession } from '../../src/protocol/encryption.js';
import type { Offer } from '../../src/protocol/offer.js';
import { createPodle } from '../../src/protocol/podle.js';
import {
  addressOf,
  createMakerWallet,
  createMemoryChain,
  createMemoryCommitments,
  createTakerWallet,
  mintFor,
  type CoinType,
  type TestMakerWallet,
} from '../helpers/coinjoin-world.js';
import {
  createMessageExchange,
  type HeldMessage,
  type MessageExchange,
} from '../helpers/message-exchange.js';
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
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface WorldOptions {
  readonly dress?: (wallet: MakerWallet, nick: string) => MakerWallet;
  readonly type?: CoinType;
  /** The messages delivered in place of one; undefined delivers it unchanged. */
  readonly intercept?: (mail: HeldMessage) => readonly HeldMessage[] | undefined;
  readonly used?: readonly string[];
  /** Makers with other offers. */
  readonly offers?: Readonly<Record<string, Offer>>;
  readonly limits?: SessionLimits;
}

function createWorld(options: WorldOptions = {}) {
  const offerOf = (nick: string): Offer => options.offers?.[nick] ?? OFFER;
  const clock = createTestClock();
  const chain = createMemoryChain();
  const office = createMessageExchange();
  const wallet = createTakerWallet('taker', mintFor(chain, 'taker', [1_500_000, 900_000]));
  const makers = ['J5one', 'J5two', 'J5three', 'J5four'].map((nick) => {
    const channel = office.open(nick);
    const own: TestMakerWallet = createMakerWallet(
      nick,
      mintFor(chain, nick, [900_000, 700_000, 1_600_000], options.type),
    );
    const outcomes: MakerOutcome[] = [];
    const signed: MakerOutcome[] = [];
    const used: string[] = [];
    const commitments = createMemoryCommitments();
    for (const commitment of options.used ?? []) void commitments.add(commitment);
    const sessions = new MakerSessions({
      channel,
      network: 'signet',
      offers: [offerOf(nick)],
      wallet: options.dress?.(own, nick) ?? own,
      chain,
      commitments,
      policy: DEFAULT_MAKER_POLICY,
      limits: options.limits ?? { unproven: 2, proven: 1 },
      limiter: createRequestLimiter(clock, DEFAULT_REQUEST_LIMITS),
      clock,
      randomBytes,
      log: silentLog,
      onSigned: (_, outcome) => signed.push(outcome),
      onOutcome: (_, outcome) => outcomes.push(outcome),
      onUsed: (commitment) => used.push(commitment),
    });
    channel.on('privmsg', (message) => sessions.receive(message));
    return { nick, wallet: own, sessions, outcomes, signed, used };
  });

  /** Delivers messages until there are none. */
  async function bring(): Promise<void> {
    for (let idle = 0; idle < 4;) {
      const mails = office.pending.splice(0);
      idle = mails.length === 0 ? idle + 1 : 0;
      for (const mail of mails) {
        for (const kept of options.intercept?.(mail) ?? [mail]) office.deliver(kept);
      }
      await nextTurn();
    }
  }

  function start(more: Partial<CoinjoinOptions> = {}): Promise<RoundResult> {
    return runCoinjoin({
      channel: more.channel ?? office.open('J5taker'),
      network: 'signet',
      wallet,
      chain,
      commitments: createMemoryCommitments(),
      amount: AMOUNT,
      makers: 2,
      candidates: makers.map(({ nick }) => ({ nick, offer: offerOf(nick) })),
      clock,
      randomBytes,
      log: silentLog,
      ...more,
      policy: { minimumMakers: 2, broadcast: 'self', maxCjFeeAbs: 900, ...more.policy },
    });
  }

  async function round(more: Partial<CoinjoinOptions> = {}): Promise<RoundResult> {
    const running = start(more);
    const results: RoundResult[] = [];
    void running.then((value) => results.push(value));
    for (let turn = 0; turn < 60 && results.length === 0; turn += 1) {
      await bring();
      if (results.length === 0) clock.advance(30_000);
    }
    return running;
  }
  return { clock, chain, office, wallet, makers, bring, start, round };
}

const stepOf = (result: RoundResult, nick: string) =>
  result.makers.find((maker) => maker.nick === nick);

const signersOf = ({ makers }: RoundResult): readonly string[] =>
  makers.flatMap(({ nick, step }) => (step === 'signed' ? [nick] : []));

for (const type of ['p2wpkh', 'p2sh-p2wpkh'] as const) {
  t.test(`a coinjoin with makers' coins of kind ${type}`, async (t) => {
    const world = createWorld({ type });
    const result = await world.round();
    t.match(result, { ok: true, broadcastBy: undefined });
    t.equal(world.chain.accepted.length, 1);
    t.equal(world.wallet.commitments.length, 1);
    t.strictSame(world.makers[0]?.used, [world.wallet.commitments[0]?.commitment]);
    t.match(world.makers[0]?.signed, [{ result: 'signed', pushed: false, earned: 900 }]);
    t.strictSame(world.makers[0]?.outcomes, [], 'the session waits for a push');
    world.clock.advance(400_000);
    t.equal(world.makers[0]?.signed.length, 1);
    t.match(world.makers[0]?.outcomes, [{ result: 'signed', pushed: false, earned: 900 }]);
    t.strictSame(world.makers[2]?.outcomes, [], 'a maker that was not needed was not asked');
    t.equal(world.clock.pending, 0);
  });
}

t.test('a maker that fails is named with its fault; others replace it', async (t) => {
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
      'the same address twice',
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
    // Our own maker refuses such a reservation of its wallet.
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
  t.equal(noCoins.wallet.commitments.length, 2, 'the next maker gets another proof');
});

const withheld = (mail: HeldMessage) =>
  mail.from === 'J5one' && mail.command === 'sig' ? [] : undefined;

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
  // A relay turns the maker's key into an `error`, which is not a refusal.
  const relabelled = createWorld({
    intercept: (mail) =>
      mail.from === 'J5one' && mail.command === 'pubkey'
        ? [{ ...mail, command: 'error' }]
        : undefined,
  });
  t.match(stepOf(await relabelled.round(), 'J5one'), { failure: { fault: 'silent' } });
  const again = createWorld({ intercept: withheld });
  const second = await again.round();
  t.match(second, { ok: true }, 'another round, without it');
  t.match(stepOf(second, 'J5one'), { failure: { step: 'sig', fault: 'silent' } });
  t.match(stepOf(second, 'J5two'), { step: 'signed' }, 'the honest maker is asked again');
  t.match(stepOf(second, 'J5three'), { step: 'signed' });
  t.strictSame(again.wallet.record.settlements, ['unsigned', 'signed']);
  t.equal(again.wallet.commitments.length, 2);
  t.equal(again.chain.accepted.length, 1);
  again.clock.advance(400_000);
  t.equal(again.clock.pending, 0);

  const unsigned = createWorld({ intercept: withheld });
  const result = await unsigned.round({ policy: { rounds: 1 } });
  t.match(result, { ok: false, fault: 'unsigned' });
  t.match(stepOf(result, 'J5one'), { failure: { step: 'sig', fault: 'silent' } });
  t.match(stepOf(result, 'J5two'), { step: 'signed' }, 'the honest maker is known');
  t.strictSame(unsigned.wallet.record.settlements, ['unsigned']);
  t.equal(unsigned.chain.accepted.length, 0);
});

t.test('no maker gets more than the taker allows', async (t) => {
  const unlimited = createWorld();
  for (const policy of [{ maxCjFeeAbs: undefined }, { maxCjFeeAbs: Number.NaN }]) {
    const result = await unlimited.round({ policy });
    const fault = policy.maxCjFeeAbs === undefined ? 'no-fee-limit' : 'bad-policy';
    t.match(result, { ok: false, fault, makers: [] });
  }
  const dearer = (cjfee: string): Offer => ({ ...OFFER, type: 'sw0absoffer', cjfee });
  const small: Offer = { ...OFFER, maxsize: AMOUNT - 1 };
  // Our makers keep to their announcements; a maker above the limit is not asked at all.
  const candidates = [
    { nick: 'J5one', offer: dearer('100000000') },
    { nick: 'J5two', offer: small },
    { nick: 'J5three', offer: OFFER },
    { nick: 'J5four', offer: dearer('1001') },
    { nick: 'J5four', offer: OFFER },
  ];
  t.strictSame(unlimited.office.history, [], 'no message was sent');
  const world = createWorld();
  const result = await world.round({ candidates });
  t.match(result, { ok: true });
  t.match(stepOf(result, 'J5one'), {
    step: 'failed',
    failure: { step: 'fill', fault: 'fee-limit' },
  });
  t.match(stepOf(result, 'J5two'), { failure: { step: 'fill', fault: 'amount-range' } });
  t.match(stepOf(result, 'J5four'), { step: 'signed' }, 'another offer of it is within the limits');
  t.ok(world.office.history.every(({ to }) => to !== 'J5one' && to !== 'J5two'));

  const greedy = createWorld();
  t.match(await greedy.round({ candidates: candidates.slice(0, 3) }), {
    fault: 'too-few-makers',
    detail: '1 makers to choose from; offers of 2 do not suit',
  });
  t.strictSame(greedy.wallet.commitments, [], 'no proof is used');
});

t.test('the fee rate for the miners: from the chain, within limits', async (t) => {
  const asked: number[] = [];
  const world = createWorld();
  const rates: number[] = [];
  const wallet = {
    ...world.wallet,
    fund: (request: FundingRequest, signal: AbortSignal) => {
      rates.push(request.feePerKb);
      return world.wallet.fund(request, signal);
    },
  };
  const chain = {
    ...world.chain,
    feePerKb: async (blocks: number) => {
      asked.push(blocks);
      return 5_000;
    },
  };
  t.match(await world.round({ chain, wallet, policy: { txFees: 7, txFeesFactor: 0 } }), {
    ok: true,
  });
  t.strictSame(asked, [7]);
  t.strictSame(rates, [5_000]);

  const manual = createWorld();
  const fixed = await manual.round({
    chain: { ...manual.chain, feePerKb: reject },
    policy: { txFees: 1_001 },
  });
  t.match(fixed, { ok: true }, 'a given rate needs no request');

  const refused: readonly (readonly [Partial<CoinjoinOptions>, object])[] = [
    [{ chain: { ...world.chain, feePerKb: async () => 400_000 } }, { fault: 'absurd-fee' }],
    [{ chain: { ...world.chain, feePerKb: async () => -1 } }, { fault: 'port' }],
    [{ chain: { ...world.chain, feePerKb: async () => Number.NaN } }, { fault: 'port' }],
    [{ chain: { ...world.chain, feePerKb: reject } }, { fault: 'port', detail: /node is down/ }],
    [{ policy: { txFees: 400_000 } }, { fault: 'absurd-fee' }],
  ];
  for (const [more, fault] of refused) {
    const other = createWorld();
    const before = other.office.listeners;
    t.match(await other.round(more), fault);
    t.strictSame(other.office.history, [], 'no message is sent');
    t.equal(other.clock.pending, 0);
    t.equal(other.office.listeners, before);
  }
  const rich = createWorld();
  const generous = createTakerWallet('rich', mintFor(rich.chain, 'rich', [5_000_000]), 3_000_000);
  t.match(await rich.round({ wallet: generous }), { fault: 'absurd-fee', detail: /3000000 sat/ });
  t.strictSame(generous.record.signed, []);
  t.strictSame(generous.record.settlements, ['unsigned']);
});

t.test('a sweep leaves no change, and pays the miners for its real size', async (t) => {
  const sweeping = async (left: number, change?: string): Promise<RoundResult> => {
    const world = createWorld();
    const wallet = createTakerWallet('all', mintFor(world.chain, 'all', [AMOUNT + 2 * 900 + left]));
    const result = await world.round({
      sweep: true,
      policy: { txFees: 2_000, txFeesFactor: 0 },
      wallet: {
        ...wallet,
        async fund(request, signal) {
          const funding = await wallet.fund(request, signal);
          if (change === undefined || funding === undefined) return funding;
          return { ...funding, minerFee: left - 10_000, changeAddress: change };
        },
      },
    });
    t.strictSame(wallet.record.settlements, [result.ok ? 'signed' : 'unsigned']);
    return result;
  };
  const done = await sweeping(1_012);
  t.match(done, { ok: true });
  t.equal(RawTx.decode(done.transaction ?? new Uint8Array()).outputs.length, 5);
  t.match(await sweeping(562), { fault: 'sweep-fee', detail: /562 sat .* 506 vB, .* 1012/ });
  t.match(await sweeping(5_061), { fault: 'sweep-fee' });
  t.match(await sweeping(12_000, addressOf('change')), {
    fault: 'bad-funding',
    detail: 'a sweep has no change',
  });
});

const isKey = (mail: HeldMessage): boolean => mail.from === 'J5one' && mail.command === 'pubkey';
const keysAndProofs = (mails: readonly HeldMessage[]): readonly CommandName[] =>
  mails.map(({ command }) => command).filter((word) => word === 'pubkey' || word === 'auth');
/** The mark that shows that a refusal is for this round. */
const markOf = ({ history }: MessageExchange): string =>
  history
    .find(({ command }) => command === 'fill')
    ?.args.split(' ')[2]
    ?.slice(0, 16) ?? '';

t.test('no maker sees the proof before the others have shown their keys', async (t) => {
  const peaceful = createWorld();
  t.match(await peaceful.round({ makers: 3 }), { ok: true });
  t.strictSame(keysAndProofs(peaceful.office.history), [
    'pubkey',
    'pubkey',
    'pubkey',
    'auth',
    'auth',
    'auth',
  ]);

  // One maker is slow: the others wait for some seconds, and it is served when it answers.
  const kept: HeldMessage[] = [];
  const authsAt: (readonly [string, number])[] = [];
  const late = createWorld({
    intercept: (mail) => {
      if (mail.command === 'auth') authsAt.push([mail.to, late.clock.now()]);
      if (!isKey(mail) || kept.length > 0) return undefined;
      kept.push(mail);
      return [];
    },
  });
  const began = late.clock.now();
  const running = late.start({ makers: 3, policy: { authHoldMs: 7_000 } });
  await late.bring();
  late.clock.advance(6_999);
  await late.bring();
  t.strictSame(authsAt, []);
  late.clock.advance(1);
  await late.bring();
  t.strictSame(authsAt, [
    ['J5two', began + 7_000],
    ['J5three', began + 7_000],
  ]);
  for (const mail of kept) late.office.deliver(mail);
  await late.bring();
  t.match(authsAt.slice(2), [['J5one']]);
  t.match(await running, { ok: true });
  t.equal(late.wallet.commitments.length, 1);

  // The proof does not wait for a maker that cannot be served, and the round only for one whose message may
  // have been made by a relay.
  for (const [command, args, waits] of [
    ['pubkey', '00'.repeat(32), 60_000],
    ['error', '(key) amount out of range', 0],
  ] as const) {
    const failing = createWorld({
      intercept: (mail) =>
        isKey(mail)
          ? [{ ...mail, command, args: args.replace('(key)', `(key ${markOf(failing.office)})`) }]
          : undefined,
    });
    const before = failing.clock.now();
    const candidates = failing.makers.slice(0, 3).map(({ nick }) => ({ nick, offer: OFFER }));
    const result = failing.start({ makers: 3, candidates });
    await failing.bring();
    t.equal(
      keysAndProofs(failing.office.history).filter((word) => word === 'auth').length,
      2,
      'no time passes before the others get the proof',
    );
    failing.clock.advance(waits);
    await failing.bring();
    t.match(await result, { ok: true }, command);
    t.equal(failing.clock.now(), before + waits);
  }
});

const reject = (): Promise<never> => Promise.reject(new Error('the node is down'));

t.test('the end of a round that cannot complete', async (t) => {
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
  const forgetful = createWorld();
  t.match(
    await forgetful.round({ wallet: { ...forgetful.wallet, keepTransaction: reject } }),
    { fault: 'port', detail: 'wallet: the node is down', revealed: { signatures: false } },
    'a transaction that is not stored is not sent',
  );
  t.strictSame(forgetful.wallet.record.settlements, ['unsigned'], 'and its coins are free');
  t.notOk(forgetful.office.history.some(({ command }) => command === 'push'));
  const stopped = createWorld();
  t.match(await stopped.round({ signal: AbortSignal.abort() }), { fault: 'stopped' });
  for (const { clock } of [few, proofless, poor, broken, offline, stopped]) {
    clock.advance(600_000);
    t.equal(clock.pending, 0);
  }
});

t.test('a store that knows more used proofs than the wallet', async (t) => {
  const world = createWorld();
  const commitments = createMemoryCommitments();
  const [coin] = world.wallet.coins;
  if (coin === undefined) throw new Error('a coin');
  await commitments.add(createPodle(coin.secret, coin, 0).commitment);
  t.match(await world.round({ commitments }), { ok: true });
  t.equal(world.wallet.commitments.length, 2, 'a used proof is not shown to a maker');
  const stuck = createWorld();
  const proof = await stuck.wallet.commit(AMOUNT, new AbortController().signal);
  if (proof === undefined) throw new Error('a proof');
  const known = createMemoryCommitments();
  await known.add(proof.commitment);
  t.match(
    await stuck.round({
      commitments: known,
      wallet: { ...stuck.wallet, commit: async () => proof },
    }),
    { fault: 'no-commitment' },
  );
});

const throwing = (): never => {
  throw new Error('no');
};

t.test('wallets and chains that misbehave', async (t) => {
  const broken: readonly (readonly [string, Partial<Funding>])[] = [
    ['a fee that is not a number', { minerFee: NaN }],
    ['half a satoshi', { minerFee: 0.5 }],
    ['a negative fee', { minerFee: -1 }],
    ['a negative lock time', { lockTime: -1 }],
    ['a lock time above u32', { lockTime: 2 ** 32 }],
    ['half a second', { lockTime: 0.5 }],
    ['a malformed address', { changeAddress: 'nowhere' }],
    ['an excessive fee for the miners', { changeAddress: undefined }],
    ['the same address twice', { changeAddress: addressOf('taker coinjoin') }],
    ['no coins', { coins: [] }],
    [
      'a coin without a name',
      { coins: [{ txid: 'x', vout: 0, script: `0014${'00'.repeat(20)}`, value: 9e6 }] },
    ],
  ];
  for (const [name, part] of broken) {
    const world = createWorld();
    const result = await world.round({
      wallet: {
        ...world.wallet,
        async fund(request, signal) {
          const funding = await world.wallet.fund(request, signal);
          return funding && { ...funding, ...part };
        },
      },
    });
    t.match(result, { fault: 'bad-funding' }, name);
    t.strictSame(world.wallet.record.signed, []);
    t.strictSame(world.wallet.record.settlements, ['unsigned']);
  }

  const world = createWorld({
    dress: (wallet, nick) => (nick === 'J5one' ? { ...wallet, settle: throwing } : wallet),
  });
  t.match(
    await world.round({ wallet: { ...world.wallet, settle: throwing } }),
    { ok: true },
    'a wallet that throws when coins are returned',
  );
  world.clock.advance(400_000);
  t.equal(world.makers[0]?.sessions.size, 0);
  t.equal(world.clock.pending, 0);

  // A maker is asked to broadcast, the transaction cannot be looked up, and our own broadcast is slow.
  const blind = createWorld({ intercept: ({ command }) => (command === 'push' ? [] : undefined) });
  const waits: (() => void)[] = [];
  const result = await blind.round({
    policy: { broadcast: 'random-peer', unconfirmedMs: 1_000 },
    randomBytes: (count) => (count === 4 ? new Uint8Array(4) : randomBytes(count)),
    chain: {
      ...blind.chain,
      seen: (_, signal) =>
        new Promise((_resolve, fail) => {
          waits.push(() => fail(new Error('the node is down')));
          signal.addEventListener('abort', () => fail(new Error('aborted')));
        }),
      async broadcast(bytes) {
        for (const wait of waits) wait();
        await nextTurn();
        await blind.chain.broadcast(bytes);
      },
    },
  });
  t.match(result, { ok: true, broadcastBy: undefined });
});

t.test("the taker's change: kept unless deployed takers call it dust", async (t) => {
  // Two makers at 900 sat each, 2,000 sat for the miners, and the rest.
  const pays = AMOUNT + 2 * 900 + 2_000;
  const rests = [
    [0, false],
    [2_730, false],
    [2_731, true],
    [27_299, true],
    [27_300, true],
  ] as const;
  for (const [rest, isKept] of rests) {
    const world = createWorld();
    const wallet = createTakerWallet('exact', mintFor(world.chain, 'exact', [pays + rest]));
    const result = await world.round({ wallet });
    t.match(result, { ok: true }, `${rest} sat are left`);
    const { outputs } = RawTx.decode(result.transaction ?? new Uint8Array());
    const change = addressScript('signet', addressOf('exact change'));
    t.strictSame(
      outputs.filter(({ script }) => bytesToHex(script) === change).map(({ amount }) => amount),
      isKept ? [BigInt(rest)] : [],
    );
    const turned = isKept ? undefined : addressOf('exact change');
    const other = createWorld();
    const stubborn = createTakerWallet('exact', mintFor(other.chain, 'exact', [pays + rest]));
    const refused = await other.round({
      wallet: {
        ...stubborn,
        async fund(request, signal) {
          const funding = await stubborn.fund(request, signal);
          return funding && { ...funding, changeAddress: turned };
        },
      },
    });
    t.match(refused, { fault: 'bad-funding', detail: new RegExp(`leave ${rest} sat`) });
  }
});

const never = (): Promise<never> => new Promise(() => {});

t.test('wallets and chains that do not answer', async (t) => {
  type World = ReturnType<typeof createWorld>;
  const hanging: readonly (readonly [string, (world: World) => Partial<CoinjoinOptions>])[] = [
    ['chain: took too long', ({ chain }) => ({ chain: { ...chain, coins: never } })],
    ['chain: took too long', ({ chain }) => ({ chain: { ...chain, feePerKb: never } })],
    ['wallet: took too long', ({ wallet }) => ({ wallet: { ...wallet, commit: never } })],
    ['wallet: took too long', ({ wallet }) => ({ wallet: { ...wallet, fund: never } })],
    ['wallet: took too long', ({ wallet }) => ({ wallet: { ...wallet, sign: never } })],
  ];
  for (const [detail, part] of hanging) {
    const world = createWorld();
    t.match(await world.round(part(world)), { fault: 'port', detail });
    world.clock.advance(400_000);
    t.equal(world.clock.pending, 0);
    t.equal(world.wallet.record.reserved.size, 0);
  }

  let answer: (() => void) | undefined;
  const late = createWorld({
    dress: (wallet, nick) =>
      nick !== 'J5one'
        ? wallet
        : {
            ...wallet,
            async reserve(request, signal) {
              await new Promise<void>((resolve) => {
                answer = resolve;
              });
              return wallet.reserve(request, signal);
            },
          },
  });
  t.match(await late.round(), { ok: true });
  const [slow] = late.makers;
  t.match(slow?.outcomes, [{ by: 'us', step: 'reserving', fault: 'port' }]);
  answer?.();
  await late.bring();
  t.strictSame(slow?.wallet.record.settlements, ['unsigned'], 'late coins are released');
  t.equal(slow?.wallet.record.reserved.size, 0);

  const mute = createWorld({
    dress: (wallet, nick) => (nick === 'J5one' ? { ...wallet, sign: never } : wallet),
  });
  t.match(await mute.round(), { ok: true });
  t.match(mute.makers[0]?.outcomes, [{ by: 'us', step: 'signing', fault: 'port' }]);
  t.equal(mute.makers[0]?.wallet.record.reserved.size, 0);
});

t.test('a maker broadcasts it, or we do when it does not', async (t) => {
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

t.test('limits of requests to the sessions', async (t) => {
  const { office, makers, bring, clock } = createWorld();
  const [maker] = makers;
  if (maker === undefined) throw new Error('a maker');
  const heard: HeldMessage[] = [];
  const say = async (from: string, args: string): Promise<readonly HeldMessage[]> => {
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
  t.match(pubkey, { command: 'pubkey', args: /^[0-9a-f]{64} features=neutrino_compat$/ });
  t.strictSame(await say('J5a', fill(1)), [pubkey], 'the same fill: the same key');
  t.not((await say('J5a', fill(2)))[0]?.args, pubkey?.args, 'another fill: another session');
  t.strictSame(maker.outcomes, [], 'both are kept until one is proven');
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
  t.match(again.office.pending, [
    { command: 'error', args: /^Commitment is blacklisted: 0+1 \(key / },
  ]);
  t.equal(again.makers[0]?.used.length, 1, 'other peers are told once more');
});

/** A fill with its own key and commitment. */
function newFill(n: number): readonly string[] {
  const takerKey = createBoxKeyPair(randomBytes).publicKeyHex;
  const commitment = n.toString(16).padStart(64, '0');
  return formatFill({ oid: 0, amount: AMOUNT, takerKey, commitment }).split(' ');
}

t.test('messages of a taker, repeated by another peer, cost the taker nothing', async (t) => {
  const location = { kind: 'loopback', host: '127.0.0.1', port: 5222 } as const;
  const byDirectory: Route = { kind: 'directory', location };
  // The taker asks through a directory; copies of its old messages, in any number, come over a direct link.
  for (const [name, old] of [
    ['old fills', newFill],
    ['other commands, relabelled', (n: number) => [`word${n}`]],
  ] as const) {
    const { office, makers } = createWorld({ limits: { unproven: 100, proven: 1 } });
    const [maker] = makers;
    if (maker === undefined) throw new Error('a maker');
    office.open('J5taker');
    const say = (
      route: Route,
      command: CommandName,
      args: readonly string[],
    ): readonly HeldMessage[] => {
      const commands = [{ name: command, args }] as const;
      const from = 'J5taker';
      maker.sessions.receive({ from, to: maker.nick, commands, publicKeyHex: '', route });
      return office.pending.splice(0);
    };
    const early = Array.from({ length: 20 }, (_, n) => say({ kind: 'direct' }, 'fill', old(n)));
    t.ok(early[0]?.length, `${name}: answered`);
    const keys = [createBoxKeyPair(randomBytes), createBoxKeyPair(randomBytes)];
    const told = keys.map(({ publicKeyHex: takerKey }) => {
      const args = formatFill({ oid: 0, amount: AMOUNT, takerKey, commitment: 'ab'.repeat(32) });
      const [answer] = say(byDirectory, 'fill', args.split(' '));
      t.match(answer, { command: 'pubkey' }, `${name} before it: the taker is answered`);
      return answer?.args.split(' ')[0] ?? '';
    });
    for (let n = 20; n < 40; n++) say({ kind: 'direct' }, 'fill', old(n));
    t.ok(maker.sessions.size <= 4, 'few sessions are kept');
    // For each of our keys with which it continues, and each of its own.
    for (const [n, own] of keys.entries()) {
      for (const key of n === 0 ? told : told.toReversed()) {
        const box = openBoxSession(own, key);
        if (!box.ok) throw new Error(box.reason);
        const [refusal] = say(byDirectory, 'auth', [box.value.encrypt('no proof', randomBytes)]);
        t.match(refusal, { command: 'error', args: /revelation/ }, `${name}: its box is opened`);
      }
    }
  }
});

t.test('a taker that proves a coin when there is no room gets a refusal', async (t) => {
  // Each maker has room for one; both takers are admitted, since neither has proved a coin yet.
  const world = createWorld();
  const other = createTakerWallet('other', mintFor(world.chain, 'other', [1_500_000, 900_000]));
  const results = await Promise.all([
    world.round(),
    world.round({ channel: world.office.open('J5other'), wallet: other }),
  ]);
  t.ok(results.every(({ ok }) => ok));
  const failures = results.flatMap(({ makers }) => makers.flatMap(({ failure }) => failure ?? []));
  t.ok(failures.length > 0);
  for (const failure of failures) {
    t.match(failure, { step: 'ioauth', fault: 'refused', detail: /too many coinjoins at once/ });
  }
});

t.test('an error for another addressee ends nothing', async (t) => {
  const foreign = 'amount out of range (key 0123456789abcdef)';
  for (const command of ['fill', 'auth', 'tx']) {
    const world = createWorld({
      intercept: (mail) =>
        mail.to === 'J5one' && mail.command === command
          ? [{ from: 'J5one', to: 'J5taker', command: 'error', args: foreign }, mail]
          : undefined,
    });
    const result = await world.round();
    t.match(result, { ok: true }, command);
    t.match(stepOf(result, 'J5one'), { step: 'signed' });
    t.strictSame(signersOf(result), ['J5one', 'J5two'], 'of two makers for one place one is used');
  }
  // Errors of deployed makers have no mark: they count when no other answer comes.
  const deployed = createWorld({
    intercept: (mail) =>
      mail.to === 'J5one' && mail.command === 'fill'
        ? [{ from: 'J5one', to: 'J5taker', command: 'error', args: 'oid not found' }]
        : undefined,
  });
  const result = await deployed.round();
  t.match(result, { ok: true });
  t.match(stepOf(result, 'J5one'), {
    failure: { step: 'pubkey', fault: 'refused', detail: 'oid not found' },
  });
});

/** An error of a deployed maker in place of its message. */
const refusing =
  (nick: string, command: CommandName) =>
  (mail: HeldMessage): readonly HeldMessage[] | undefined =>
    mail.from === nick && mail.command === command
      ? [{ ...mail, command: 'error', args: 'amount out of range' }]
      : undefined;

t.test('a refusal without our mark costs no time: a spare maker is asked at once', async (t) => {
  for (const [command, step, proofs] of [
    ['pubkey', 'pubkey', 1],
    // The proof has been seen, so the spare maker gets another one.
    ['ioauth', 'ioauth', 2],
  ] as const) {
    const world = createWorld({ intercept: refusing('J5one', command) });
    const began = world.clock.now();
    const running = world.start();
    await world.bring();
    const result = await running;
    t.match(result, { ok: true }, command);
    t.equal(world.clock.now(), began);
    t.match(stepOf(result, 'J5one'), {
      failure: { step, fault: 'refused', detail: 'amount out of range' },
    });
    t.strictSame(signersOf(result), ['J5two', 'J5three']);
    t.equal(world.wallet.commitments.length, proofs);
    world.clock.advance(400_000);
    t.equal(world.clock.pending, 0);
  }

  // The spare maker is slower than the doubted one, so it is released and may be asked again.
  const kept: HeldMessage[] = [];
  const slow = createWorld({
    intercept: (mail) => {
      if (mail.to === 'J5one' && mail.command === 'auth') {
        return [{ from: 'J5one', to: 'J5taker', command: 'error', args: 'old' }, mail];
      }
      if (mail.from !== 'J5three' || mail.command !== 'ioauth') return withheld(mail);
      kept.push(mail);
      return [];
    },
  });
  const running = slow.start({ policy: { rounds: 1 } });
  await slow.bring();
  t.match(
    slow.office.history.filter(({ to, command }) => to === 'J5three' && command === 'fill'),
    [{}],
  );
  for (const mail of kept) slow.office.deliver(mail);
  await slow.bring();
  slow.clock.advance(60_000);
  await slow.bring();
  const result = await running;
  t.match(result, { fault: 'unsigned' });
  t.match(stepOf(result, 'J5one'), { failure: { step: 'sig', fault: 'silent' } });
  t.match(stepOf(result, 'J5three'), { failure: { fault: 'unused' } });
  const again = createWorld({
    intercept: (mail) =>
      mail.to === 'J5one' && mail.command === 'auth'
        ? [{ from: 'J5one', to: 'J5taker', command: 'error', args: 'old' }, mail]
        : withheld(mail),
  });
  t.strictSame(signersOf(await again.round()), ['J5two', 'J5three'], 'in the next round');
});

const filled = ({ office }: { readonly office: MessageExchange }): readonly string[] =>
  office.history.filter(({ command }) => command === 'fill').map(({ to }) => to);
const refuseAll = (mail: HeldMessage): readonly HeldMessage[] | undefined =>
  mail.command === 'pubkey' ? [{ ...mail, command: 'error', args: 'no' }] : undefined;
const silentOne = (mail: HeldMessage): readonly HeldMessage[] | undefined =>
  isKey(mail) ? [] : undefined;

t.test('spare makers are few, and keep to the amounts that a sweep has fixed', async (t) => {
  for (const [policy, asked] of [
    [{}, ['J5one', 'J5two', 'J5three', 'J5four']],
    [{ spares: 2 }, ['J5one', 'J5two', 'J5three']],
    [{ spares: 0 }, ['J5one']],
    [{ replacements: 1 }, ['J5one', 'J5two']],
  ] as const) {
    const world = createWorld({ intercept: refuseAll });
    const running = world.start({ makers: 1, policy: { minimumMakers: 1, ...policy } });
    await world.bring();
    t.strictSame(filled(world), asked, JSON.stringify(policy));
    for (let turn = 0; turn < 20; turn += 1) {
      world.clock.advance(30_000);
      await world.bring();
    }
    t.match(await running, { fault: 'too-few-makers' });
  }

  // 1,000 sat less than the others, or as much, or more.
  const costs = (cjfee: string): Offer => ({ ...OFFER, type: 'sw0absoffer', cjfee });
  const rows = [
    [{ J5three: costs('1001'), J5four: costs('400') }, 'J5four', 1_000_000],
    [{ J5three: costs('1000'), J5four: costs('400') }, 'J5three', 1_000_000],
    [{ J5three: { ...OFFER, maxsize: AMOUNT - 1 }, J5four: OFFER }, 'J5four', 1_000_000],
    // The more expensive place is for the more expensive maker.
    [{ J5one: costs('2000'), J5three: costs('1900'), J5four: OFFER }, 'J5three', 1_001_000],
    [{ J5one: costs('400'), J5three: costs('401'), J5four: costs('900') }, undefined, 999_400],
  ] as const;
  for (const [offers, spare, total] of rows) {
    for (const refusal of [refusing('J5one', 'pubkey'), () => undefined]) {
      const world = createWorld({ offers, intercept: (mail) => refusal(mail) ?? silentOne(mail) });
      const wallet = createTakerWallet('all', mintFor(world.chain, 'all', [total + 1_800 + 1_500]));
      const result = await world.round({
        sweep: true,
        wallet,
        policy: { maxCjFeeAbs: 5_000, txFees: 2_000 },
      });
      const asked = filled(world);
      if (spare === undefined) {
        t.match(result, { fault: 'too-few-makers' });
        t.strictSame(asked, ['J5one', 'J5two']);
      } else {
        t.match(result, { ok: true }, spare);
        t.strictSame(asked, ['J5one', 'J5two', spare]);
      }
    }
  }
});

t.test("a taker's messages for another maker end nothing", async (t) => {
  const auths = createWorld({
    intercept: (mail) =>
      mail.command === 'auth'
        ? [...Array.from({ length: 5 }, (_, n) => ({ ...mail, args: `0 ${n}` })), mail]
        : undefined,
  });
  t.match(await auths.round(), { ok: true }, 'made an auth');
  let fill: HeldMessage | undefined;
  const fills = createWorld({
    intercept: (mail) => {
      if (mail.command === 'fill') fill ??= mail;
      // A maker with another offer got a request for that offer.
      const foreign = fill && { ...fill, to: mail.to, args: fill.args.replace(/^0 /, '7 ') };
      return foreign && mail.from === 'J5taker' ? [mail, foreign] : undefined;
    },
  });
  t.match(await fills.round(), { ok: true }, 'a fill');
  t.ok(fills.office.history.every(({ command }) => command !== 'error'));
});

t.test('a maker that names one of our coins is left out', async (t) => {
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
