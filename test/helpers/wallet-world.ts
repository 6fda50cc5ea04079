/** A wallet with a folder in memory, and a chain to go with it. */
import { randomBytes } from 'node:crypto';
import type { Chain } from '../../src/chain/ports.js';
import { MemoryChain } from '../../src/chain/memory.js';
import { WalletKeys } from '../../src/wallet/keys.js';
import type { JournalValue, WalletSecret, WalletStore } from '../../src/wallet/store/api.js';
import { WalletStoreError } from '../../src/wallet/store/api.js';
import { Wallet } from '../../src/wallet/wallet.js';
import type { WalletOptions } from '../../src/wallet/wallet-options.js';

export const TEST_ENTROPY = '2e0339ba89b4a1272cdf78b27ee62669ee01992a59e836e2807051be128ca817';

/** The secret of a test wallet: two mixdepths, so that a test derives little. */
export async function testSecret(terms: Partial<WalletSecret> = {}): Promise<WalletSecret> {
  const secret: WalletSecret = {
    network: 'regtest',
    entropy: TEST_ENTROPY,
    kind: 'native',
    mixdepths: 2,
    fingerprint: '',
    hasPassphrase: false,
    birthHeight: 0,
    created: 1_600_000_000,
    ...terms,
  };
  const keys = await WalletKeys.derive(secret);
  keys.close();
  return { ...secret, fingerprint: keys.fingerprint };
}

/** A folder in memory. Records are kept as text, as the real one does. */
export class MemoryStore implements WalletStore {
  readonly folder = '/memory';
  readonly lostBytes = 0;
  readonly secret: WalletSecret;
  readonly #texts: string[];
  /** Records of each call of `append`. */
  readonly writes: JournalValue[][] = [];
  /** Full: the next writes fail. */
  isFull = false;
  #read = 0;

  constructor(secret: WalletSecret, records: readonly JournalValue[] = []) {
    this.secret = secret;
    this.#texts = records.map((record) => JSON.stringify(record));
    this.#read = this.#texts.length;
  }

  get records(): readonly JournalValue[] {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by `append`
    return this.#texts.map((text) => JSON.parse(text) as JournalValue);
  }

  async append(records: readonly JournalValue[]): Promise<void> {
    await Promise.resolve();
    if (this.isFull) throw new WalletStoreError('disk', 'the disk is full: make room');
    this.writes.push([...records]);
    this.#texts.push(...records.map((record) => JSON.stringify(record)));
  }

  async refresh(): Promise<readonly JournalValue[]> {
    await Promise.resolve();
    const added = this.records.slice(this.#read);
    this.#read = this.#texts.length;
    return added;
  }

  async changePassword(): Promise<void> {
    await Promise.resolve();
  }

  async backup(): Promise<void> {
    await Promise.resolve();
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }
}

export interface WalletWorld {
  readonly chain: MemoryChain;
  readonly store: MemoryStore;
  readonly wallet: Wallet;
  /** Unix seconds of the wallet's clock. */
  now: number;
  /** Reads the chain to its tip. */
  sync(): Promise<void>;
  /** Opens the wallet again from a store, by default from a copy of what is on the disk. */
  reopen(store?: MemoryStore, options?: Partial<WalletOptions>): Promise<WalletWorld>;
}

/** Options of a test wallet over a store and a chain. */
export function walletOptions(
  store: WalletStore,
  chain: Chain | undefined,
  unixTime: () => number,
): WalletOptions {
  return { store, chain, unixTime, randomBytes: (bytes) => randomBytes(bytes) };
}

/** Journals of fresh wallets, so that the scripts of a secret are derived once in a test file. */
const fresh = new Map<string, readonly JournalValue[]>();

/** A fresh wallet on a chain with some blocks, synchronised. */
export async function createWalletWorld(
  terms: Partial<WalletSecret> = {},
  chain = new MemoryChain(),
): Promise<WalletWorld> {
  const secret = await testSecret(terms);
  const key = JSON.stringify(secret);
  const store = new MemoryStore(secret, fresh.get(key));
  const made = await openWorld(store, chain, 1_700_000_000);
  fresh.set(
    key,
    store.records.filter((it) => isScripts(it)),
  );
  await made.sync();
  return made;
}

const isScripts = (record: JournalValue): boolean =>
  typeof record === 'object' &&
  record !== null &&
  'kind' in record &&
  (record.kind === 'scripts' || record.kind === 'accounts');

async function openWorld(
  store: MemoryStore,
  chain: MemoryChain,
  now: number,
  options: Partial<WalletOptions> = {},
): Promise<WalletWorld> {
  const wallet = await Wallet.open({
    ...walletOptions(store, chain, () => world.now),
    ...options,
  });
  const world: WalletWorld = {
    chain,
    store,
    wallet,
    now,
    async sync() {
      await wallet.sync({ signal: new AbortController().signal });
    },
    reopen: (from = new MemoryStore(store.secret, store.records), more = {}) =>
      openWorld(from, chain, world.now, more),
  };
  return world;
}
