/** Maker sessions and taker rounds against all manipulations of messages on their way. */
import { RawTx } from '@scure/btc-signer/script.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import * as fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { runCoinjoin } from '../../src/negotiation/taker/coinjoin.js';
import {
  createRequestLimiter,
  DEFAULT_REQUEST_LIMITS,
} from '../../src/negotiation/maker/request-limits.js';
import { DEFAULT_MAKER_POLICY, type MakerOutcome } from '../../src/negotiation/maker/api.js';
import { MakerSessions } from '../../src/negotiation/maker/sessions.js';
import type { RoundResult } from '../../src/negotiation/taker/api.js';
import { formatTransactionText, parseSignatureText } from '../../src/negotiation/payloads.js';
import { addressScript } from '../../src/bitcoin/address.js';
import type { TransactionOutput } from '../../src/bitcoin/transaction.js';
import { buildUnsigned, type UnsignedTransaction } from '../../src/negotiation/transaction.js';
import type { CommandName } from '../../src/protocol/commands.js';
import type { Offer } from '../../src/protocol/offer.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import {
  addressOf,
  createMakerWallet,
  createMemoryChain,
  createMemoryCommitments,
  createTakerWallet,
  mintFor,
  type MemoryChain,
  type TestCoin,
  type TestMakerWallet,
} from '../helpers/coinjoin-world.js';
import { approach, isNamed, postVoice, transactionOf, type Named } from '../helpers/evil-taker.js';
import {
  createCollidingWallet,
  lossOf,
  type CollidingWallet,
} from '../helpers/colliding-wallet.js';
import {
  createMessageExchange,
  type HeldMessage,
  type MessageExchange,
} from '../helpers/message-exchange.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';

const AMOUNT = 1_000_000;
const OFFER: Offer = {
  type: 'sw0absoffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 100,
  cjfee: '1100',
};
/** The value of all coins of a maker, less the least that it must get back. */
const EARNED = 1_000;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface TestMaker {
  readonly nick: string;
  readonly coins: readonly TestCoin[];
  readonly wallet: TestMakerWallet;
  readonly sessions: MakerSessions;
  readonly outcomes: MakerOutcome[];
}

function startTestMaker(
  nick: string,
  office: MessageExchange,
  chain: MemoryChain,
  clock: TestClock,
): TestMaker {
  const channel = office.open(nick);
  const coins = mintFor(chain, nick, [600_000, 700_000, 1_500_000]);
  const wallet = createMakerWallet(nick, coins);
  const outcomes: MakerOutcome[] = [];
  const sessions = new MakerSessions({
    channel,
    network: 'signet',
    offers: [OFFER],
    wallet,
    chain,
    commitments: createMemoryCommitments(),
    policy: DEFAULT_MAKER_POLICY,
    limits: { unproven: 3, proven: 2 },
    limiter: createRequestLimiter(clock, { ...DEFAULT_REQUEST_LIMITS, fillsPerNick: 1_000 }),
    clock,
    randomBytes,
    log: silentLog,
    onOutcome: (_, outcome) => outcomes.push(outcome),
  });
  channel.on('privmsg', (message) => sessions.receive(message));
  return { nick, coins, wallet, sessions, outcomes };
}

/** Whether every transaction that was signed pays its signer; judged from the bytes alone. */
function everySignaturePays(maker: TestMaker): boolean {
  const scripts = (kind: string): ReadonlySet<string> =>
    new Set(
      Array.from({ length: 50 }, (_, n) =>
        addressScript('signet', addressOf(`${maker.nick} ${kind} ${n + 1}`)),
      ).filter((script) => script !== undefined),
    );
  const coinjoins = scripts('coinjoin');
  const changes = scripts('change');
  return maker.wallet.record.signed.every(({ transaction, inputs }) => {
    const { outputs } = RawTx.decode(transaction);
    const paid = (own: ReadonlySet<string>): readonly bigint[] =>
      outputs.flatMap(({ script, amount }) => (own.has(bytesToHex(script)) ? [amount] : []));
    const brought = inputs.reduce((sum, { coin }) => sum + coin.value, 0);
    const [change = 0n] = paid(changes);
    return (
      paid(coinjoins).join(',') === String(AMOUNT) &&
      paid(changes).length === 1 &&
      change >= BigInt(brought - AMOUNT + EARNED)
    );
  });
}

