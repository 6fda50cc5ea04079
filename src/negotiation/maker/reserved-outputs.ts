/**
 * The coins and addresses in use by the negotiations of one wallet. A transaction that pays a shared
 * address once would satisfy two sessions, and the maker would lose the coins of one of them. So no two
 * sessions share a coin or a script, and no session signs for the coins of another. Pure and bounded;
 * the caller provides the time and asks the chain.
 */
import { formatOutpoint, type NamedOutpoint, type Outpoint } from '../../protocol/outpoint.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';
import { nameCoin } from '../coin-metadata.js';
import type { Payout } from '../payout.js';

/** The part of a reservation that no other session may share. */
export type HeldParts = Pick<Payout, 'coins' | 'coinjoinScript' | 'changeScript'>;

export type HoldFault =
  /** A running negotiation has one of its coins or scripts. */
  | 'shared-running'
  /** A signed transaction that may still confirm has one. */
  | 'shared-signed'
  /**
   * A signed transaction has one, and both could confirm, because no coin of it would be spent again.
   */
  | 'shared-without-coin'
  /** The maximum number of coins and scripts is held. */
  | 'too-many';

export type SignFault =
  /** An input is a coin of another session. */
  | 'foreign-coin'
  /** Another session has a coin or a script of this one, and no coin of it is an input. */
  | HoldFault
  /** It was released, or it has signed. */
  | 'not-held';

/** Identifies one reservation. */
export interface Hold {
  /** `txid:vout`. */
  readonly coins: ReadonlySet<string>;
  /** scriptPubKeys, hex. */
  readonly scripts: ReadonlySet<string>;
  /** The coins, with script and height if known: a chain may need both to find them. */
  readonly outpoints: readonly NamedOutpoint[];
}

interface Entry extends Hold {
  /** Coins that the chain has shown unspent since they are held. */
  readonly shown: Set<string>;
  /** Undefined while the session runs and nothing is signed. */
  signedAt: number | undefined;
}

/** Most coins and scripts, each about 150 bytes; enough for ten thousand signed transactions. */
export const MOST_HELD = 100_000;

const meets = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean => {
  for (const name of a) if (b.has(name)) return true;
  return false;
};

export class ReservedOutputs {
  readonly #most: number;
  /** In the order in which their coins were last looked up. */
  readonly #entries = new Set<Entry>();
  /** Entries by coin and by script; `txid:vout` and hex never collide. */
  readonly #byName = new Map<string, Set<Entry>>();
  #held = 0;

  constructor(most: number = MOST_HELD) {
    this.#most = most;
  }

  /** Number of coins and scripts; shared ones count for each reservation. */
  get size(): number {
    return this.#held;
  }

