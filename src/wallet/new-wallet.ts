/** The content of a new wallet file, from seed words and a passphrase. */
import { addressOf } from '../bitcoin/address.js';
import { BRANCH } from './api.js';
import { WalletKeys } from './keys.js';
import type { Seed } from './seed.js';
import type { ImportedState } from './requests.js';
import type { JournalValue, WalletSecret } from './store/api.js';
import { importedRecords } from './wallet-parts.js';

/** What a new wallet is made of. */
export interface NewWalletTerms extends Pick<
  WalletSecret,
  'network' | 'kind' | 'mixdepths' | 'birthHeight' | 'created'
> {
  readonly seed: Seed;
  /** Empty for none. */
  readonly passphrase: string;
}

/** The first deposit address of mixdepth 0, by which a person recognizes a wallet. */
function firstAddress(keys: WalletKeys, { network }: Pick<WalletSecret, 'network'>): string {
  const script = keys.scriptOf({ mixdepth: 0, branch: BRANCH.external, index: 0 });
  const address = addressOf(script, network);
  if (address === undefined) throw new Error('a script of the wallet has an address');
  return address;
}

/** The secret of a new wallet, and its first deposit address. */
export async function newWalletSecret({
  seed,
  passphrase,
  ...terms
}: NewWalletTerms): Promise<{ readonly secret: WalletSecret; readonly firstAddress: string }> {
  const source = { ...terms, entropy: seed.entropy };
  const keys = await WalletKeys.derive(source, passphrase);
  try {
    const { fingerprint } = keys;
    const secret = { ...source, fingerprint, hasPassphrase: passphrase !== '' };
    return { secret, firstAddress: firstAddress(keys, terms) };
  } finally {
    keys.close();
  }
}

/**
 * The first records of a new wallet that takes over another program's: they are written with the wallet
 * file, so a wallet without them never exists.
 */
export function takenOver(state: ImportedState, secret: WalletSecret): readonly JournalValue[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- records are JSON; the store checks
  return importedRecords(state, secret) as unknown as readonly JournalValue[];
}

/** What typed words prove about a wallet. */
export interface SeedProof {
  /** Words and passphrase are those of the wallet. */
  readonly isSame: boolean;
  /** First deposit address of the words and the passphrase. */
  readonly address: string;
}

/** Whether words and a passphrase, typed again, give the wallet. */
export async function proveSeed(
  secret: WalletSecret,
  seed: Seed,
  passphrase: string,
): Promise<SeedProof> {
  const keys = await WalletKeys.derive({ ...secret, entropy: seed.entropy }, passphrase);
  try {
    const isSame = seed.entropy === secret.entropy && keys.fingerprint === secret.fingerprint;
    return { isSame, address: firstAddress(keys, secret) };
  } finally {
    keys.close();
  }
}
