/** Both machines against everything that can be done to messages on their way. */
import { RawTx } from '@scure/btc-signer/script.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import * as fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { runCoinjoin } from '../../src/negotiation/coinjoin.js';
import { createDoor, DEFAULT_DOOR_LIMITS } from '../../src/negotiation/door.js';
import { DEFAULT_MAKER_POLICY, type MakerOutcome } from '../../src/negotiation/maker-api.js';
import { createMakerSessions, type MakerSessions } from '../../src/negotiation/maker-sessions.js';
import type { RoundResult } from '../../src/negotiation/taker-api.js';
import {
  formatFill,
  formatTransactionText,
  parseIoAuth,
  parseSignatureText,
} from '../../src/negotiation/texts.js';
import {
  addressScript,
  buildUnsigned,
  type TransactionOutput,
} from '../../src/negotiation/transaction.js';
import type { CommandName } from '../../src/protocol/commands.js';
import { createBoxKeyPair, openBoxSession } from '../../src/protocol/encryption.js';
import type { Offer } from '../../src/protocol/offer.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import { formatRevelation } from '../../src/protocol/podle.js';
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
import { createPostOffice, type Mail, type PostOffice } from '../helpers/mail.js';
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
/** All that a maker brings, less what it must get back at least. */
const EARNED = 1_000;

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface TestMaker {
  readonly nick: string;
  readonly coins: readonly TestCoin[];
  readonly wallet: TestMakerWallet;
  readonly sessions: MakerSessions;
  readonly outcomes: MakerOutcome[];
}

function startTestMaker(
  nick: string,
  office: PostOffice,
  chain: MemoryChain,
  clock: TestClock,
): TestMaker {
  const channel = office.open(nick);
  const coins = mintFor(chain, nick, [600_000, 700_000, 1_500_000]);
  const wallet = createMakerWallet(nick, coins);
  const outcomes: MakerOutcome[] = [];
  const sessions = createMakerSessions({
    channel,
    network: 'signet',
    offers: [OFFER],
    wallet,
    chain,
    commitments: createMemoryCommitments(),
    policy: DEFAULT_MAKER_POLICY,
    limits: { unproven: 3, proven: 2 },
    door: createDoor(clock, { ...DEFAULT_DOOR_LIMITS, fillsPerNick: 1_000 }),
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

/** What an enemy on the way does next; `pick` chooses the message. */
type Action =
  | { readonly kind: 'deliver' | 'twice' | 'drop' | 'replay'; readonly pick: number }
  | { readonly kind: 'relabel'; readonly pick: number; readonly command: CommandName }
  | { readonly kind: 'misdeliver' | 'corrupt'; readonly pick: number; readonly to: number }
  | { readonly kind: 'away' | 'back'; readonly who: number }
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
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(40_000) }) },
);

function changedAt(text: string, at: number): string {
  const index = at % Math.max(1, text.length);
  return `${text.slice(0, index)}${text[index] === 'A' ? 'B' : 'A'}${text.slice(index + 1)}`;
}

function act(action: Action, office: PostOffice, clock: TestClock, nicks: readonly string[]): void {
  const { pending, history } = office;
  const take = (n: number): Mail | undefined =>
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
  const office = createPostOffice();
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
  await settle();
  for (const next of actions) {
    act(next, office, clock, nicks);
    await settle();
  }
  office.away.clear();
  // From here on the post works again, or nothing arrives at all.
  for (let turn = 0; turn < 400 && results.length === 0; turn += 1) {
    const mails = office.pending.splice(0);
    if (heal) for (const mail of mails) office.deliver(mail);
    clock.advance(2_000);
    await settle();
  }
  for (let turn = 0; turn < 20; turn += 1) {
    clock.advance(100_000);
    await settle();
  }
  const [result] = results;
  if (result === undefined) throw new Error('the round never ended');
  const faults: string[] = [];
  for (const maker of makers) {
    const { record } = maker.wallet;
    if (!everySignaturePays(maker)) faults.push(`${maker.nick} signed what does not pay`);
    if (maker.sessions.size > 0) faults.push(`${maker.nick} keeps a session`);
    const kept = record.settlements.includes('signed');
    if (!kept && record.reserved.size > 0) faults.push(`${maker.nick} keeps coins`);
    maker.sessions.close();
  }
  if (clock.pending > 0) faults.push(`${clock.pending} timers are left`);
  // Only the listeners of the makers themselves.
  if (office.listeners > makers.length) faults.push(`${office.listeners} listeners are left`);
  if (!result.ok && result.transaction === undefined && wallet.record.reserved.size > 0) {
    faults.push('the taker keeps coins');
  }
  // What was accepted verified; what is told to be done is there.
  if (result.ok && chain.accepted.length !== 1) faults.push('told, and not done');
  if (faults.length > 0) throw new Error(faults.join('; '));
  return result;
}

