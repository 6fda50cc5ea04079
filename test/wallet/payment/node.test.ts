/** What a real node says to planned payments: sizes, floors, dust, replacement, bonds, PSBT. */
import { randomBytes } from 'node:crypto';
import { bytesToHex } from '@noble/hashes/utils.js';
import t, { type Test } from 'tap';
import { parseTransaction } from '../../../src/bitcoin/transaction.js';
import { BRANCH, type PaymentPlan, type PaymentRequest } from '../../../src/wallet/api.js';
import { planBump } from '../../../src/wallet/payment/bump.js';
import { draftPayment, type Draft } from '../../../src/wallet/payment/draft.js';
import { planPayment } from '../../../src/wallet/payment/plan.js';
import { childNumbers, paymentPsbt } from '../../../src/wallet/payment/psbt.js';
import type { SignedTransaction } from '../../../src/wallet/requests.js';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import { startBitcoinNode, type BitcoinNode } from '../../helpers/bitcoin-node.js';
import {
  signableCoin,
  signDraft,
  type PaperKind,
  type SignableCoin,
} from '../../helpers/paper-signer.js';
import { paperPlan, SCRIPTS } from '../../helpers/wallet-coins.js';

const CHANGE = `0014${'77'.repeat(20)}`;
const LOCK_TIME = 1_798_761_600; // 2027-01-01

/** A coin with its key, at a height. */
interface MinedCoin extends SignableCoin {
  readonly height: number;
}

/** A block whose reward goes to a fresh key. */
async function mineTo(node: BitcoinNode, kind: PaperKind): Promise<MinedCoin> {
  const key = signableCoin(kind, 0, kind === 'bond' ? LOCK_TIME : undefined);
  const hash = await node.mine(1, key.coin.script);
  const block = await node.rpc<{
    height: number;
    tx: { txid: string; vout: { value: number }[] }[];
  }>('getblock', hash, 2);
  const [reward] = block.tx;
  if (reward === undefined) throw new Error('a block has a reward');
  const value = Math.round((reward.vout[0]?.value ?? 0) * 1e8);
  return { ...key, coin: { ...key.coin, txid: reward.txid, vout: 0, value }, height: block.height };
}

interface TestAnswer {
  readonly allowed?: boolean;
  readonly vsize?: number;
  readonly fees?: { readonly base: number };
  readonly 'reject-reason'?: string;
}

async function accepts(node: BitcoinNode, ...txs: readonly Uint8Array[]): Promise<TestAnswer> {
  const answers = await node.rpc<TestAnswer[]>('testmempoolaccept', txs.map(bytesToHex));
  return answers.at(-1) ?? {};
}

async function tipOf(node: BitcoinNode): Promise<{
  readonly height: number;
  readonly hash: string;
  readonly time: number;
  readonly medianTime: number;
}> {
  const info = await node.rpc<{
    blocks: number;
    bestblockhash: string;
    time: number;
    mediantime: number;
  }>('getblockchaininfo');
  const { blocks: height, bestblockhash: hash, time, mediantime: medianTime } = info;
  return { height, hash, time, medianTime };
}

interface Made {
  readonly plan: PaymentPlan;
  readonly draft: Draft;
  readonly bytes: Uint8Array;
}

/** Plans and signs a payment from exactly these coins. */
async function made(
  node: BitcoinNode,
  keys: readonly SignableCoin[],
  request: Partial<PaymentRequest>,
): Promise<Made> {
  const coins = keys.map(({ coin }) => coin);
  const input = paperPlan(
    coins,
    { coins, script: SCRIPTS.p2tr, ...request },
    { tip: await tipOf(node), minimumFeePerKb: undefined },
  );
  const plan = planPayment(input);
  const change = plan.change === undefined ? undefined : CHANGE;
  const draft = draftPayment(plan, change, (count) => randomBytes(count));
  return { plan, draft, bytes: signDraft(draft, keys) };
}

