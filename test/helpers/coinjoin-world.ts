/** A chain in memory and wallets with deterministic keys, for coinjoins in tests. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { ripemd160 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { getAddress, p2sh, p2wpkh } from '@scure/btc-signer/payment.js';
import { RawTx } from '@scure/btc-signer/script.js';
import { Transaction } from '@scure/btc-signer/transaction.js';
import { TEST_NETWORK } from '@scure/btc-signer/utils.js';
import type {
  ChainCoin,
  CommitmentStore,
  Funding,
  FundingRequest,
  MakerWallet,
  OwnCoin,
  Reservation,
  Settlement,
  SigningRequest,
  TakerChain,
  TakerWallet,
} from '../../src/negotiation/ports.js';
import type { InputSignature } from '../../src/negotiation/transaction.js';
import { formatOutpoint, type Outpoint } from '../../src/protocol/outpoint.js';
import { createPodle, type Podle } from '../../src/protocol/podle.js';
import { signText } from '../../src/protocol/signature.js';
import { useFastCurves } from '../../src/roles/fast-curves.js';

// As the programs do; test/platform compares these curves with those in JavaScript.
useFastCurves();

/** 32 bytes that only depend on a text. */
export const secretOf = (text: string): Uint8Array => sha256(utf8ToBytes(text));

const hash160 = (bytes: Uint8Array): Uint8Array => ripemd160(sha256(bytes));

/** By secret in hex: most tests make the same coins again and again. */
const publicKeys = new Map<string, Uint8Array>();

function publicKeyOf(secret: Uint8Array): Uint8Array {
  const name = bytesToHex(secret);
  const key = publicKeys.get(name) ?? secp256k1.getPublicKey(secret, true);
  publicKeys.set(name, key);
  return key;
}

export type CoinType = 'p2wpkh' | 'p2sh-p2wpkh';

const payTo = (secret: Uint8Array, type: CoinType = 'p2wpkh') => {
  const native = p2wpkh(publicKeyOf(secret), TEST_NETWORK);
  return type === 'p2wpkh' ? native : p2sh(native, TEST_NETWORK);
};

/** The scriptPubKey of a coin with this key, hex. */
export const scriptOf = (secret: Uint8Array, type?: CoinType): string =>
  bytesToHex(payTo(secret, type).script);

/** A fresh address of signet. */
export const addressOf = (text: string): string =>
  getAddress('wpkh', secretOf(text), TEST_NETWORK) ?? '';

export interface MemoryChain extends TakerChain {
  /** Puts a coin of this key into the chain. */
  mint(secret: Uint8Array, value: number, options?: MintOptions): OwnCoin;
  remove(outpoint: Outpoint): void;
  /** Transactions that were accepted, in order. */
  readonly accepted: readonly Uint8Array[];
  /** Look-ups so far. */
  readonly lookUps: number;
}

interface MintOptions {
  readonly confirmations?: number;
  readonly coinbase?: boolean;
  readonly type?: CoinType;
}

interface SignedInput {
  readonly outpoint: Outpoint;
  readonly witness: readonly Uint8Array[];
  readonly scriptSig: Uint8Array;
}

/**
 * Accepts a transaction only when every input exists, every signature verifies under BIP143 and the outputs
 * do not exceed the inputs. The sighash comes from the library, not from the code under test.
 */
function verifyTransaction(
  bytes: Uint8Array,
  coinOf: (o: Outpoint) => ChainCoin | undefined,
): void {
  const raw = RawTx.decode(bytes);
  const tx = Transaction.fromRaw(bytes, { allowUnknownOutputs: true });
  let balance = 0n;
  const inputs = raw.inputs.map((input, index): SignedInput => ({
    outpoint: { txid: bytesToHex(input.txid), vout: input.index },
    witness: raw.witnesses?.[index] ?? [],
    scriptSig: input.finalScriptSig,
  }));
  for (const [index, { outpoint, witness, scriptSig }] of inputs.entries()) {
    const coin = coinOf(outpoint);
    if (coin === undefined) throw new Error(`input ${index} does not exist`);
    const [signature, publicKey, ...more] = witness;
    if (signature === undefined || publicKey === undefined || more.length > 0) {
      throw new Error(`input ${index} has no witness of two`);
    }
    const program = concatBytes(Uint8Array.of(0, 20), hash160(publicKey));
    const wrapped = scriptSig.length > 0;
    const script = wrapped ? `a914${bytesToHex(hash160(program))}87` : bytesToHex(program);
    if (script !== coin.script) throw new Error(`input ${index} is spent by another key`);
    if (wrapped && bytesToHex(scriptSig) !== `16${bytesToHex(program)}`) {
      throw new Error(`input ${index} has another redeem script`);
    }
    const scriptCode = hexToBytes(`76a914${bytesToHex(hash160(publicKey))}88ac`);
    const hash = tx.preimageWitnessV0(index, scriptCode, 1, BigInt(coin.value));
    const der = signature.subarray(0, -1);
    if (signature.at(-1) !== 1) throw new Error(`input ${index} is not SIGHASH_ALL`);
    if (!secp256k1.verify(der, hash, publicKey, { prehash: false, format: 'der', lowS: true })) {
      throw new Error(`the signature of input ${index} does not verify`);
    }
    balance += BigInt(coin.value);
  }
  for (const { amount } of raw.outputs) balance -= amount;
  if (balance < 0n) throw new Error('the outputs exceed the inputs');
}

