/** What an open wallet shows: all of it follows from the journal. */
import type { BlockId } from '../chain/ports.js';
import type { Network } from '../protocol/constants.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import {
  type HistoryEntry,
  type KeyPlace,
  type WalletCoin,
  WalletError,
  type WalletSummary,
} from './api.js';
import { bondPlacesOf, outsideBondsOf } from './bond-places.js';
import { coinjoinsOf, type SignedCoinjoin } from './coinjoin-list.js';
import { coinOf, coinsOf, summaryOf, type CoinTerms } from './coins.js';
import { branchKey, publicKeyAt } from './derive.js';
import { historyOf } from './history.js';
import type { WalletJournal } from './journal.js';
import { exportLabels } from './labels.js';
import { isLeaseOpen, type LastLease } from './lease-book.js';
import type { BondCertificate, BondPlace, Lease, SignedTransaction } from './requests.js';
import { accountOf } from './scripts.js';
import type { WalletSecret } from './store/api.js';

/** The part of a wallet that changes nothing and needs no key. */
export class WalletView {
  /** @internal The records of the wallet. */
  protected readonly journal: WalletJournal;
  readonly #secret: WalletSecret;
  readonly #unixTime: () => number;

  protected constructor(journal: WalletJournal, secret: WalletSecret, unixTime: () => number) {
    this.journal = journal;
    this.#secret = secret;
    this.#unixTime = unixTime;
  }

  get network(): Network {
    return this.#secret.network;
  }

  /** What the wallet file says. `entropy` is in it: never print it. */
  get secret(): WalletSecret {
    return this.#secret;
  }

  /** Height of the block up to which the chain was read; -1 before the first one. */
  get height(): number {
    return this.journal.state.progress.height;
  }

  /** The block up to which the chain was read; undefined before the first reading since the opening. */
  get tip(): BlockId | undefined {
    return this.journal.state.progress.tip;
  }

  summary(): WalletSummary {
    return summaryOf(this.journal.state, this.terms());
  }

  /** All coins, also bonds and coins in the mempool, in the order of mixdepth, branch and index. */
  coins(): readonly WalletCoin[] {
    return coinsOf(this.journal.state, this.terms());
  }

  /** @throws WalletError `coin` when the wallet has no such coin. */
  coin(outpoint: Outpoint): WalletCoin {
    const coin = coinOf(this.journal.state, this.terms(), outpoint);
    if (coin !== undefined) return coin;
    throw new WalletError('coin', `${formatOutpoint(outpoint)}: the wallet has no such coin`);
  }

  /** Where the key of a script is; undefined for a script of another party. */
  placeOf(script: string): KeyPlace | undefined {
    const own = this.journal.state.book.own(script);
    return own?.outsideKey === undefined ? own?.place : undefined;
  }

  /** Whether the address of a script of the wallet has left the program. */
  isHandedOut(script: string): boolean {
    const { book } = this.journal.state;
    const own = book.own(script);
    return own !== undefined && book.isHandedOut(own.place);
  }

  /** Whether a script of the wallet was ever paid in a block that was read. */
  wasFunded(script: string): boolean {
    return this.journal.state.ledger.coinsAt(script) !== undefined;
  }

  /** The compressed public key of a place, for a PSBT: 33 bytes. Needs no private key. */
  publicKeyOf({ mixdepth, branch, index }: KeyPlace): Uint8Array {
    const account = accountOf(this.journal.state.accounts ?? [], mixdepth);
    return publicKeyAt(branchKey(account, branch), index);
  }

  /** The 960 places for bonds. */
  bondPlaces(): readonly BondPlace[] {
    return bondPlacesOf(this.journal.state, this.secret);
  }

  /** The bond addresses of keys outside the wallet that it watches, the oldest first. */
  outsideBonds(): readonly BondPlace[] {
    return outsideBondsOf(this.journal.state, this.secret);
  }

  /** The oldest first. */
  history(): readonly HistoryEntry[] {
    return historyOf(this.journal.state);
  }

  /** All labels and frozen coins in BIP329, one JSON object for each line. */
  exportLabels(): string {
    return exportLabels(this.journal.state);
  }

  /** Leases that are not over. */
  leases(): readonly Lease[] {
    const now = this.#unixTime();
    return this.journal.state.leases.all().filter((lease) => isLeaseOpen(lease, now));
  }

  /** The last lease of a coin within about a day, also one that was released, for every owner. */
  lastLease(coin: Outpoint): LastLease | undefined {
    return this.journal.state.leases.lastOf(formatOutpoint(coin));
  }

  /** Every transaction that was signed, the oldest first. */
  signedTransactions(): readonly SignedTransaction[] {
    return this.journal.state.signed.list((txid) => this.journal.state.label('tx', txid));
  }

  /** The coinjoins that were signed, as a maker and as a taker, the oldest first. */
  coinjoins(): readonly SignedCoinjoin[] {
    return coinjoinsOf(this.journal.state);
  }

  certificates(): readonly BondCertificate[] {
    return this.journal.state.certificates;
  }

  /** @internal What the views of coins depend on. */
  protected terms(): CoinTerms {
    const { network, kind, mixdepths } = this.#secret;
    return { network, kind, mixdepths, now: this.#unixTime() };
  }
}
