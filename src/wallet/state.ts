/**
 * What the journal of a wallet says, as a fold over its records: the same records give the same state, and
 * the records of a journal that was cut give the state at the cut. Nothing else changes it. Pure.
 */
import { bytesToHex } from '@noble/hashes/utils.js';
import { p2wsh } from '../bitcoin/script.js';
import { AddressBook } from './address-book.js';
import type { FreezeReason } from './api.js';
import { Ledger, coinKey } from './ledger.js';
import { BOND_MONTHS, bondWitnessScript } from '../bitcoin/bond.js';
import { bondLockTime } from './places.js';
import type { CoinName, WalletRecord } from './records.js';
import { LeaseBook } from './lease-book.js';
import type { BondCertificate } from './requests.js';
import { ScanProgress } from './scan-progress.js';
import { SignedLedger } from './signed-ledger.js';

/** The branches of scripts in records. */
const HASH_BYTES = { native: 20, nested: 20, bond: 32 } as const;
const PREFIX = { native: '0014', nested: 'a914', bond: '0020' } as const;
const SUFFIX = { native: '', nested: '87', bond: '' } as const;

/** The scripts behind the hashes of a record. */
export function scriptsOfHashes(form: keyof typeof HASH_BYTES, hashes: string): readonly string[] {
  const hex = bytesToHex(new Uint8Array(Buffer.from(hashes, 'base64')));
  const digits = HASH_BYTES[form] * 2;
  return Array.from(
    { length: Math.floor(hex.length / digits) },
    (_, i) => PREFIX[form] + hex.slice(i * digits, (i + 1) * digits) + SUFFIX[form],
  );
}

/** The hashes of scripts, for a record. */
export function hashesOfScripts(form: keyof typeof HASH_BYTES, scripts: readonly string[]): string {
  const digits = HASH_BYTES[form] * 2;
  const from = PREFIX[form].length;
  const hex = scripts.map((script) => script.slice(from, from + digits)).join('');
  return Buffer.from(hex, 'hex').toString('base64');
}

export class WalletState {
  readonly #kind: 'native' | 'nested';
  readonly #freezeReuseUpTo: number;
  readonly book = new AddressBook();
  readonly progress = new ScanProgress();
  readonly ledger: Ledger;
  readonly signed: SignedLedger;
  readonly leases = new LeaseBook();
  /** Freezing by a person or an import, by coin; the rule for reused addresses is in the ledger. */
  readonly #freezing = new Map<string, 'user' | 'imported' | 'unfrozen'>();
  /** Commitments that were used. */
  readonly #commitments = new Set<string>();
  /** Commitments of rounds that run, with the wallet's coin behind each. */
  readonly #reserved = new Map<string, CoinName | undefined>();
  readonly #labels = new Map<string, string>();
  readonly #certificates = new Map<string, BondCertificate>();
  #accounts: readonly string[] | undefined;
  #bondKeys = '';

  /** @param freezeReuseUpTo largest coin that is frozen because its address was used before, satoshi */
  constructor(kind: 'native' | 'nested', freezeReuseUpTo = Number.POSITIVE_INFINITY) {
    this.#kind = kind;
    this.#freezeReuseUpTo = freezeReuseUpTo;
    this.ledger = new Ledger({
      book: this.book,
      signed: (unsigned) => this.signed.record(unsigned),
      isUnfrozen: (coin) => this.#freezing.get(coin) === 'unfrozen',
    });
    this.signed = new SignedLedger(this.ledger);
  }

  /** Public key and chain code of each mixdepth's account, hex; undefined before the first record. */
  get accounts(): readonly string[] | undefined {
    return this.#accounts;
  }

