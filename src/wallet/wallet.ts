/**
 * A wallet: its folder, its coins, and the chain as far as it was read. Writing calls resolve after their
 * record is on the disk. Errors are `WalletError`, `WalletStoreError` (folder, disk) and `ChainError`.
 */
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Clock } from '../kit/clock.js';
import { pause } from '../kit/pause.js';
import type { Outpoint } from '../protocol/outpoint.js';
import { type HandedOut, WalletError } from './api.js';
import { bondCoin, bondHandOut, outsideBond, outsideBondsOf } from './bond-places.js';
import {
  certificateRecord,
  checkUnspent,
  coinDecision,
  markDecision,
  wholeDecision,
  first,
  ownPlace,
} from './wallet-parts.js';
import { freshAddresses, newLease } from './hand-out.js';
import { WalletJournal } from './journal.js';
import { WalletKeys } from './keys.js';
import { labelRecord, readLabels } from './labels.js';
import type { WalletRecord } from './records.js';
import type {
  AddressRequest,
  BondCertificate,
  BondPlace,
  LabelImport,
  Lease,
  LeaseRequest,
  Signed,
  SignRequest,
  SyncOptions,
  SyncReport,
} from './requests.js';
import type { WalletOptions } from './wallet-options.js';
import { accountText, extendRanges, type RangeTerms } from './scripts.js';
import { decideSigning } from './sign-decision.js';
import { completed, SigningOrder } from './signing.js';
import type { WalletState } from './state.js';
import { WalletSync } from './sync.js';
import { freeReserved, WalletCommitments } from './wallet-commitments.js';
import { WalletView } from './wallet-view.js';

const MAINNET_RISK =
  'spending on mainnet is off: this program is young, and a fault may lose coins. Give ' +
  '--mainnet-i-accept-the-risk to take that risk';
const AGAIN_AFTER_MS = 10_000;

/** An open wallet. */
export class Wallet extends WalletView {
  readonly #options: WalletOptions;
  /** Undefined until they are needed, or where the passphrase was not given. */
  #keys: WalletKeys | undefined;
  readonly #sync: WalletSync | undefined;
  /** Proofs of coins, for makers. */
  readonly commitments: WalletCommitments;
  #isClosed = false;

  private constructor(
    options: WalletOptions,
    journal: WalletJournal,
    keys: WalletKeys | undefined,
  ) {
    super(journal, options.store.secret, options.unixTime);
    this.#options = options;
    this.#keys = keys;
    const { chain } = options;
    const { birthHeight } = options.store.secret;
    this.#sync = chain && new WalletSync({ ...this.#ranges(), chain, birthHeight });
    this.commitments = new WalletCommitments({
      journal,
      keys: () => this.#signer(),
      placeOf: (coin) => ownPlace(this.coin(coin)),
    });
  }