const PATIENCE = { timeout: 200_000 };

t.test(
  'random orders, copies, replays, other words, wrong boxes, absences',
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
    t.match(await underAttack([], true), { ok: true }, 'and in peace it is completed');
  },
);

t.test('copies, other words and false boxes alone never stop a round', PATIENCE, async (t) => {
  const harmless = fc.oneof(
    fc.record({ kind: fc.constantFrom('deliver' as const, 'twice', 'replay'), pick }),
    fc.record({
      kind: fc.constant('relabel' as const),
      pick,
      command: fc.constantFrom(...WORDS),
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(harmless, { maxLength: 60 }), async (actions) => {
      const result = await underAttack(actions, true);
      if (!result.ok) throw new Error(`${result.fault}: ${result.detail}`);
    }),
    { numRuns: 6 },
  );
  t.pass('all were completed');
});

const scriptOf = (address: string): string => addressScript('signet', address) ?? '';

/** A taker in full command of its keys, up to the point where it may send any transaction. */
async function tillTransaction(nick: string) {
  const clock = createTestClock();
  const chain = createMemoryChain();
  const office = createPostOffice();
  const maker = startTestMaker('J5maker', office, chain, clock);
  const [coin] = mintFor(chain, nick, [2_000_000]);
  const podle = await createTakerWallet(nick, coin === undefined ? [] : [coin]).commit(
    AMOUNT,
    new AbortController().signal,
  );
  if (podle === undefined || coin === undefined) throw new Error('a coin and its proof');
  const keys = createBoxKeyPair(randomBytes);
  const say = async (command: CommandName, args: string): Promise<readonly Mail[]> => {
    office.pending.length = 0;
    office.deliver({ from: nick, to: maker.nick, command, args });
    for (let turn = 0; turn < 6; turn += 1) await settle();
    return office.pending.splice(0);
  };
  office.open(nick);
  const { commitment, revelation } = podle;
  const takerKey = keys.publicKeyHex;
  const [pubkey] = await say('fill', formatFill({ oid: 0, amount: AMOUNT, takerKey, commitment }));
  const box = openBoxSession(keys, pubkey?.args.split(' ')[0] ?? '');
  if (!box.ok) throw new Error('a key');
  const sayBoxed = (command: CommandName, text: string): Promise<readonly Mail[]> =>
    say(command, box.value.encrypt(text, randomBytes));
  const [ioauth] = await sayBoxed('auth', formatRevelation(revelation));
  const io = box.value.decrypt([ioauth?.args ?? '']);
  const parsed = io.ok ? parseIoAuth(io.value) : io;
  if (!parsed.ok) throw new Error(parsed.reason);
  const brought = maker.coins
    .filter((own) => maker.wallet.record.reserved.has(formatOutpoint(own)))
    .reduce((sum, { value }) => sum + value, 0);
  const own = {
    coinjoin: scriptOf(parsed.value.coinjoinAddress),
    change: scriptOf(parsed.value.changeAddress),
    least: brought - AMOUNT + EARNED,
  };
  return { maker, clock, coin, io: parsed.value, own, box: box.value, sayBoxed, say };
}

t.test('a maker signs what pays it, and nothing else', PATIENCE, async (t) => {
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

t.test('a second transaction is not signed, and too many bad ones end it', async (t) => {
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
  t.strictSame(await sayBoxed('tx', transaction(2)), [], 'no second one');
  t.equal(maker.wallet.record.signed.length, 1);
  t.strictSame(await say('push', formatTransactionText(hexToBytes('00'.repeat(60)))), []);
  t.equal(maker.sessions.size, 1, 'foreign transactions are not spread');

  const other = await tillTransaction('J5evil');
  for (const less of [1, 2, 3]) await other.sayBoxed('tx', transaction(0, less));
  t.match(other.maker.outcomes, [{ result: 'failed', by: 'taker', step: 'tx', fault: 'payment' }]);
  t.strictSame(other.maker.wallet.record.settlements, ['unsigned']);
  t.equal(other.maker.wallet.record.reserved.size, 0);
});