  /** The compressed public keys of all bonds, hex, in the order of their months; empty before they are known. */
  bondKeys(): readonly string[] {
    const hex = Buffer.from(this.#bondKeys, 'base64').toString('hex');
    return hex.match(/.{66}/g) ?? [];
  }

  get certificates(): readonly BondCertificate[] {
    return [...this.#certificates.values()];
  }

  get labels(): ReadonlyMap<string, string> {
    return this.#labels;
  }

  /** What a person or an import said about a coin. */
  freezingOf(coin: string): 'user' | 'imported' | 'unfrozen' | undefined {
    return this.#freezing.get(coin);
  }

  /** Coins that a person or an import froze. */
  get frozenByHand(): readonly string[] {
    return [...this.#freezing].filter(([, it]) => it !== 'unfrozen').map(([coin]) => coin);
  }

  frozen(coin: string): FreezeReason | undefined {
    const byHand = this.#freezing.get(coin);
    if (byHand !== undefined) return byHand === 'unfrozen' ? undefined : byHand;
    const known = this.ledger.coin(coin);
    return known?.reused === true && known.value <= this.#freezeReuseUpTo ? 'reuse' : undefined;
  }

  label(type: 'addr' | 'output' | 'tx', reference: string): string | undefined {
    return this.#labels.get(`${type}:${reference}`);
  }

  /** Whether a commitment was used, or is reserved. */
  isCommitted(commitment: string): boolean {
    return this.#commitments.has(commitment) || this.#reserved.has(commitment);
  }

  isUsed(commitment: string): boolean {
    return this.#commitments.has(commitment);
  }

  /** Commitments that are reserved and not used, with the wallet's coin behind each. */
  get reservedCommitments(): ReadonlyMap<string, CoinName | undefined> {
    return this.#reserved;
  }

  apply(record: WalletRecord): void {
    switch (record.kind) {
      case 'accounts':
        this.#accounts = record.keys;
        break;
      case 'scripts': {
        const { mixdepth, branch, from, hashes } = record;
        const form = branch === 2 ? 'bond' : this.#kind;
        this.book.addScripts(mixdepth, branch, from, scriptsOfHashes(form, hashes));
        if (record.keys !== undefined) this.#bondKeys = record.keys;
        break;
      }
      case 'address': {
        const own = this.book.named(record.place);
        if (own !== undefined) this.book.handOut(own.place);
        break;
      }
      case 'skip':
        this.book.skipTo(record.mixdepth, record.branch, record.next);
        break;
      case 'outside-bond': {
        if (record.index >= BOND_MONTHS) break;
        const key = new Uint8Array(Buffer.from(record.publicKey, 'hex'));
        const script = p2wsh(bondWitnessScript(bondLockTime(record.index), key));
        this.book.addOutside(script, record.index, record.publicKey);
        break;
      }
      case 'block':
        this.progress.readTo(record.height);
        this.ledger.addBlock(record);
        break;
      case 'reached':
        this.progress.reach(record);
        break;
      case 'rewind':
        this.progress.rewind(record);
        this.ledger.rewind(record.height);
        this.signed.rewind(record.height);
        break;
      case 'rescan':
        this.signed.settle(record.from);
        this.progress.restart(record.from);
        this.ledger.forget(record.from);
        break;
      case 'unspent':
        this.ledger.begin(record.coins);
        break;
      case 'freeze':
        this.#freezing.set(coinKey(record.coin), record.reason);
        break;
      case 'unfreeze':
        this.#freezing.set(coinKey(record.coin), 'unfrozen');
        break;
      case 'lease':
        this.#addLease(record);
        break;
      case 'release':
        this.leases.end(record.id);
        break;
      case 'signed':
        this.signed.add(record);
        if (record.lease !== undefined) this.leases.end(record.lease);
        break;
      case 'seen':
        this.signed.see(record.unsigned, record.seen);
        break;
      case 'lost':
        this.signed.lose(record.unsigned, record.height);
        break;
      case 'abandoned':
        this.signed.abandon(record.unsigned);
        break;
      case 'whole':
        this.signed.complete(record.unsigned, record);
        break;
      case 'commitment':
        this.#commitments.add(record.commitment);
        this.#reserved.delete(record.commitment);
        break;
      case 'reserved':
        this.#reserved.set(record.commitment, record.coin);
        break;
      case 'freed':
        this.#reserved.delete(record.commitment);
        break;
      case 'label': {
        const key = `${record.type}:${record.reference}`;
        if (record.label === '') this.#labels.delete(key);
        else this.#labels.set(key, record.label);
        break;
      }
      case 'certificate': {
        const [txid, vout] = record.coin;
        const { privateKey, expiry, signature } = record;
        this.#certificates.set(coinKey(record.coin), {
          txid,
          vout,
          certPrivateKey: privateKey,
          certExpiry: expiry,
          certSignature: signature,
        });
        break;
      }
    }
  }

  #addLease({ id, owner, coins, time, until }: WalletRecord & { kind: 'lease' }): void {
    const outpoints = coins.map(([txid, vout]) => ({ txid, vout }));
    this.leases.add({ id, owner, until, coins: outpoints }, time);
  }
}
