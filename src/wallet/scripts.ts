/** Derives the scripts that a wallet must watch and that its journal does not have yet. */
import { BRANCH } from './api.js';
import { bondScript, branchKey, deriveEach, keyScript } from './derive.js';
import type { WalletJournal } from './journal.js';
import type { AccountKey } from './keys.js';
import { hashesOfScripts } from './state.js';
import type { Turn } from './turns.js';

/** A public key and a chain code, in hex, as the journal holds them. */
export const accountText = ({ publicKey, chainCode }: AccountKey): string =>
  Buffer.concat([publicKey, chainCode]).toString('hex');

/** The account of a mixdepth of the journal. */
export function accountOf(texts: readonly string[], mixdepth: number): AccountKey {
  const bytes = new Uint8Array(Buffer.from(texts[mixdepth] ?? '', 'hex'));
  if (bytes.length !== 65) throw new RangeError(`there is no mixdepth ${mixdepth}`);
  return { mixdepth, publicKey: bytes.slice(0, 33), chainCode: bytes.slice(33) };
}

/** What the extension of the ranges needs. */
export interface RangeTerms {
  readonly journal: WalletJournal;
  readonly kind: 'native' | 'nested';
  readonly mixdepths: number;
  /** Unused addresses that are watched on each branch; never fewer than 1,000. */
  readonly gapLimit?: number | undefined;
  readonly turn?: Turn | undefined;
}

/** The last extension of each journal. */
const extensions = new WeakMap<WalletJournal, Promise<void>>();

/**
 * Extends every range that is too short. Does nothing before the journal has the accounts. Calls at the same
 * time run one after the other, so that no script is derived twice.
 * @param onProgress called with the share that is done, 0 to 1
 */
export function extendRanges(
  terms: RangeTerms,
  onProgress?: (done: number) => void,
): Promise<void> {
  const before = extensions.get(terms.journal) ?? Promise.resolve();
  const extension = before.then(() => extend(terms, onProgress));
  extensions.set(
    terms.journal,
    extension.catch(() => {}),
  );
  return extension;
}

async function extend(
  { journal, kind, mixdepths, gapLimit, turn }: RangeTerms,
  onProgress?: (done: number) => void,
): Promise<void> {
  const { accounts, book } = journal.state;
  if (accounts === undefined) return;
  const missing = book.missing(mixdepths, gapLimit);
  const all = missing.reduce((sum, { count }) => sum + count, 0);
  let done = 0;
  for (const { mixdepth, branch, from, count } of missing) {
    const account = accountOf(accounts, mixdepth);
    const key = branchKey(account, branch);
    const isBond = branch === BRANCH.bond;
    const scriptOf = isBond ? bondScript : keyScript(kind);
    const make = (publicKey: Uint8Array, index: number): readonly [Uint8Array, string] => [
      publicKey,
      scriptOf(publicKey, index),
    ];
    // oxlint-disable-next-line no-await-in-loop -- the work has to be spread over many turns
    const derived = await deriveEach(key, from, count, make, turn);
    const scripts = derived.map(([, script]) => script);
    const hashes = hashesOfScripts(isBond ? 'bond' : kind, scripts);
    const keys = Buffer.concat(derived.map(([publicKey]) => publicKey)).toString('base64');
    const bondKeys = isBond ? { keys } : {};
    // oxlint-disable-next-line no-await-in-loop
    await journal.note(() => [{ kind: 'scripts', mixdepth, branch, from, hashes, ...bondKeys }]);
    done += count;
    onProgress?.(done / all);
  }
}