async function sizes(t: Test, node: BitcoinNode, keys: readonly MinedCoin[]): Promise<void> {
  const { plan, bytes } = await made(node, keys, { amount: 1_000_000, feePerKb: 2_345 });
  const answer = await accepts(node, bytes);
  t.strictSame([answer.allowed, answer.fees?.base], [true, plan.fee / 1e8], 'its fee is planned');
  t.ok(plan.vsize - (answer.vsize ?? 0) <= 1, `${answer.vsize} vB of ${plan.vsize} planned`);
  const rate = (plan.fee * 1_000) / (answer.vsize ?? 1);
  t.ok(
    rate >= 2_345 && plan.fee <= Math.ceil(((answer.vsize ?? 0) + 1) * 2.345),
    `${rate} sat/kvB`,
  );
}

async function floors(t: Test, node: BitcoinNode, key: MinedCoin): Promise<void> {
  const { minrelaytxfee } = await node.rpc<{ minrelaytxfee: number }>('getmempoolinfo');
  const floor = Math.round(minrelaytxfee * 1e8);
  const at = await made(node, [key], { amount: 'all', feePerKb: floor });
  t.ok((await accepts(node, at.bytes)).allowed, `${floor} sat/kvB is the floor`);
  const below = await made(node, [key], { amount: 'all', feePerKb: floor - 20 });
  t.equal((await accepts(node, below.bytes))['reject-reason'], 'min relay fee not met');
}

async function dust(t: Test, node: BitcoinNode, key: MinedCoin): Promise<void> {
  const rest = key.coin.value - 154;
  const rows: readonly (readonly [string, number, number])[] = [
    ['p2wpkh', 294, 293],
    ['p2tr', 330, 329],
    ['p2pkh', 546, 545],
    ['p2sh', 540, 539],
    ['p2wsh', 330, 329],
  ];
  for (const [kind, least, refused] of rows) {
    const script = Object.entries(SCRIPTS).find(([name]) => name === kind)?.[1] ?? '';
    const { draft } = await made(node, [key], { amount: 1_000_000 });
    const paying = (value: number): Uint8Array =>
      signDraft(
        {
          ...draft,
          outputs: [
            { script, value },
            { script: CHANGE, value: rest - 2_000 },
          ],
        },
        [key],
      );
    t.ok((await accepts(node, paying(least))).allowed, `${least} sat to ${kind}`);
    t.match((await accepts(node, paying(refused)))['reject-reason'], /dust/, `${refused} sat`);
  }
}