/** The next action of an attacker on the way; `pick` chooses the message. */
type Action =
  | { readonly kind: 'deliver' | 'twice' | 'drop' | 'replay'; readonly pick: number }
  | { readonly kind: 'relabel'; readonly pick: number; readonly command: CommandName }
  | { readonly kind: 'misdeliver' | 'corrupt'; readonly pick: number; readonly to: number }
  | { readonly kind: 'away' | 'back'; readonly who: number }
  /** An old `error` of a maker, sent to the taker by a peer that relayed it. */
  | { readonly kind: 'old-error'; readonly who: number }
  | { readonly kind: 'wait'; readonly ms: number };

const pick = fc.nat(1_000);
const WORDS = ['fill', 'pubkey', 'auth', 'ioauth', 'tx', 'sig', 'push', 'error'] as const;
const anyAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 14, arbitrary: fc.record({ kind: fc.constant('deliver' as const), pick }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('twice' as const, 'drop', 'replay'), pick }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('relabel' as const),
      pick,
      command: fc.constantFrom(...WORDS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('misdeliver' as const, 'corrupt'),
      pick,
      to: fc.nat(5_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('away' as const, 'back'), who: fc.nat(3) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('old-error' as const), who: fc.nat(2) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(40_000) }) },
);

function changedAt(text: string, at: number): string {
  const index = at % Math.max(1, text.length);
  return `${text.slice(0, index)}${text[index] === 'A' ? 'B' : 'A'}${text.slice(index + 1)}`;
}

function act(
  action: Action,
  office: MessageExchange,
  clock: TestClock,
  nicks: readonly string[],
): void {
  const { pending, history } = office;
  const take = (n: number): HeldMessage | undefined =>
    pending.splice(n % Math.max(1, pending.length), 1)[0];
  switch (action.kind) {
    case 'wait':
      clock.advance(action.ms);
      return;
    case 'away':
    case 'back': {
      const nick = nicks[action.who % nicks.length] ?? '';
      if (action.kind === 'back') office.away.delete(nick);
      else {
        office.away.add(nick);
        office.tellGone(nick);
      }
      return;
    }
    case 'old-error': {
      const [taker = '', ...makers] = nicks;
      const from = makers[action.who] ?? '';
      office.deliver({ from, to: taker, command: 'error', args: 'oid not found' });
      return;
    }
    case 'replay': {
      const old = history[action.pick % Math.max(1, history.length)];
      if (old !== undefined) office.deliver(old);
      return;
    }
    case 'deliver':
    case 'twice':
    case 'drop':
    case 'relabel':
    case 'misdeliver':
    case 'corrupt': {
      const mail = take(action.pick);
      if (mail === undefined || action.kind === 'drop') return;
      if (action.kind === 'relabel') office.deliver({ ...mail, command: action.command });
      if (action.kind === 'misdeliver') {
        office.deliver({ ...mail, to: nicks[action.to % nicks.length] ?? '' });
      }
      if (action.kind === 'corrupt') {
        office.deliver({ ...mail, args: changedAt(mail.args, action.to) });
      }
      office.deliver(mail);
      if (action.kind === 'twice') office.deliver(mail);
    }
  }
}

