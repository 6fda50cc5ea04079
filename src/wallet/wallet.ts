/**
 * A wallet: its folder, its coins, and the chain as far as it was read. Writing calls resolve after their
 * record is on the disk. Errors are `WalletError`, `WalletStoreError` (folder, disk) and `ChainError`.
 */
import type { Chain } from '../chain/ports.js';
import type { Network } from '../protocol/constants.js';
import type { Outpoint } from '../protocol/outpoint.js';
import type { Podle } from '../protocol/podle.js';
import {
  type HandedOut,
  type HistoryEntry,
  type KeyPlace,
  type WalletCoin,
  WalletError,
  type WalletSummary,
} from './api.js';
import type {
  AddressRequest,
  BondCertificate,
  BondPlace,
  ImportedState,
  LabelImport,
  Lease,
  LeaseRequest,
  Signed,
  SignedTransaction,
  SignRequest,
  SyncOptions,
  SyncReport,
} from './requests.js';
import type { WalletSecret, WalletStore } from './store/api.js';

/** What a wallet needs from outside. */
export interface WalletOptions {
  readonly store: WalletStore;
  /** Undefined: the wallet shows what its journal says, and hands out no address. */
  readonly chain: Chain | undefined;
  /**
   * The passphrase of the seed words, for a wallet that has one. Without it the wallet only shows coins,
   * freezes them and follows the chain. Not needed where `secret.hasPassphrase` is false.
   */
  readonly passphrase?: string | undefined;
  /** `read`: the store was opened without the lock. Every writing call is refused. Default `write`. */
  readonly mode?: 'read' | 'write' | undefined;
  /** The wall clock, in Unix seconds. */
  readonly unixTime: () => number;
  /** Random bytes fit for keys. */
  readonly randomBytes: (bytes: number) => Uint8Array;
  /** The word for spending on mainnet was given. */
  readonly acceptMainnetRisk?: boolean | undefined;
  /** Called with the share that is done, 0 to 1, while scripts are derived at the first opening. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

const notBuilt = (): never => {
  throw new WalletError('request', 'this part of the wallet is not built yet');
};

/** An open wallet. */
export class Wallet {
  readonly #options: WalletOptions;

  private constructor(options: WalletOptions) {
    this.#options = options;
  }

  /**
   * Reads the journal, and derives the scripts of the wallet where the journal does not have them. The
   * chain is not asked.
   * @throws WalletError `passphrase` when it gives another wallet, or the wallet has none.
   * @throws WalletStoreError `damaged` or `version` for a record that it cannot read.
   */
  static async open(options: WalletOptions): Promise<Wallet> {
    return new Wallet(options);
  }

  get network(): Network {
    return this.#options.store.secret.network;
  }

  /** What the wallet file says. `entropy` is in it: never print it. */
  get secret(): WalletSecret {
    return this.#options.store.secret;
  }

  get mode(): 'read' | 'write' {
    return this.#options.mode ?? 'write';
  }

  /** Whether it can derive private keys: false for a wallet with a passphrase that was not given. */
  get canSign(): boolean {
    return notBuilt();
  }

  /** Height of the block up to which the chain was read; -1 before the first one. */
  get height(): number {
    return notBuilt();
  }

  /** Reads the chain up to its tip. In `read` mode: what the writer added to the journal. */
  async sync(_options: SyncOptions): Promise<SyncReport> {
    return notBuilt();
  }

  /**
   * Keeps the wallet at the tip until the signal is aborted, then resolves. `onChange` is called after
   * coins, confirmations or signed transactions changed; `onFault` after the chain did not answer, before
   * the next attempt.
   */
  async follow(_options: {
    readonly signal: AbortSignal;
    readonly onChange: () => void;
    readonly onFault: (error: unknown) => void;
  }): Promise<void> {
    notBuilt();
  }

  /**
   * Forgets what was read of the chain and reads it again from a height; everything else in the journal
   * stays. Default: the birth height. Where blocks of the wallet before `from` are not read, their
   * unspent coins come from the set of unspent coins, and 100 addresses of each branch are skipped, since
   * addresses that were used and are empty now are not known then.
   */
  async rescan(
    _options: SyncOptions & { readonly from?: number | undefined },
  ): Promise<SyncReport> {
    return notBuilt();
  }

  summary(): WalletSummary {
    return notBuilt();
  }

  /** All coins, also bonds and coins in the mempool, in the order of mixdepth, branch and index. */
  coins(): readonly WalletCoin[] {
    return notBuilt();
  }

  /** @throws WalletError `coin` when the wallet has no such coin. */
  coin(_outpoint: Outpoint): WalletCoin {
    return notBuilt();
  }

  /** Where the key of a script is; undefined for a script of another party. */
  placeOf(_script: string): KeyPlace | undefined {
    return notBuilt();
  }

  /** The compressed public key of a place, for a PSBT: 33 bytes. Needs no private key. */
  publicKeyOf(_place: KeyPlace): Uint8Array {
    return notBuilt();
  }

  /**
   * A fresh address. The chain must have been read up to its tip since the opening, so that an old backup
   * hands out no used address; a `chain` error otherwise. The library derives the address again from the
   * private key before it is returned.
   */
  async handOut(_request: AddressRequest): Promise<HandedOut> {
    return notBuilt();
  }

