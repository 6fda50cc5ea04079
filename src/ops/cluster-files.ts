/** The files with which a node of a cluster identifies itself to NATS. No error contains text of a file. */
import { open } from 'node:fs/promises';
import { errorCode } from '../kit/error-text.js';
import { ExitCode } from './exit.js';

/** How a node identifies itself: what NATS calls credentials, an nkey, or user and password. */
export type NatsCredentials =
  /** `text` is that of a `.creds` file: a JWT and the seed of an nkey. */
  | { readonly kind: 'creds'; readonly text: string }
  | { readonly kind: 'nkey'; readonly seed: string }
  | { readonly kind: 'password'; readonly user: string; readonly password: string };

/** The content of the files of `[CLUSTER]`; PEM texts. */
export interface NatsFiles {
  readonly credentials: NatsCredentials | undefined;
  readonly ca: string | undefined;
  readonly certificate: { readonly certificate: string; readonly key: string } | undefined;
}

/** The paths of the files, absolute. */
export interface NatsFilePaths {
  readonly credentialsFile: string | undefined;
  readonly caFile: string | undefined;
  readonly certificate: { readonly file: string; readonly keyFile: string } | undefined;
}

/** A file of `[CLUSTER]` that cannot be used; one line with the key and the fix. */
export class NatsFileError extends Error {
  override readonly name = 'NatsFileError';
  readonly exitCode = ExitCode.USAGE;
}

const MAX_BYTES = 65_536;

async function read(key: string, path: string, isSecret: boolean): Promise<string> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    throw new NatsFileError(
      `[CLUSTER] ${key}: ${path} cannot be read (${errorCode(cause) ?? 'unknown'}). Fix: a file that the user of the directory may read`,
      { cause },
    );
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new NatsFileError(`[CLUSTER] ${key}: ${path} is no regular file`);
    if (isSecret && (stats.mode & 0o007) !== 0) {
      throw new NatsFileError(
        `[CLUSTER] ${key}: every user of this machine can use ${path}. Fix: chmod 600 "${path}"`,
      );
    }
    const buffer = Buffer.alloc(MAX_BYTES);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

function credentialsIn(path: string, text: string): NatsCredentials {
  if (text.includes('BEGIN NATS USER JWT') && text.includes('BEGIN USER NKEY SEED')) {
    return { kind: 'creds', text };
  }
  const line = text.trim();
  if (/^SU[A-Z2-7]{56}$/.test(line)) return { kind: 'nkey', seed: line };
  const [, user, password] = /^([^:\s]+):(\S+)$/.exec(line) ?? [];
  if (user !== undefined && password !== undefined) return { kind: 'password', user, password };
  throw new NatsFileError(
    `[CLUSTER] nats_credentials: ${path} is neither a .creds file of NATS, nor the seed of a user's nkey (SU...), nor USER:PASSWORD on one line`,
  );
}

const PEM = {
  certificate: /-----BEGIN (?:TRUSTED )?CERTIFICATE-----/,
  'private key': /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/,
} as const;

async function pem(key: string, path: string, what: keyof typeof PEM): Promise<string> {
  const text = await read(key, path, what === 'private key');
  if (PEM[what].test(text)) return text;
  throw new NatsFileError(`[CLUSTER] ${key}: ${path} has no ${what} in PEM`);
}

/** Reads the files of a cluster's settings. Rejects with a NatsFileError. */
export async function readNatsFiles(paths: NatsFilePaths): Promise<NatsFiles> {
  const { credentialsFile, caFile, certificate } = paths;
  return {
    credentials:
      credentialsFile === undefined
        ? undefined
        : credentialsIn(credentialsFile, await read('nats_credentials', credentialsFile, true)),
    ca: caFile === undefined ? undefined : await pem('nats_ca', caFile, 'certificate'),
    certificate:
      certificate === undefined
        ? undefined
        : {
            certificate: await pem('nats_certificate', certificate.file, 'certificate'),
            key: await pem('nats_key', certificate.keyFile, 'private key'),
          },
  };
}