async function underAttack(actions: readonly Action[], heal: boolean): Promise<RoundResult> {
  const clock = createTestClock();
  const chain = createMemoryChain();
  const office = createMessageExchange();
  const makers = ['J5one', 'J5two', 'J5three'].map((nick) =>
    startTestMaker(nick, office, chain, clock),
  );
  const wallet = createTakerWallet('taker', mintFor(chain, 'taker', [1_500_000, 900_000]));
  const nicks = ['J5taker', ...makers.map(({ nick }) => nick)];
  const running = runCoinjoin({
    channel: office.open('J5taker'),
    network: 'signet',
    wallet,
    chain,
    commitments: createMemoryCommitments(),
    amount: AMOUNT,
    makers: 2,
    candidates: makers.map(({ nick }) => ({ nick, offer: OFFER })),
    policy: { minimumMakers: 1, maxCjFeeAbs: EARNED },
    clock,
    randomBytes,
    log: silentLog,
  });
  const results: RoundResult[] = [];
  void running.then((value) => results.push(value));
  await nextTurn();
  for (const next of actions) {
    act(next, office, clock, nicks);
    await nextTurn();
  }
  office.away.clear();
  // From here on all messages arrive, or none.
  for (let turn = 0; turn < 400 && results.length === 0; turn += 1) {
    const mails = office.pending.splice(0);
    if (heal) for (const mail of mails) office.deliver(mail);
    clock.advance(2_000);
    await nextTurn();
  }
  for (let turn = 0; turn < 20; turn += 1) {
    clock.advance(100_000);
    await nextTurn();
  }
  const [result] = results;
  if (result === undefined) throw new Error('the round did not end');
  const faults: string[] = [];
  for (const maker of makers) {
    const { record } = maker.wallet;
    if (!everySignaturePays(maker)) faults.push(`${maker.nick} signed without its payment`);
    if (maker.sessions.size > 0) faults.push(`${maker.nick} keeps a session`);
    const kept = record.settlements.includes('signed');
    if (!kept && record.reserved.size > 0) faults.push(`${maker.nick} keeps coins`);
    maker.sessions.close();
  }
  if (clock.pending > 0) faults.push(`${clock.pending} timers are left`);
  // Only the listeners of the makers remain.
  if (office.listeners > makers.length) faults.push(`${office.listeners} listeners are left`);
  if (!result.ok && result.transaction === undefined && wallet.record.reserved.size > 0) {
    faults.push('the taker keeps coins');
  }
  // An accepted transaction verified; a transaction that is reported exists.
  if (result.ok && chain.accepted.length !== 1) faults.push('reported, but not accepted');
  if (result.ok) {
    // For any number of makers asked, at most the wanted number is paid, and none above the limit.
    const { outputs } = RawTx.decode(result.transaction);
    const equal = outputs.filter(({ amount }) => amount === BigInt(AMOUNT)).length;
    if (equal > 3) faults.push(`${equal - 1} makers were paid`);
    const signed = result.makers.filter(({ step }) => step === 'signed').length;
    if (equal !== signed + 1) faults.push(`${signed} makers are reported as signers`);
  }
  if (faults.length > 0) throw new Error(faults.join('; '));
  return result;
}

const PATIENCE = { timeout: 200_000 };

t.test(
  'random orders, copies, replays, other commands, wrong boxes, absences',
  PATIENCE,
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyAction, { maxLength: 60 }),
        fc.boolean(),
        async (actions, heal) => {
          await underAttack(actions, heal);
        },
      ),
      { numRuns: 14 },
    );
    t.match(await underAttack([], true), { ok: true }, 'without an attack it is completed');
  },
);