/** The height of the chain in memory, which never grows. */
export const TIP_HEIGHT = 840_000;

/**
 * The same chain as a program without a full node sees it: a coin is found only in the block, and under the
 * script, that a peer named.
 */
export function lightView(chain: TakerChain): TakerChain {
  return {
    ...chain,
    async coins(outpoints, signal) {
      const found = await chain.coins(outpoints, signal);
      return found.map((coin, n) => {
        const metadata = outpoints[n]?.metadata;
        if (coin === undefined || metadata === undefined) return undefined;
        const { scriptPubKeyHex, blockHeight } = metadata;
        return coin.script === scriptPubKeyHex && coin.height === blockHeight ? coin : undefined;
      });
    },
  };
}

export function createMemoryChain(): MemoryChain {
  const coins = new Map<string, ChainCoin>();
  const accepted: Uint8Array[] = [];
  const seen = new Set<string>();
  const watchers = new Map<string, (() => void)[]>();
  let minted = 0;
  let lookUps = 0;
  return {
    accepted,
    get lookUps() {
      return lookUps;
    },
    mint(secret, value, { confirmations = 100, type = 'p2wpkh', coinbase = false } = {}) {
      minted += 1;
      const outpoint = { txid: bytesToHex(secretOf(`coin ${minted}`)), vout: minted % 3 };
      const script = bytesToHex(payTo(secret, type).script);
      const height = confirmations > 0 ? { height: TIP_HEIGHT - confirmations + 1 } : {};
      const origin = coinbase ? { coinbase } : {};
      coins.set(formatOutpoint(outpoint), { script, value, confirmations, ...height, ...origin });
      return { ...outpoint, script, value };
    },
    feePerKb: async () => 2_000,
    remove: (outpoint) => void coins.delete(formatOutpoint(outpoint)),
    async coins(outpoints) {
      lookUps += 1;
      return outpoints.map((outpoint) => coins.get(formatOutpoint(outpoint)));
    },
    async broadcast(bytes) {
      const { id } = Transaction.fromRaw(bytes, { allowUnknownOutputs: true });
      if (seen.has(id)) return;
      verifyTransaction(bytes, (outpoint) => coins.get(formatOutpoint(outpoint)));
      for (const input of RawTx.decode(bytes).inputs) {
        coins.delete(`${bytesToHex(input.txid)}:${input.index}`);
      }
      accepted.push(bytes);
      seen.add(id);
      for (const tell of watchers.get(id) ?? []) tell();
    },
    seen(txid, signal) {
      if (seen.has(txid)) return Promise.resolve();
      return new Promise((resolve, reject) => {
        watchers.set(txid, [...(watchers.get(txid) ?? []), resolve]);
        signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
      });
    },
  };
}

export interface TestCoin extends OwnCoin {
  readonly secret: Uint8Array;
}

/** Signs with the library's own signer. */
function signWith(coins: readonly TestCoin[], request: SigningRequest): readonly InputSignature[] {
  const tx = Transaction.fromRaw(request.transaction, { allowUnknownOutputs: true });
  return request.inputs.map(({ index, coin }) => {
    const own = coins.find((candidate) => formatOutpoint(candidate) === formatOutpoint(coin));
    if (own === undefined) throw new Error('asked to sign a coin of another wallet');
    const publicKey = publicKeyOf(own.secret);
    const scriptCode = hexToBytes(`76a914${bytesToHex(hash160(publicKey))}88ac`);
    const hash = tx.preimageWitnessV0(index, scriptCode, 1, BigInt(own.value));
    const der = secp256k1.sign(hash, own.secret, { prehash: false, format: 'der', lowS: true });
    return { signature: concatBytes(der, Uint8Array.of(1)), publicKey };
  });
}