  /** Number of signed transactions of which no coin was seen spent. */
  get signed(): number {
    return [...this.#entries].filter(({ signedAt }) => signedAt !== undefined).length;
  }

  /**
   * Holds a reservation. What it shares with a signed transaction must wait `reuseMs` from the
   * signature, and the new reservation must include a coin of that transaction, so that at most one of
   * the two confirms. Signed ones are never removed to make room.
   */
  hold(parts: HeldParts, now: number, reuseMs: number): Parsed<Hold, HoldFault> {
    const scripts = [parts.coinjoinScript];
    if (parts.changeScript !== undefined) scripts.push(parts.changeScript);
    const entry: Entry = {
      coins: new Set(parts.coins.map(formatOutpoint)),
      scripts: new Set(scripts),
      outpoints: parts.coins.map((coin) => nameCoin(coin, coin.script, coin.height)),
      shown: new Set(),
      signedAt: undefined,
    };
    for (const other of this.#others(entry)) {
      if (other.signedAt === undefined) return fail('shared-running');
      if (now - other.signedAt < reuseMs) return fail('shared-signed');
      if (!meets(entry.coins, other.coins)) return fail('shared-without-coin');
    }
    const names = entry.coins.size + entry.scripts.size;
    if (this.#held + names > this.#most) return fail('too-many');
    this.#held += names;
    this.#entries.add(entry);
    for (const name of [...entry.coins, ...entry.scripts]) {
      const those = this.#byName.get(name);
      if (those === undefined) this.#byName.set(name, new Set([entry]));
      else those.add(entry);
    }
    return ok(entry);
  }

  /**
   * Why a transaction with these inputs must not be signed for this reservation; undefined when it may
   * be. Called just before signing, because only then the inputs are known.
   */
  faultAtSigning(hold: Hold, inputs: readonly Outpoint[]): SignFault | undefined {
    const entry = this.#find(hold);
    if (entry?.signedAt !== undefined || entry === undefined) return 'not-held';
    const spent = new Set(inputs.map(formatOutpoint));
    for (const name of spent) {
      if (!entry.coins.has(name) && this.#byName.has(name)) return 'foreign-coin';
    }
    for (const other of this.#others(entry)) {
      if (other.signedAt === undefined) return 'shared-running';
      if (!meets(spent, other.coins)) return 'shared-without-coin';
    }
    return undefined;
  }

  /** Signatures are about to be sent: from now on only the chain frees it. */
  sign(hold: Hold, now: number): void {
    const entry = this.#find(hold);
    if (entry !== undefined) entry.signedAt ??= now;
  }

  /** Nothing was and will be signed: releases it at once. Has no effect on a signed one. */
  release(hold: Hold): void {
    const entry = this.#find(hold);
    if (entry !== undefined && entry.signedAt === undefined) this.#drop(entry);
  }

  /**
   * Coins of signed transactions to look up, about `most` of them, those first that were not looked up
   * for longest. Each at most once.
   */
  coinsToLookUp(most: number): readonly NamedOutpoint[] {
    const coins = new Map<string, NamedOutpoint>();
    const asked: Entry[] = [];
    for (const entry of this.#entries) {
      if (coins.size >= most) break;
      if (entry.signedAt === undefined) continue;
      for (const outpoint of entry.outpoints) coins.set(formatOutpoint(outpoint), outpoint);
      asked.push(entry);
    }
    for (const entry of asked) {
      this.#entries.delete(entry);
      this.#entries.add(entry);
    }
    return [...coins.values()];
  }

  /**
   * The chain's answer about a coin. A coin that was shown before and is not shown now is spent: the
   * signed transactions that spend it have confirmed or never can, and are released. A coin that was
   * never shown says nothing, because some views do not find every coin.
   */
  see(coin: Outpoint, isShown: boolean): void {
    const name = formatOutpoint(coin);
    for (const entry of this.#byName.get(name) ?? []) {
      if (isShown) entry.shown.add(name);
      else if (entry.signedAt !== undefined && entry.shown.has(name)) this.#drop(entry);
    }
  }

  /**
   * The wallet knows from its journal and the chain that signed transactions of these coins can no longer
   * confirm beside a new one: releases them. Has no effect on reservations that run.
   */
  forget(coins: readonly Outpoint[]): void {
    for (const coin of coins) {
      for (const entry of this.#byName.get(formatOutpoint(coin)) ?? []) {
        if (entry.signedAt !== undefined) this.#drop(entry);
      }
    }
  }

  #find(hold: Hold): Entry | undefined {
    for (const name of hold.coins) {
      for (const entry of this.#byName.get(name) ?? []) if (entry === hold) return entry;
    }
    return undefined;
  }

  #others(entry: Entry): ReadonlySet<Entry> {
    const others = new Set<Entry>();
    for (const name of [...entry.coins, ...entry.scripts]) {
      for (const other of this.#byName.get(name) ?? []) if (other !== entry) others.add(other);
    }
    return others;
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry);
    this.#held -= entry.coins.size + entry.scripts.size;
    for (const name of [...entry.coins, ...entry.scripts]) {
      const those = this.#byName.get(name);
      those?.delete(entry);
      if (those?.size === 0) this.#byName.delete(name);
    }
  }
}

const ofWallets = new WeakMap<object, ReservedOutputs>();

/**
 * The set of a wallet. It outlives the maker: a maker that stops and starts again with the same wallet
 * still knows what was signed.
 */
export function reservedOutputsOf(wallet: object): ReservedOutputs {
  const known = ofWallets.get(wallet);
  if (known !== undefined) return known;
  const created = new ReservedOutputs();
  ofWallets.set(wallet, created);
  return created;
}