t.test('copies, other commands and false boxes alone never stop a round', PATIENCE, async (t) => {
  const harmless = fc.oneof(
    fc.record({ kind: fc.constantFrom('deliver' as const, 'twice', 'replay'), pick }),
    fc.record({
      kind: fc.constant('relabel' as const),
      pick,
      command: fc.constantFrom(...WORDS),
    }),
    fc.record({ kind: fc.constant('old-error' as const), who: fc.nat(2) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(harmless, { maxLength: 60 }), async (actions) => {
      const result = await underAttack(actions, true);
      if (!result.ok) throw new Error(`${result.fault}: ${result.detail}`);
    }),
    { numRuns: 6 },
  );
  t.pass('all rounds were completed');
});

/** A taker with full control of its keys, up to the point where it may send any transaction. */
async function tillTransaction(nick: string) {
  const clock = createTestClock();
  const chain = createMemoryChain();
  const office = createMessageExchange();
  const maker = startTestMaker('J5maker', office, chain, clock);
  const [coin] = mintFor(chain, nick, [2_000_000]);
  const podle = await createTakerWallet(nick, coin === undefined ? [] : [coin]).commit(
    AMOUNT,
    new AbortController().signal,
  );
  if (podle === undefined || coin === undefined) throw new Error('a coin and its proof');
  const say = postVoice(office, maker.nick, nick);
  const named = await approach({ say, nick, amount: AMOUNT, podle });
  if (!isNamed(named)) throw new Error(named[0]?.args ?? 'silence');
  const { io, box, sayBoxed } = named;
  const brought = maker.coins
    .filter((own) => maker.wallet.record.reserved.has(formatOutpoint(own)))
    .reduce((sum, { value }) => sum + value, 0);
  const own = {
    coinjoin: named.coinjoinScript,
    change: named.changeScript,
    least: brought - AMOUNT + EARNED,
  };
  return { maker, clock, coin, io, own, box, sayBoxed, say };
}

t.test('a maker signs only a transaction that pays it', PATIENCE, async (t) => {
  const mutation = fc.record({
    coinjoin: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, -1, 1),
    change: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 5, -1, -EARNED),
    coinjoinTwice: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    changeTwice: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    withoutCoin: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    swapped: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    order: fc.nat(5),
  });
  let signed = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(mutation, async (change) => {
      const { maker, clock, coin, io, own, box, sayBoxed } = await tillTransaction('J5evil');
      const outputs: TransactionOutput[] = [
        { script: own.coinjoin, value: AMOUNT + change.coinjoin },
        { script: own.change, value: own.least + change.change },
        { script: addressScript('signet', addressOf('evil')) ?? '', value: AMOUNT },
      ];
      const [first, second] = outputs;
      if (first === undefined || second === undefined) throw new Error('outputs');
      if (change.coinjoinTwice) outputs.push(first);
      if (change.changeTwice) outputs.push(second);
      if (change.swapped) {
        outputs.splice(0, 2, { ...first, script: own.change }, { ...second, script: own.coinjoin });
      }
      outputs.push(...outputs.splice(0, change.order));
      const kept = change.withoutCoin ? io.coins.slice(1) : io.coins;
      const inputs = [coin, ...kept].map(({ txid, vout }) => ({ txid, vout, sequence: 1 }));
      const tx = buildUnsigned(inputs, outputs, 0);
      if (!tx.ok) throw new Error(tx.reason);
      const pays =
        change.coinjoin === 0 &&
        change.change >= 0 &&
        !change.coinjoinTwice &&
        !change.changeTwice &&
        !change.withoutCoin &&
        !change.swapped;
      const answers = await sayBoxed('tx', formatTransactionText(tx.value.bytes));
      const given = answers.filter(({ command }) => command === 'sig');
      if (given.length !== (pays ? io.coins.length : 0)) throw new Error('the wrong signatures');
      if (maker.wallet.record.signed.length !== (pays ? 1 : 0)) throw new Error('wallet was asked');
      for (const { args } of given) {
        const text = box.decrypt([args]);
        if (!text.ok || !parseSignatureText(text.value).ok) throw new Error('no signature');
      }
      if (pays) signed += 1;
      else refused += 1;
      if (!pays && answers[0]?.command !== 'error') throw new Error('no reason was given');
      maker.sessions.close();
      if (clock.pending > 0) throw new Error('timers are left');
      const expected = pays ? 'signed' : 'unsigned';
      if (maker.wallet.record.settlements.join() !== expected) throw new Error('coins are kept');
    }),
    { numRuns: 20 },
  );
  t.pass(`${signed} signed, ${refused} refused`);
});

t.test('a second transaction is not signed, and too many bad ones end the session', async (t) => {
  const { maker, coin, io, own, sayBoxed, say } = await tillTransaction('J5evil');
  const transaction = (lockTime: number, less = 0): string => {
    const tx = buildUnsigned(
      [coin, ...io.coins].map(({ txid, vout }) => ({ txid, vout, sequence: 1 })),
      [
        { script: own.coinjoin, value: AMOUNT },
        { script: own.change, value: own.least - less },
      ],
      lockTime,
    );
    if (!tx.ok) throw new Error(tx.reason);
    return formatTransactionText(tx.value.bytes);
  };
  t.match(await sayBoxed('tx', transaction(0, 1)), [{ command: 'error', args: /does not pay/ }]);
  t.match(await sayBoxed('tx', 'no base64'), [{ command: 'error' }]);
  const first = await sayBoxed('tx', transaction(1));
  t.equal(first.length, io.coins.length);
  t.strictSame(await sayBoxed('tx', transaction(2)), [], 'no second signature');
  t.equal(maker.wallet.record.signed.length, 1);
  t.strictSame(await say('push', formatTransactionText(hexToBytes('00'.repeat(60)))), []);
  t.equal(maker.sessions.size, 1, 'foreign transactions are not broadcast');

  const other = await tillTransaction('J5evil');
  for (const less of [1, 2, 3]) await other.sayBoxed('tx', transaction(0, less));
  t.match(other.maker.outcomes, [{ result: 'failed', by: 'taker', step: 'tx', fault: 'payment' }]);
  t.strictSame(other.maker.wallet.record.settlements, ['unsigned']);
  t.equal(other.maker.wallet.record.reserved.size, 0);
});

