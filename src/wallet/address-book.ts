/**
 * Which scripts are the wallet's, and which addresses were handed out. Part of the state of a journal: it
 * changes by records only. Pure.
 */
import { BRANCH, type Branch, type KeyPlace } from './api.js';
import type { PlaceName } from './records.js';
import { BOND_MONTHS } from '../bitcoin/bond.js';

/** Scripts that are watched beyond the last address that was handed out or used, on each branch. */
export const RANGE = 1_000;
/** A range grows by at least so many, since each growth is a write. */
const GROWTH = 200;

/** A script of the wallet. */
export interface OwnScript {
  readonly place: KeyPlace;
  /** Compressed public key, hex, of a bond whose key is outside the wallet. */
  readonly outsideKey: string | undefined;
}

/** Scripts that must be derived before the chain is read on. */
export interface MissingScripts {
  readonly mixdepth: number;
  readonly branch: Branch;
  readonly from: number;
  readonly count: number;
}

interface BranchState {
  /** By index. */
  readonly scripts: string[];
  /** Everything below was handed out or used. */
  next: number;
  /** The greatest index that was used on the chain; -1 for none. It never shrinks. */
  used: number;
}

const BRANCHES: readonly Branch[] = [BRANCH.external, BRANCH.internal, BRANCH.bond];

/** Scripts and indices. */
export class AddressBook {
  readonly #branches = new Map<string, BranchState>();
  readonly #byScript = new Map<string, OwnScript>();
  /** Bonds that were handed out or used, by index. */
  readonly #bonds = new Set<number>();
  readonly #outside: { readonly script: string; readonly own: OwnScript }[] = [];
  #all: readonly string[] | undefined;

  /** Adds scripts behind those that are there; others are ignored. */
  addScripts(mixdepth: number, branch: Branch, from: number, scripts: readonly string[]): void {
    const state = this.#branch(mixdepth, branch);
    for (const script of scripts.slice(Math.max(0, state.scripts.length - from))) {
      if (from > state.scripts.length) return;
      const place = { mixdepth, branch, index: state.scripts.length };
      state.scripts.push(script);
      this.#byScript.set(script, { place, outsideKey: undefined });
    }
    this.#all = undefined;
  }

  addOutside(script: string, index: number, publicKey: string): void {
    if (this.#byScript.has(script)) return;
    const place = { mixdepth: 0, branch: BRANCH.bond, index };
    const own = { place, outsideKey: publicKey };
    this.#outside.push({ script, own });
    this.#byScript.set(script, own);
    this.#all = undefined;
  }

  /** Bonds whose keys are outside the wallet, the oldest first. */
  outside(): readonly {
    readonly script: string;
    readonly place: KeyPlace;
    readonly publicKey: string;
  }[] {
    return this.#outside.map(({ script, own }) => ({
      script,
      place: own.place,
      publicKey: own.outsideKey ?? '',
    }));
  }

  /** Every watched script: a new array after it grew. */
  scripts(): readonly string[] {
    this.#all ??= [...this.#byScript.keys()];
    return this.#all;
  }

  own(script: string): OwnScript | undefined {
    return this.#byScript.get(script);
  }

  /** Undefined above the range. */
  scriptAt({ mixdepth, branch, index }: KeyPlace): string | undefined {
    return this.#branches.get(`${mixdepth}/${branch}`)?.scripts[index];
  }

  /** The script that a record names, with its place. */
  named([mixdepth, branch, index]: PlaceName):
    (OwnScript & { readonly script: string }) | undefined {
    if (mixdepth < 0) {
      const outside = this.#outside[index];
      return outside && { ...outside.own, script: outside.script };
    }
    const known = BRANCHES.find((it) => it === branch);
    if (known === undefined) return undefined;
    const place = { mixdepth, branch: known, index };
    const script = this.scriptAt(place);
    return script === undefined ? undefined : { place, outsideKey: undefined, script };
  }

  /** The name of a script in records. */
  nameOf(script: string): PlaceName | undefined {
    const own = this.#byScript.get(script);
    if (own === undefined) return undefined;
    const { mixdepth, branch, index } = own.place;
    if (own.outsideKey === undefined) return [mixdepth, branch, index];
    return [-1, branch, this.#outside.findIndex((it) => it.script === script)];
  }

  /** The first index of a branch that was neither handed out nor used. */
  next(mixdepth: number, branch: Branch): number {
    return this.#branch(mixdepth, branch).next;
  }

  /** The greatest index that was used on the chain; -1 for none. */
  lastUsed(mixdepth: number, branch: Branch): number {
    return this.#branch(mixdepth, branch).used;
  }

  isHandedOut({ mixdepth, branch, index }: KeyPlace): boolean {
    if (branch === BRANCH.bond) return this.#bonds.has(index);
    return index < this.next(mixdepth, branch);
  }

  /** Counts a place as handed out. */
  handOut({ mixdepth, branch, index }: KeyPlace): void {
    if (branch === BRANCH.bond) this.#bonds.add(index);
    else this.skipTo(mixdepth, branch, index + 1);
  }

  /** Every index below `next` counts as handed out. */
  skipTo(mixdepth: number, branch: Branch, next: number): void {
    const state = this.#branch(mixdepth, branch);
    state.next = Math.max(state.next, next);
  }

  /** Counts a place as used on the chain. */
  use(place: KeyPlace): void {
    this.handOut(place);
    const state = this.#branch(place.mixdepth, place.branch);
    state.used = Math.max(state.used, place.index);
  }

  /**
   * What must be derived so that every branch is watched far enough: `gapLimit` unused addresses, and never
   * fewer than `RANGE`.
   */
  missing(mixdepths: number, gapLimit: number = RANGE): readonly MissingScripts[] {
    const missing: MissingScripts[] = [];
    for (let mixdepth = 0; mixdepth < mixdepths; mixdepth++) {
      for (const branch of BRANCHES) {
        if (branch === BRANCH.bond && mixdepth > 0) continue;
        const { scripts, next } = this.#branch(mixdepth, branch);
        const from = scripts.length;
        const least = branch === BRANCH.bond ? BOND_MONTHS : next + Math.max(RANGE, gapLimit);
        if (from >= least) continue;
        const isGrowth = from > 0 && branch !== BRANCH.bond;
        const count = isGrowth ? Math.max(GROWTH, least - from) : least - from;
        missing.push({ mixdepth, branch, from, count });
      }
    }
    return missing;
  }

  #branch(mixdepth: number, branch: Branch): BranchState {
    const key = `${mixdepth}/${branch}`;
    const known = this.#branches.get(key);
    if (known !== undefined) return known;
    const made = { scripts: [], next: 0, used: -1 };
    this.#branches.set(key, made);
    return made;
  }
}

/** The name of a place in records. */
export const placeName = ({ mixdepth, branch, index }: KeyPlace): PlaceName => [
  mixdepth,
  branch,
  index,
];
