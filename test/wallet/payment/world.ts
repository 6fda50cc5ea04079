/** A wallet with payments, on a chain that the test can change: in memory, or a real node. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { parseTransaction, type Transaction } from '../../../src/bitcoin/transaction.js';
import { OwnBonds } from '../../../src/bonds/own-bonds.js';
import { BroadcastError } from '../../../src/chain/chain-error.js';
import type { Chain } from '../../../src/chain/ports.js';
import {
  WalletError,
  type PaymentRequest,
  type SignedPayment,
  type WalletCoin,
} from '../../../src/wallet/api.js';
import { newWalletSecret } from '../../../src/wallet/new-wallet.js';
import { Payments } from '../../../src/wallet/payment/send.js';
import { parseWalletRecord } from '../../../src/wallet/records.js';
import { readSeedWords } from '../../../src/wallet/seed.js';
import type { JournalValue } from '../../../src/wallet/store/api.js';
import { createWalletStore, openWalletStore } from '../../../src/wallet/store/store.js';
import { Wallet } from '../../../src/wallet/wallet.js';
import { WORDS } from '../../helpers/cheap-wallet.js';
import { testScript } from '../../helpers/test-keys.js';

const PASSWORD = 'only for tests';
const COST = { log2N: 4, r: 8, p: 1 };
const { signal } = new AbortController();

/** A chain whose blocks the test makes. */
export interface ChainControl {
  readonly chain: Chain;
  /** Mines the mempool, or exactly `transactions`. */
  mine(count?: number, transactions?: readonly Uint8Array[]): Promise<unknown>;
  /** Pays a script from outside, into the mempool. */
  pay(script: string, value: number): Promise<unknown>;
  /** Replaces the newest blocks by one more, which are empty but for these transactions. */
  reorganize(depth: number, transactions?: readonly Uint8Array[]): Promise<unknown>;
  /** Mines blocks until the median time is this. */
  medianTime(time: number): Promise<unknown>;
  /** Unix seconds, by the clock of the chain. */
  readonly unixTime: () => number;
}

/** Records of scripts, by account. */
const derived = new Map<string, readonly JournalValue[]>();

/** A foreign address. */
export const PAYEE = testScript(7);

/** A wallet in a folder of the test, and its payments. */
export class PaymentWorld {
  readonly control: ChainControl;
  readonly #folder: string;
  readonly #account: string;
  #wallet: Wallet;
  #payments: Payments;

  private constructor(control: ChainControl, folder: string, wallet: Wallet, account: string) {
    this.control = control;
    this.#folder = folder;
    this.#account = account;
    this.#wallet = wallet;
    this.#payments = this.#newPayments();
  }

  /**
   * A fresh wallet. An account has the same keys on every chain, so that its scripts are derived once.
   * @param account the passphrase; one that begins with `nested` has nested segwit
   */
  static async open(t: Test, control: ChainControl, account: string): Promise<PaymentWorld> {
    const seed = readSeedWords(WORDS);
    if (!seed.ok) throw new Error('the words of the test are wrong');
    const { height } = await control.chain.tip();
    const { secret } = await newWalletSecret({
      network: control.chain.network,
      kind: account.startsWith('nested') ? 'nested' : 'native',
      mixdepths: 1,
      birthHeight: height,
      created: 1_700_000_000,
      seed: seed.value,
      passphrase: account,
    });
    const parent = await mkdtemp(join(tmpdir(), 'onionmc-payments-'));
    t.teardown(() => rm(parent, { recursive: true, force: true }));
    const folder = join(parent, 'wallet');
    const records = derived.get(account) ?? [];
    const parts = { secret, password: PASSWORD, records };
    const store = await createWalletStore(folder, parts, { cost: COST });
    await store.close();
    const wallet = await openIn(folder, control, account);
    const world = new PaymentWorld(control, folder, wallet, account);
    t.teardown(() => world.wallet.close());
    if (records.length === 0) derived.set(account, await scriptRecords(folder));
    await world.sync();
    return world;
  }

  get chain(): Chain {
    return this.control.chain;
  }

  get wallet(): Wallet {
    return this.#wallet;
  }