/** Coins and addresses of a wallet that gives them to several sessions at once. */
const POOL_VALUES = [1_500_000, 1_700_000, 1_900_000, 2_100_000];
const POOL_ADDRESSES = 4;
/** The most that two coins leave. */
const MOST_CHANGE = 1_900_000 + 2_100_000 - AMOUNT + EARNED;

/** The actions of takers with one owner against one maker; numbers choose by remainder. */
type Deed =
  | {
      readonly kind: 'meet';
      readonly nick: number;
      readonly coins: readonly number[];
      readonly coinjoin: number;
      readonly change: number;
    }
  /** One transaction, sent to each session, that satisfies each one alone at the least cost. */
  | { readonly kind: 'ask'; readonly sessions: readonly number[] }
  /** All coins that the maker ever had, and the addresses of one session. */
  | { readonly kind: 'ask-all'; readonly session: number }
  /** An earlier transaction. */
  | { readonly kind: 'ask-again'; readonly session: number; readonly tx: number }
  | { readonly kind: 'replay'; readonly mail: number }
  | { readonly kind: 'seen'; readonly coin: number }
  | { readonly kind: 'wait'; readonly minutes: number }
  | { readonly kind: 'restart' };

const some = fc.array(fc.nat(POOL_VALUES.length - 1), { minLength: 1, maxLength: 2 });
const anyDeed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('meet' as const),
      nick: fc.nat(5),
      coins: some.map((coins) => [...new Set(coins)]),
      coinjoin: fc.nat(POOL_ADDRESSES - 1),
      change: fc.nat(POOL_ADDRESSES - 1),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      sessions: fc.oneof(
        // The latest sessions, or any.
        fc.integer({ min: 1, max: 3 }).map((n) => Array.from({ length: n }, (_, i) => -1 - i)),
        fc.array(fc.nat(20), { minLength: 1, maxLength: 4 }),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('ask-all' as const), session: fc.nat(20) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('ask-again' as const),
      session: fc.nat(20),
      tx: fc.nat(20),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('replay' as const), mail: pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('seen' as const), coin: fc.nat(5) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      minutes: fc.constantFrom(1, 4, 6, 59, 60, 61),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);

/** The cheapest transaction that satisfies each of these sessions alone. */
function contenting(wallet: CollidingWallet, sessions: readonly Named[]) {
  const coins = new Map<string, TestCoin>();
  const outputs = new Map<string, number>();
  const atLeast = (script: string, value: number): void => {
    outputs.set(script, Math.max(value, outputs.get(script) ?? 0));
  };
  for (const { io, changeScript } of sessions) {
    const own = wallet.coins.filter((coin) =>
      io.coins.some((named) => formatOutpoint(named) === formatOutpoint(coin)),
    );
    for (const coin of own) coins.set(formatOutpoint(coin), coin);
    atLeast(changeScript, own.reduce((sum, { value }) => sum + value, 0) - AMOUNT + EARNED);
  }
  for (const { coinjoinScript } of sessions) outputs.set(coinjoinScript, AMOUNT);
  return transactionOf(
    [...coins.values()],
    [...outputs].map(([script, value]) => ({ script, value })),
  );
}

interface Told {
  readonly signed: number;
  readonly clashes: number;
}