/** The calls to a wallet; a coin is in `reserved` until its settlement. */
export interface WalletRecord {
  readonly reserved: Set<string>;
  readonly settlements: Settlement[];
  readonly signed: SigningRequest[];
}

const createRecord = (): WalletRecord => ({ reserved: new Set(), settlements: [], signed: [] });

export interface TestMakerWallet extends MakerWallet {
  readonly record: WalletRecord;
}

export function createMakerWallet(name: string, coins: readonly TestCoin[]): TestMakerWallet {
  const record = createRecord();
  let round = 0;
  return {
    record,
    async reserve({ least, boxPublicKey }) {
      const chosen: TestCoin[] = [];
      for (const coin of coins) {
        if (record.reserved.has(formatOutpoint(coin))) continue;
        chosen.push(coin);
        if (chosen.reduce((sum, { value }) => sum + value, 0) >= least) break;
      }
      const [first] = chosen;
      if (first === undefined || chosen.reduce((sum, { value }) => sum + value, 0) < least) {
        return undefined;
      }
      for (const coin of chosen) record.reserved.add(formatOutpoint(coin));
      round += 1;
      return {
        coins: chosen,
        coinjoinAddress: addressOf(`${name} coinjoin ${round}`),
        changeAddress: addressOf(`${name} change ${round}`),
        authPublicKey: bytesToHex(publicKeyOf(first.secret)),
        authSignature: signText(boxPublicKey, first.secret),
      };
    },
    async sign(request) {
      record.signed.push(request);
      return signWith(coins, request);
    },
    settle(reservation: Reservation, settlement) {
      record.settlements.push(settlement);
      if (settlement === 'signed') return;
      for (const coin of reservation.coins) record.reserved.delete(formatOutpoint(coin));
    },
  };
}

export interface TestTakerWallet extends TakerWallet {
  readonly record: WalletRecord;
  readonly coins: readonly TestCoin[];
  readonly commitments: readonly Podle[];
  fund(request: FundingRequest, signal: AbortSignal): Promise<Funding | undefined>;
}

export function createTakerWallet(
  name: string,
  coins: readonly TestCoin[],
  minerFee = 2_000,
): TestTakerWallet {
  const record = createRecord();
  const commitments: Podle[] = [];
  return {
    record,
    coins,
    commitments,
    async commit() {
      const coin = coins[Math.floor(commitments.length / 3)];
      if (coin === undefined) return undefined;
      const podle = createPodle(coin.secret, coin, commitments.length % 3);
      commitments.push(podle);
      return podle;
    },
    async fund({ amount, makerFees, sweep }) {
      const total = coins.reduce((sum, { value }) => sum + value, 0);
      const left = total - amount - makerFees;
      const paid = sweep ? left : minerFee;
      const rest = left - paid;
      if (rest < 0) return undefined;
      for (const coin of coins) record.reserved.add(formatOutpoint(coin));
      return {
        coins,
        coinjoinAddress: addressOf(`${name} coinjoin`),
        changeAddress: rest > 2_730 ? addressOf(`${name} change`) : undefined,
        minerFee: paid,
        lockTime: 0,
      };
    },
    async sign(request) {
      record.signed.push(request);
      return signWith(coins, request);
    },
    settle(funding: Funding, settlement) {
      record.settlements.push(settlement);
      if (settlement === 'signed') return;
      for (const coin of funding.coins) record.reserved.delete(formatOutpoint(coin));
    },
  };
}

/** Coins of a name, each of the value given. */
export function mintFor(
  chain: MemoryChain,
  name: string,
  values: readonly number[],
  type: CoinType = 'p2wpkh',
): readonly TestCoin[] {
  return values.map((value, n) => {
    const secret = secretOf(`${name} coin ${n}`);
    return { ...chain.mint(secret, value, { type }), secret };
  });
}

export interface MemoryCommitments extends CommitmentStore {
  readonly all: ReadonlySet<string>;
}

export function createMemoryCommitments(): MemoryCommitments {
  const all = new Set<string>();
  return {
    all,
    get size() {
      return all.size;
    },
    has: (commitment) => all.has(commitment),
    async add(commitment) {
      const isNew = !all.has(commitment);
      all.add(commitment);
      return isNew;
    },
  };
}