  get payments(): Payments {
    return this.#payments;
  }

  get bonds(): OwnBonds {
    const { wallet, payments, chain } = this;
    return new OwnBonds({ wallet, chain, payments, unixTime: this.control.unixTime });
  }

  sync(): Promise<unknown> {
    return this.#wallet.sync({ signal });
  }

  /** Mines, and reads what was mined. */
  async mine(count = 1, transactions?: readonly Uint8Array[]): Promise<void> {
    await this.control.mine(count, transactions);
    await this.sync();
  }

  /** Deposits of these values, each in a block. */
  async deposit(...values: readonly number[]): Promise<void> {
    for (const value of values) {
      // oxlint-disable-next-line no-await-in-loop -- one address after the other
      const { script } = await this.#wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
      // oxlint-disable-next-line no-await-in-loop
      await this.control.pay(script, value);
    }
    await this.mine();
  }

  /** Plans and signs; nothing is sent. */
  async sign(request: Partial<PaymentRequest> = {}): Promise<SignedPayment> {
    const plan = await this.#payments.plan({
      amount: 100_000,
      script: PAYEE,
      feePerKb: 2_000,
      ...request,
    });
    return this.#payments.sign(plan);
  }

  /** Plans, signs and sends. */
  async send(request: Partial<PaymentRequest> = {}): Promise<SignedPayment> {
    const signed = await this.sign(request);
    const outcome = await this.#payments.send(signed);
    if (outcome.kind !== 'sent') throw new Error(`not sent: ${outcome.kind}`);
    return signed;
  }

  /** Closes the wallet and opens it again, as a restarted program does. It is not synced. */
  async restart(): Promise<void> {
    await this.#wallet.close();
    this.#wallet = await openIn(this.#folder, this.control, this.#account);
    this.#payments = this.#newPayments();
  }

  /** What the history says about a transaction. */
  stateOf(txid: string): string | undefined {
    return this.#wallet.history().find((entry) => entry.txid === txid)?.state;
  }

  /** The signed transactions that a reader of the folder finds. */
  async onDisk(): Promise<readonly (string | undefined)[]> {
    const store = await openWalletStore(this.#folder, PASSWORD, { mode: 'read', cost: COST });
    const records = store.records.map(parseWalletRecord);
    await store.close();
    return records.flatMap((it) =>
      it.ok && it.value.kind === 'signed' ? [it.value.whole?.txid] : [],
    );
  }

  /** Number of records in the journal. */
  async journalLength(): Promise<number> {
    const store = await openWalletStore(this.#folder, PASSWORD, { mode: 'read', cost: COST });
    await store.close();
    return store.records.length;
  }

  /** The coins that can be spent now. */
  free(): readonly WalletCoin[] {
    return this.#wallet.coins().filter(({ hold }) => hold === undefined);
  }

  #newPayments(): Payments {
    return new Payments({
      wallet: this.#wallet,
      chain: this.control.chain,
      randomBytes: (count) => randomBytes(count),
    });
  }
}

/** The records of a journal that say which scripts the wallet has. */
async function scriptRecords(folder: string): Promise<readonly JournalValue[]> {
  const store = await openWalletStore(folder, PASSWORD, { mode: 'read', cost: COST });
  try {
    return store.records.filter(
      (record) =>
        typeof record === 'object' &&
        record !== null &&
        'kind' in record &&
        (record.kind === 'accounts' || record.kind === 'scripts'),
    );
  } finally {
    await store.close();
  }
}

async function openIn(folder: string, control: ChainControl, passphrase: string): Promise<Wallet> {
  const store = await openWalletStore(folder, PASSWORD, { mode: 'write', cost: COST });
  return Wallet.open({
    store,
    chain: control.chain,
    passphrase,
    unixTime: control.unixTime,
    randomBytes: (count) => randomBytes(count),
  });
}

/** The transaction of bytes. */
export function transactionOf(bytes: Uint8Array): Transaction {
  const parsed = parseTransaction(bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

/** The fault with which a call rejects; `none` when it resolves. */
export async function faultOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'none';
  } catch (error) {
    if (error instanceof WalletError || error instanceof BroadcastError) return error.fault;
    throw error;
  }
}