/** Carries the actions out; throws when the maker loses money. */
async function underDeeds(deeds: readonly Deed[]): Promise<Told> {
  const clock = createTestClock();
  const chain = createMemoryChain();
  const office = createMessageExchange();
  const channel = office.open('J5maker');
  const coins = mintFor(chain, 'maker', POOL_VALUES);
  let handout = { coins: [0], coinjoin: 0, change: 1 };
  const wallet = createCollidingWallet('maker', coins, POOL_ADDRESSES, () => handout);
  const outcomes: MakerOutcome[] = [];
  const startSessions = () =>
    new MakerSessions({
      channel,
      network: 'signet',
      offers: [OFFER],
      wallet,
      chain,
      commitments: createMemoryCommitments(),
      policy: DEFAULT_MAKER_POLICY,
      limits: { unproven: 10, proven: 10 },
      limiter: createRequestLimiter(clock, {
        ...DEFAULT_REQUEST_LIMITS,
        fillsPerNick: 1_000,
        fillsPerLink: 100,
      }),
      clock,
      randomBytes,
      log: silentLog,
      onOutcome: (_, outcome) => outcomes.push(outcome),
    });
  let running = startSessions();
  channel.on('privmsg', (message) => running.receive(message));
  const mails: HeldMessage[] = [];
  const recording: MessageExchange = {
    ...office,
    deliver(mail) {
      mails.push(mail);
      office.deliver(mail);
    },
  };
  const taker = createTakerWallet(
    'evil',
    mintFor(
      chain,
      'evil',
      Array.from(deeds, () => 2e6),
    ),
  );
  const met: Named[] = [];
  const asked: UnsignedTransaction[] = [];
  const chosen = (n: number): Named | undefined => met.at(n % Math.max(1, met.length));

  for (const deed of deeds) {
    switch (deed.kind) {
      case 'meet': {
        handout = { ...deed, coins: [...deed.coins] };
        const podle = await taker.commit(AMOUNT, new AbortController().signal);
        if (podle === undefined) throw new Error('a proof');
        const nick = `J5evil${deed.nick}`;
        const say = postVoice(recording, 'J5maker', nick);
        const named = await approach({ say, nick, amount: AMOUNT, podle });
        if (isNamed(named)) met.push(named);
        break;
      }
      case 'ask': {
        const sessions = [...new Set(deed.sessions.flatMap((n) => chosen(n) ?? []))];
        if (sessions.length === 0) break;
        const tx = contenting(wallet, sessions);
        asked.push(tx);
        for (const session of sessions) await session.sendTransaction(tx);
        break;
      }
      case 'ask-all': {
        const session = chosen(deed.session);
        if (session === undefined) break;
        const tx = transactionOf(coins, [
          { script: session.coinjoinScript, value: AMOUNT },
          { script: session.changeScript, value: MOST_CHANGE },
        ]);
        asked.push(tx);
        await session.sendTransaction(tx);
        break;
      }
      case 'ask-again': {
        const tx = asked[deed.tx % Math.max(1, asked.length)];
        if (tx !== undefined) await chosen(deed.session)?.sendTransaction(tx);
        break;
      }
      case 'replay': {
        const mail = mails[deed.mail % Math.max(1, mails.length)];
        if (mail !== undefined) office.deliver(mail);
        await nextTurn();
        break;
      }
      case 'seen': {
        const coin = coins[deed.coin % coins.length];
        if (coin !== undefined) chain.remove(coin);
        break;
      }
      case 'wait':
        clock.advance(deed.minutes * 60_000);
        break;
      case 'restart':
        running.close();
        running = startSessions();
        break;
    }
    await nextTurn();
  }
  running.close();
  const loss = lossOf(wallet, EARNED);
  if (loss !== undefined) throw new Error(loss);
  if (running.size > 0 || clock.pending > 0) throw new Error('a session or a timer is left');
  const clashes = outcomes.filter(
    (outcome) => outcome.result === 'failed' && outcome.fault === 'bad-reservation',
  );
  return { signed: wallet.record.signed.length, clashes: clashes.length };
}

t.test('coins and addresses that collide cost a maker no money', PATIENCE, async (t) => {
  const first: Deed = { kind: 'meet', nick: 0, coins: [0], coinjoin: 0, change: 1 };
  const both: Deed = { kind: 'ask', sessions: [0, 1] };
  const hour: Deed = { kind: 'wait', minutes: 61 };
  // Each of these robbed a maker that knew only one session.
  const robberies: readonly (readonly Deed[])[] = [
    [first, { ...first, nick: 1, coins: [1], change: 2 }, both],
    [first, { ...first, nick: 1, coins: [1], coinjoin: 2 }, both],
    [first, { ...first, nick: 1, coins: [1], coinjoin: 1, change: 2 }, both],
    [first, { ...first, nick: 1, coins: [1], coinjoin: 2, change: 0 }, both],
    [
      { ...first, coins: [0, 1] },
      { kind: 'ask-all', session: 0 },
      hour,
      { ...first, nick: 1, coins: [0, 2] },
      { kind: 'ask-all', session: 1 },
    ],
  ];
  for (const deeds of robberies) {
    const { signed } = await underDeeds(deeds);
    t.ok(signed > 0, 'one transaction is signed');
  }
  let signed = 0;
  let clashes = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(anyDeed, { minLength: 2, maxLength: 16 }), async (deeds) => {
      const told = await underDeeds(deeds);
      signed += told.signed;
      clashes += told.clashes;
    }),
    { numRuns: 50 },
  );
  t.pass(`${signed} signed, ${clashes} reservations refused`);
});
