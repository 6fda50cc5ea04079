/**
 * Where passwords and passphrases come from: the file of an option, a credential of systemd, or a person.
 * They are in no argument and in no environment, so no other process of this machine sees them.
 */
import { UsageError } from '../errors.js';
import { printNote } from '../print.js';
import { secretTwice } from './questions.js';
import { readCredential, readSecretFile, type Credential } from './secret-file.js';
import type { Asker } from './terminal.js';

export interface SecretOptions {
  readonly passwordFile?: string;
  readonly passphraseFile?: string;
}

/** One kind of secret: its option, its credential, and its name in a question. */
interface Kind {
  readonly option: string;
  readonly credential: Credential | undefined;
  readonly words: string;
}

const PASSWORD: Kind = {
  option: '--password-file',
  credential: 'wallet-password',
  words: 'password of the wallet',
};
const NEW_PASSWORD: Kind = {
  option: '--new-password-file',
  credential: undefined,
  words: 'new password',
};
const FILE_PASSWORD: Kind = {
  option: '--file-password-file',
  credential: undefined,
  words: 'password of the file',
};
const PASSPHRASE: Kind = {
  option: '--passphrase-file',
  credential: 'wallet-passphrase',
  words: 'passphrase of the seed words',
};

async function givenSecret(kind: Kind, path: string | undefined): Promise<string | undefined> {
  if (path !== undefined) {
    const { secret, warning } = await readSecretFile(kind.option, path);
    if (warning !== undefined) printNote(`warning: ${warning}`);
    return secret;
  }
  return kind.credential === undefined ? undefined : readCredential(kind.credential);
}

function noTerminal(kind: Kind): UsageError {
  const credential =
    kind.credential === undefined ? '' : ` (or, in a unit, LoadCredential=${kind.credential}:FILE)`;
  return new UsageError(
    `there is no terminal to ask for the ${kind.words}: give ${kind.option} FILE${credential}`,
  );
}

async function existing(kind: Kind, path: string | undefined, asker: Asker): Promise<string> {
  const given = await givenSecret(kind, path);
  if (given !== undefined) return given;
  if (!asker.canAsk) throw noTerminal(kind);
  return asker.secret(`${kind.words}: `);
}

async function chosen(kind: Kind, path: string | undefined, asker: Asker): Promise<string> {
  const given = await givenSecret(kind, path);
  if (given !== undefined) return given;
  if (!asker.canAsk) throw noTerminal(kind);
  return secretTwice(asker, kind.words);
}

/** The password of a wallet that exists. */
export function walletPassword(options: SecretOptions, asker: Asker): Promise<string> {
  return existing(PASSWORD, options.passwordFile, asker);
}

/** The password for a new wallet; a person types it twice. */
export function firstPassword(options: SecretOptions, asker: Asker): Promise<string> {
  return chosen(PASSWORD, options.passwordFile, asker);
}

/** The password that replaces another one. */
export function nextPassword(path: string | undefined, asker: Asker): Promise<string> {
  return chosen(NEW_PASSWORD, path, asker);
}

/** The password of a wallet file of another program. */
export function filePassword(path: string | undefined, asker: Asker): Promise<string> {
  return existing(FILE_PASSWORD, path, asker);
}

/** The passphrase of a wallet that has one. BIP39 makes its letters uniform. */
export function walletPassphrase(options: SecretOptions, asker: Asker): Promise<string> {
  return existing(PASSPHRASE, options.passphraseFile, asker);
}

/** The passphrase for a new or recovered wallet, when the person wants one; a person types it twice. */
export async function firstPassphrase(
  options: SecretOptions & { readonly passphrase?: boolean },
  asker: Asker,
): Promise<string> {
  const wanted = options.passphrase === true || options.passphraseFile !== undefined;
  return wanted ? chosen(PASSPHRASE, options.passphraseFile, asker) : '';
}