  /**
   * Reads the journal, and derives the scripts of the wallet where the journal does not have them. The
   * chain is not asked.
   * @throws WalletError `passphrase` when it gives another wallet, or the wallet has none.
   * @throws WalletStoreError `damaged` or `version` for a record that it cannot read.
   */
  static async open(options: WalletOptions): Promise<Wallet> {
    const { store, passphrase, mode = 'write', onProgress } = options;
    const { secret } = store;
    const journal = new WalletJournal(store, mode, options.freezeReuseUpTo);
    const isNew = journal.state.accounts === undefined;
    const isNeeded = isNew ? !secret.hasPassphrase : false;
    // The keys of a wallet without a passphrase are derived when they are needed.
    const keys =
      isNeeded || passphrase !== undefined ? await WalletKeys.open(secret, passphrase) : undefined;
    const wallet = new Wallet(options, journal, keys);
    if (isNew) {
      if (keys === undefined) {
        throw new WalletError('passphrase', 'the first opening of a wallet needs its passphrase');
      }
      const record = { kind: 'accounts', keys: keys.accounts().map(accountText) } as const;
      await journal.note(() => [record]);
    }
    if (mode === 'write') await freeReserved(journal);
    await extendRanges(wallet.#ranges(), onProgress);
    await journal.flush();
    return wallet;
  }

  get mode(): 'read' | 'write' {
    return this.#options.mode ?? 'write';
  }

  /** Whether it can derive private keys: false for a wallet with a passphrase that was not given. */
  get canSign(): boolean {
    return this.#keys !== undefined || !this.secret.hasPassphrase;
  }

  /** Reads the chain up to its tip. In `read` mode: what the writer added to the journal. */
  async sync(options: SyncOptions): Promise<SyncReport> {
    if (this.mode === 'write') return this.#reader().run(options);
    await this.journal.refresh();
    return { height: this.height, transactions: 0, notes: [] };
  }

  /**
   * Keeps the wallet at the tip until the signal is aborted, then resolves. `onChange` is called after
   * coins, confirmations or signed transactions changed; `onFault` after the chain did not answer, before
   * the next attempt.
   */
  async follow(options: {
    readonly signal: AbortSignal;
    readonly clock: Clock;
    readonly onChange: () => void;
    readonly onFault: (error: unknown) => void;
  }): Promise<void> {
    const { signal, clock, onChange, onFault } = options;
    const { chain } = this.#options;
    while (!signal.aborted) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one reading after the other
        await this.sync({ signal });
        onChange();
        const { tip } = this.#state.progress;
        // oxlint-disable-next-line no-await-in-loop
        if (tip !== undefined) await chain?.nextTip(tip, signal);
      } catch (error) {
        if (signal.aborted) return;
        onFault(error);
        // oxlint-disable-next-line no-await-in-loop
        await pause(clock, AGAIN_AFTER_MS, signal);
      }
    }
  }

  /**
   * Forgets what was read of the chain and reads it again from a height; everything else in the journal
   * stays. Default: the birth height. Where blocks of the wallet before `from` are not read, their
   * unspent coins come from the set of unspent coins, and 100 addresses of each branch are skipped, since
   * addresses that were used and are empty now are not known then.
   */
  async rescan({
    from,
    ...options
  }: SyncOptions & { readonly from?: number | undefined }): Promise<SyncReport> {
    return this.#reader().rescan(from ?? this.secret.birthHeight, options);
  }

  /**
   * A fresh address. The chain must have been read up to its tip since the opening, so that an old backup
   * hands out no used address; a `chain` error otherwise. The library derives the address again from the
   * private key before it is returned.
   */
  async handOut(request: AddressRequest): Promise<HandedOut> {
    const keys = this.#synced();
    await extendRanges(this.#ranges());
    const addresses = await this.journal.transact((state) => {
      const made = freshAddresses(state, this.terms(), [request], (it) => keys.scriptOf(it));
      return { records: made.records, result: made.addresses };
    });
    return first(addresses);
  }

  /** The address of a month's bond, which from now on counts as handed out. `index` is 0 to 959. */
  async handOutBond(index: number, label = ''): Promise<BondPlace> {
    const keys = this.#synced();
    return this.journal.transact((state) =>
      bondHandOut(state, this.terms(), index, label, (it) => keys.scriptOf(it)),
    );
  }

  /**
   * Watches the bond address of a key outside the wallet, and returns it.
   * @param publicKey compressed, hex
   * @param index number of the month, 0 to 959
   */
  async watchOutsideBond(publicKey: string, index: number): Promise<BondPlace> {
    await this.journal.transact((state) => outsideBond(state, publicKey, index));
    const places = outsideBondsOf(this.#state, this.secret);
    return first(places.filter((it) => it.publicKey === publicKey && it.index === index));
  }

  /**
   * Signs the spending of a coin that does not exist at a month's bond address, before a real one is sent
   * there: version 2, the lock time of the bond, one output. Nothing is written.
   */
  rehearseBond(index: number): {
    readonly bytes: Uint8Array;
    readonly spent: { readonly script: string; readonly value: number };
  } {
    const order = SigningOrder.rehearsal(bondCoin(this.#state, this.terms(), index));
    const { coin } = first(order.inputs);
    const whole = completed(order, this.#signer().sign(order));
    if (whole === undefined) throw new Error('a rehearsal has one input');
    return { bytes: whole.bytes, spent: { script: coin.script, value: coin.value } };
  }

  async freeze(outpoints: readonly Outpoint[]): Promise<void> {
    await this.journal.transact((state) =>
      coinDecision(state, this.terms(), outpoints, (coin) => {
        return { kind: 'freeze', coin, reason: 'user' };
      }),
    );
  }

  /** Coins that are unfrozen stay so, whatever the rules for reused addresses say. */
  async unfreeze(outpoints: readonly Outpoint[]): Promise<void> {
    await this.journal.transact((state) =>
      coinDecision(state, this.terms(), outpoints, (coin) => ({ kind: 'unfreeze', coin })),
    );
  }

  /** Sets the label of an address, a coin or a transaction; an empty one removes it. */
  async setLabel(type: 'addr' | 'output' | 'tx', reference: string, label: string): Promise<void> {
    const record = labelRecord(type, reference, label, this.network);
    await this.journal.transact(() => ({ records: [record], result: undefined }));
  }

  /** Reads BIP329 lines: labels, and `spendable` of the wallet's own coins. */
  async importLabels(text: string): Promise<LabelImport> {
    return this.journal.transact((state) => {
      const { records, report } = readLabels(text, {
        network: this.network,
        isOwn: (script) => state.book.own(script) !== undefined,
        hasCoin: (name) => state.ledger.coin(name) !== undefined,
        frozen: (name) => state.frozen(name),
      });
      return { records, result: report };
    });
  }

  /**
   * Reserves coins, and hands out addresses with them in the same write.
   * @throws WalletError `coin` or `held` when one of the coins is not there or not free.
   */
  async lease(
    request: LeaseRequest,
    requests: readonly AddressRequest[] = [],
  ): Promise<{ readonly lease: Lease; readonly addresses: readonly HandedOut[] }> {
    const keys = this.#synced();
    await extendRanges(this.#ranges());
    const id = Buffer.from(this.#options.randomBytes(16)).toString('hex');
    return this.journal.transact((state) => {
      const terms = this.terms();
      const { record, lease } = newLease(state, terms, request, id);
      const made = freshAddresses(state, terms, requests, (it) => keys.scriptOf(it));
      return { records: [record, ...made.records], result: { lease, addresses: made.addresses } };
    });
  }

  /** Frees the coins of a lease, if it is still that of its owner. Resolves to whether it was. */
  async release({ id, owner }: Pick<Lease, 'id' | 'owner'>): Promise<boolean> {
    return this.journal.transact((state) => {
      const isHeld = state.leases.named(id)?.owner === owner;
      return { records: isHeld ? [{ kind: 'release', id }] : [], result: isHeld };
    });
  }

  /**
   * Does nothing where the wallet may sign, so that a caller finds out before it hands out an address.
   * @throws WalletError `mainnet`, `passphrase` or `chain`, as `sign` would.
   */
  checkSpending(): void {
    if (this.network === 'mainnet' && this.#options.acceptMainnetRisk !== true) {
      throw new WalletError('mainnet', MAINNET_RISK);
    }
    this.#synced();
  }

  /**
   * Checks a transaction against the journal and the chain, signs its inputs, checks the signatures, and
   * writes all of it to the journal. The lease ends; the coins are then held by the transaction.
   * @throws WalletError `request` when the transaction is not what the request says, `held`, `coin`,
   *   `frozen`, `mainnet`.
   */
  async sign(request: SignRequest): Promise<Signed> {
    this.checkSpending();
    const keys = this.#synced();
    await checkUnspent(this.#options.chain, request);
    return this.journal.transact((state) => decideSigning(state, this.terms(), request, keys));
  }

  /**
   * Keeps a signed transaction with the signatures of all its inputs, so that a restart can send it.
   * @param peersOnly never send it through our own source of the chain
   * @throws WalletError `request` when the wallet did not sign it, or an input has no signature.
   */
  async keepWhole(unsignedTxid: string, bytes: Uint8Array, peersOnly = false): Promise<void> {
    await this.journal.transact((state) => wholeDecision(state, unsignedTxid, bytes, peersOnly));
  }

  /** The transaction was sent or seen (`true`), or is missing in the mempool (`false`). */
  async markSeen(unsignedTxid: string, seen: boolean): Promise<void> {
    await this.#mark({ kind: 'seen', unsigned: unsignedTxid, seen });
  }

  /** A coin of another owner in it was spent otherwise, in a block of this height. */
  async markLost(unsignedTxid: string, height: number): Promise<void> {
    await this.#mark({ kind: 'lost', unsigned: unsignedTxid, height });
  }

  /** Gives up a signed transaction: its coins may be spent again, which then conflicts with it. */
  async abandon(unsignedTxid: string): Promise<void> {
    await this.#mark({ kind: 'abandoned', unsigned: unsignedTxid });
  }

  /** A coin's key signs the key of a session's box, for `ioauth`. */
  signAuth(
    coin: Outpoint,
    boxPublicKey: string,
  ): { readonly publicKey: string; readonly signature: string } {
    return this.#signer().signAuth(ownPlace(this.coin(coin)), boxPublicKey);
  }

  /** The key of a bond certifies another key until the end of a difficulty period; DER, hex. */
  certify(bond: Outpoint, certPublicKey: string, certExpiry: number): string {
    const place = ownPlace(this.coin(bond));
    return bytesToHex(this.#signer().certify(place, certPublicKey, certExpiry));
  }

  /** Keeps a certificate, in the place of an older one of the same coin. */
  async saveCertificate(certificate: BondCertificate): Promise<void> {
    const record = certificateRecord(certificate);
    await this.journal.transact(() => ({ records: [record], result: undefined }));
  }

  /** Writes what is not written yet, forgets the private keys and closes the store; the chain stays open. */
  async close(): Promise<void> {
    try {
      await this.journal.flush();
    } finally {
      this.#isClosed = true;
      this.#keys?.close();
      await this.#options.store.close();
    }
  }

  get #state(): WalletState {
    return this.journal.state;
  }

  #ranges(): RangeTerms {
    const { kind, mixdepths } = this.secret;
    return { journal: this.journal, kind, mixdepths, gapLimit: this.#options.gapLimit };
  }

  #reader(): WalletSync {
    if (this.#sync !== undefined) return this.#sync;
    throw new WalletError('chain', 'the wallet was opened without a source of the chain');
  }

  #signer(): WalletKeys {
    if (this.#isClosed) throw new WalletError('request', 'the wallet was closed');
    if (!this.secret.hasPassphrase) this.#keys ??= WalletKeys.openNow(this.secret);
    if (this.#keys !== undefined) return this.#keys;
    throw new WalletError('passphrase', 'this needs the passphrase of the seed words');
  }

  /** The keys, once every used address is known. */
  #synced(): WalletKeys {
    const keys = this.#signer();
    if (this.#sync?.isComplete === true) return keys;
    throw new WalletError(
      'chain',
      'the chain was not read up to its best block since the wallet was opened: a used address could be handed out',
    );
  }

  async #mark(record: WalletRecord & { readonly unsigned: string }): Promise<void> {
    await this.journal.transact((state) => markDecision(state, record));
  }
}