/** What the journal has of a payment. */
function journalEntry(bytes: Uint8Array, plan: PaymentPlan): SignedTransaction {
  const parsed = parseTransaction(bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  return {
    unsignedTxid: parsed.value.txid,
    kind: 'send',
    transaction: bytes,
    txid: parsed.value.txid,
    bytes,
    coins: plan.inputs,
    signedAt: 0,
    height: 0,
    replaces: undefined,
    state: 'pending',
    seen: true,
    label: undefined,
  };
}

function sizeOf(bytes: Uint8Array): number {
  const parsed = parseTransaction(bytes);
  return parsed.ok ? parsed.value.vsize : 0;
}

async function replacement(t: Test, node: BitcoinNode, key: MinedCoin): Promise<void> {
  const first = await made(node, [key], { amount: 1_000_000, feePerKb: 3_000 });
  await node.rpc('sendrawtransaction', bytesToHex(first.bytes));
  const { incrementalrelayfee } = await node.rpc<{ incrementalrelayfee: number }>('getmempoolinfo');
  const increment = Math.round(incrementalrelayfee * 1e8);
  const parsed = parseTransaction(first.bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  const tip = await tipOf(node);
  const bumped = (feePerKb: number): PaymentPlan =>
    planBump({
      ...paperPlan([], {}, { tip, minimumFeePerKb: increment }),
      signed: journalEntry(first.bytes, first.plan),
      transaction: parsed.value,
      coins: [{ ...key.coin, hold: 'signed' }],
      placeOf: (script) =>
        script === CHANGE ? { mixdepth: 0, branch: BRANCH.internal, index: 0 } : undefined,
      feePerKb,
    });
  t.throws(() => bumped(3_000 + increment - 7), /nodes replace it from/);
  const plan = bumped(3_000 + increment);
  t.strictSame([plan.payment, plan.replaces], [first.plan.payment, parsed.value.txid]);
  // One signature in some hundred is shorter than usual, and then a satoshi less may do: the longest of eight is usual.
  const sign = (fee: number): Uint8Array => {
    const change = { value: (plan.change?.value ?? 0) + plan.fee - fee, mixdepth: 0 };
    const signed = Array.from({ length: 8 }, () => {
      const draft = draftPayment({ ...plan, change }, CHANGE, (count) => randomBytes(count));
      return signDraft(draft, [key]);
    });
    return signed.reduce((longest, each) => (sizeOf(each) > sizeOf(longest) ? each : longest));
  };
  const tooLow = await accepts(node, sign(plan.fee - 1));
  t.match(tooLow['reject-reason'], /insufficient fee/, 'one satoshi less is refused');
  t.ok((await accepts(node, sign(plan.fee))).allowed, `${plan.fee - first.plan.fee} sat more`);
}

/** The parts of `decodepsbt` that are compared. */
interface DecodedPsbt {
  readonly inputs: readonly {
    readonly witness_utxo: { readonly amount: number; readonly scriptPubKey: { hex: string } };
    readonly sighash: string;
    readonly redeem_script?: { readonly hex: string };
    readonly witness_script?: { readonly hex: string };
    readonly bip32_derivs: readonly {
      readonly pubkey: string;
      readonly master_fingerprint: string;
      readonly path: string;
    }[];
  }[];
  readonly outputs: readonly { readonly bip32_derivs?: readonly { readonly path: string }[] }[];
  readonly fee: number;
}

async function psbt(t: Test, node: BitcoinNode, keys: readonly MinedCoin[]): Promise<void> {
  const { draft, plan } = await made(node, keys, { amount: 1_000_000 });
  const path = "m/84'/1'/0'/2/84:1798761600";
  const base64 = Buffer.from(
    paymentPsbt(draft, (script) => {
      const key = keys.find((it) => it.coin.script === script);
      const numbers = childNumbers(script === CHANGE ? "m/84'/1'/0'/1/7" : path);
      if (numbers === undefined) throw new Error('a path has numbers');
      const master = { fingerprint: '00c5da0a', path: numbers };
      if (script === CHANGE) return { publicKey: keys[0]?.publicKey ?? new Uint8Array(), master };
      return key && { publicKey: key.publicKey, master };
    }),
  ).toString('base64');
  const decoded = await node.rpc<DecodedPsbt>('decodepsbt', base64);
  t.equal(decoded.fee, plan.fee / 1e8);
  for (const [index, { coin }] of draft.inputs.entries()) {
    const input = decoded.inputs[index];
    const key = keys.find((it) => it.coin.script === coin.script);
    t.strictSame(
      [input?.witness_utxo.amount, input?.witness_utxo.scriptPubKey.hex, input?.sighash],
      [coin.value / 1e8, coin.script, 'ALL'],
    );
    t.strictSame(input?.bip32_derivs, [
      {
        pubkey: bytesToHex(key?.publicKey ?? new Uint8Array()),
        master_fingerprint: '00c5da0a',
        path: path.split(':')[0]?.replaceAll("'", 'h'),
      },
    ]);
    t.equal(input?.redeem_script !== undefined, coin.script.startsWith('a914'));
    t.equal(input?.witness_script !== undefined, coin.lockTime !== undefined);
  }
  const own = decoded.outputs.flatMap(({ bip32_derivs: derivs = [] }) => derivs);
  t.strictSame(
    own.map((it) => it.path),
    ['m/84h/1h/0h/1/7'],
    'the change has its path',
  );
  const analysis = await node.rpc<{ next: string; inputs: { next: string }[] }>(
    'analyzepsbt',
    base64,
  );
  const next = draft.inputs.map(({ coin }, index) => [
    coin.lockTime === undefined ? 'key' : 'bond',
    analysis.inputs[index]?.next,
  ]);
  // The node knows no way to sign the script of a bond (K8), so it does not judge that input.
  const keyed = next.filter(([kind]) => kind === 'key').map(([, what]) => what);
  t.strictSame(keyed, ['signer', 'signer'], 'nothing but signatures is missing');
}

async function belowTheFloor(t: Test, node: BitcoinNode, key: MinedCoin): Promise<void> {
  const heir = signableCoin('native', 0);
  const parent = await made(node, [key], {
    amount: 'all',
    script: heir.coin.script,
    feePerKb: 0,
  });
  const parsed = parseTransaction(parent.bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  const coin = { ...heir.coin, txid: parsed.value.txid, value: parent.plan.payment.value };
  const child = await made(node, [{ ...heir, coin }], { amount: 'all', feePerKb: 100_000 });
  const answer = await accepts(node, parent.bytes, child.bytes);
  t.not(answer.allowed, true, 'testmempoolaccept does not take the pair');
  t.equal((await accepts(node, parent.bytes))['reject-reason'], 'min relay fee not met');
}

/** Sets the clock of the node, and mines until the median time is that. */
async function setMedianTime(node: BitcoinNode, time: number): Promise<void> {
  await node.rpc('setmocktime', time);
  await node.mine(6);
}

async function bondLock(t: Test, node: BitcoinNode, key: MinedCoin): Promise<void> {
  const late = { ...(await tipOf(node)), medianTime: LOCK_TIME + 1 };
  const coins = [key.coin];
  const plan = planPayment(paperPlan(coins, { coins, amount: 'all' }, { tip: late }));
  const draft = draftPayment(plan, undefined, (count) => randomBytes(count));
  const bytes = signDraft(draft, [key]);
  t.equal((await accepts(node, bytes))['reject-reason'], 'non-final');
  await setMedianTime(node, LOCK_TIME);
  const atLock = await tipOf(node);
  t.equal(atLock.medianTime, LOCK_TIME, 'K19: the median time jumps with the sixth block');
  t.equal((await accepts(node, bytes))['reject-reason'], 'non-final', 'not at the lock time');
  t.throws(
    () => planPayment(paperPlan(coins, { coins, amount: 'all' }, { tip: atLock })),
    /is a bond that is locked until 2027-01-01 00:00 UTC/,
  );
  await setMedianTime(node, LOCK_TIME + 1);
  const beyond = await tipOf(node);
  t.equal(beyond.medianTime, LOCK_TIME + 1);
  t.doesNotThrow(() => planPayment(paperPlan(coins, { coins, amount: 'all' }, { tip: beyond })));
  const answer = await accepts(node, bytes);
  t.ok(answer.allowed, 'one second later it is accepted');
  t.ok(plan.vsize - (answer.vsize ?? 0) <= 1, `${answer.vsize} vB of ${plan.vsize} planned`);
}

realNodeTest(t, 'planned payments on a real node', async (t) => {
  const node = await startBitcoinNode(t, { filterIndex: false });
  await node.rpc('setmocktime', LOCK_TIME - 40_000);
  const keys: MinedCoin[] = [];
  for (const kind of ['native', 'nested', 'native', 'native', 'bond'] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one block after the other
    keys.push(await mineTo(node, kind));
  }
  const [first, nested, third, fourth, bond] = keys;
  if (!first || !nested || !third || !fourth || !bond) throw new Error('five coins');

  await t.test('K9: a reward is spendable after 100 confirmations, not after 99', async (t) => {
    await node.mine(94);
    const { bytes } = await made(node, [first], { amount: 'all' });
    t.equal((await tipOf(node)).height, first.height + 98, '99 confirmations');
    t.equal((await accepts(node, bytes))['reject-reason'], 'bad-txns-premature-spend-of-coinbase');
    await node.mine(1);
    t.ok((await accepts(node, bytes)).allowed);
    await node.mine(5);
  });
  await t.test('K10, K19: a bond opens when the median time is beyond its lock', (t) =>
    bondLock(t, node, bond),
  );
  await t.test('sizes and fees are what the node computes, for every kind of coin', (t) =>
    sizes(t, node, [first, nested, bond]),
  );
  await t.test('K4: the floor is a rate per 1,000 virtual bytes', (t) => floors(t, node, first));
  await t.test('K5: dust limits, by type of address', (t) => dust(t, node, third));
  await t.test('K2: a replacement pays the increment times its own size more', (t) =>
    replacement(t, node, third),
  );
  await t.test('K18: a child does not help a payment below the floor', (t) =>
    belowTheFloor(t, node, fourth),
  );
  await t.test('a PSBT has all that a signer needs', (t) => psbt(t, node, [first, nested, bond]));
});