  /** The 960 places for bonds. */
  bondPlaces(): readonly BondPlace[] {
    return notBuilt();
  }

  /** The address of a month's bond, which from now on counts as handed out. `index` is 0 to 959. */
  async handOutBond(_index: number, _label?: string): Promise<BondPlace> {
    return notBuilt();
  }

  /**
   * Watches the bond address of a key outside the wallet, and returns it.
   * @param publicKey compressed, hex
   * @param index number of the month, 0 to 959
   */
  async watchOutsideBond(_publicKey: string, _index: number): Promise<BondPlace> {
    return notBuilt();
  }

  /** The bond addresses of keys outside the wallet that it watches, the oldest first. */
  outsideBonds(): readonly BondPlace[] {
    return notBuilt();
  }

  /**
   * Signs the spending of a coin that does not exist at a month's bond address, before a real one is sent
   * there: version 2, the lock time of the bond, one output. Nothing is written.
   */
  rehearseBond(_index: number): {
    readonly bytes: Uint8Array;
    readonly spent: { readonly script: string; readonly value: number };
  } {
    return notBuilt();
  }

  async freeze(_outpoints: readonly Outpoint[]): Promise<void> {
    notBuilt();
  }

  /** Coins that are unfrozen stay so, whatever the rules for reused addresses say. */
  async unfreeze(_outpoints: readonly Outpoint[]): Promise<void> {
    notBuilt();
  }

  /** The oldest first. */
  history(): readonly HistoryEntry[] {
    return notBuilt();
  }

  /** Sets the label of an address, a coin or a transaction; an empty one removes it. */
  async setLabel(
    _type: 'addr' | 'output' | 'tx',
    _reference: string,
    _label: string,
  ): Promise<void> {
    notBuilt();
  }

  /** All labels and frozen coins in BIP329, one JSON object for each line. */
  exportLabels(): string {
    return notBuilt();
  }

  /** Reads BIP329 lines: labels, and `spendable` of the wallet's own coins. */
  async importLabels(_text: string): Promise<LabelImport> {
    return notBuilt();
  }

  /** Takes over what a wallet of another program knew. */
  async adopt(_state: ImportedState): Promise<void> {
    notBuilt();
  }

  /**
   * Reserves coins, and hands out addresses with them in the same write.
   * @throws WalletError `coin` or `held` when one of the coins is not there or not free.
   */
  async lease(
    _request: LeaseRequest,
    _addresses: readonly AddressRequest[] = [],
  ): Promise<{ readonly lease: Lease; readonly addresses: readonly HandedOut[] }> {
    return notBuilt();
  }

  /** Frees the coins of a lease, if it is still that of its owner. Resolves to whether it was. */
  async release(_lease: Pick<Lease, 'id' | 'owner'>): Promise<boolean> {
    return notBuilt();
  }

  leases(): readonly Lease[] {
    return notBuilt();
  }

  /**
   * Checks a transaction against the journal and the chain, signs its inputs, checks the signatures, and
   * writes all of it to the journal. The lease ends; the coins are then held by the transaction.
   * @throws WalletError `request` when the transaction is not what the request says, `held`, `coin`,
   *   `frozen`, `mainnet`.
   */
  async sign(_request: SignRequest): Promise<Signed> {
    return notBuilt();
  }

  /** Every transaction that was signed, the oldest first. */
  signedTransactions(): readonly SignedTransaction[] {
    return notBuilt();
  }

  /** The transaction was sent or seen (`true`), or is missing in the mempool (`false`). */
  async markSeen(_unsignedTxid: string, _seen: boolean): Promise<void> {
    notBuilt();
  }

  /** A coin of another owner in this transaction was spent otherwise, in a block of this height. */
  async markLost(_unsignedTxid: string, _spent: Outpoint, _height: number): Promise<void> {
    notBuilt();
  }

  /** Gives up a signed transaction: its coins may be spent again, which then conflicts with it. */
  async abandon(_unsignedTxid: string): Promise<void> {
    notBuilt();
  }

  /** A coin's key signs the key of a session's box, for `ioauth`. */
  signAuth(
    _coin: Outpoint,
    _boxPublicKey: string,
  ): { readonly publicKey: string; readonly signature: string } {
    return notBuilt();
  }

  /** The unused proof of a coin with the lowest index below `retries`; it is used from now on. */
  async commit(_coin: Outpoint, _retries: number): Promise<Podle | undefined> {
    return notBuilt();
  }

  /** Indices of proofs that are left for a coin. Needs a private key operation for each. */
  commitmentsLeft(_coin: Outpoint, _retries: number): number {
    return notBuilt();
  }

  /** The key of a bond certifies another key until the end of a difficulty period; DER, hex. */
  certify(_bond: Outpoint, _certPublicKey: string, _certExpiry: number): string {
    return notBuilt();
  }

  /** Keeps a certificate, in the place of an older one of the same coin. */
  async saveCertificate(_certificate: BondCertificate): Promise<void> {
    notBuilt();
  }

  certificates(): readonly BondCertificate[] {
    return notBuilt();
  }

  /** Writes what is not written yet, forgets the private keys and closes the store; the chain stays open. */
  async close(): Promise<void> {
    await this.#options.store.close();
  }
}
