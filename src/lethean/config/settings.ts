/** The settings as the parts of the client need them. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from '../../kit/error-text.js';
import type { PaymentLimits } from '../payment/limits.js';
import { LetheanConfigError } from './config-error.js';
import type { Values } from './options.js';
import { configPlaces, platformOf, usualFolders, type Home } from './places.js';
import { resolveOptions, type ConfigFile, type Resolved } from './resolve.js';

export interface LetheanSettings extends Resolved {
  /** The files that were read. */
  readonly files: readonly string[];
  readonly wallet: WalletSettings;
  readonly limits: PaymentLimits;
  /** `payments.json` in `var-dir`. */
  readonly paymentsFile: string;
  /** Blocks that a payment must have: 0 with `use-tx-pool`. */
  readonly blocks: 0 | 1 | 2;
}

export interface WalletSettings {
  readonly url: URL;
  /** Undefined: the wallet RPC asks for no login. */
  readonly credentials: { readonly user: string; readonly password: string } | undefined;
  readonly name: string;
  readonly password: string;
  readonly address: string | undefined;
}

export interface LoadOptions {
  /** `--config`: this file instead of those of the platform. */
  readonly config?: string | undefined;
  /** By option name. */
  readonly commandLine: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly home?: Home;
}

const MAX_FILE_CHARS = 200_000;

async function fileAt(path: string, isNeeded: boolean): Promise<ConfigFile | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length <= MAX_FILE_CHARS) return { path, text };
  } catch (error) {
    const code = errorCode(error) ?? 'error';
    if (code === 'ENOENT' && !isNeeded) return undefined;
    throw new LetheanConfigError(path, `cannot be read (${code}): correct --config, or the file`);
  }
  throw new LetheanConfigError(path, `larger than ${MAX_FILE_CHARS} characters: is it client.ini?`);
}

/** A value that has a default in the table. */
export function needed<K extends keyof Values>(values: Values, name: K): NonNullable<Values[K]> {
  const value = values[name];
  if (value === undefined || value === null) throw new Error(`the option ${name} has no default`);
  return value;
}

/** Rejects with a LetheanConfigError. */
export async function loadLetheanSettings(options: LoadOptions): Promise<LetheanSettings> {
  const { environment = process.env } = options;
  const home = options.home ?? { platform: platformOf(process.platform), home: homedir() };
  const named = options.config ?? (environment['WLC_CONFIG'] || undefined);
  const paths = named === undefined ? configPlaces(home) : [named];
  const found = await Promise.all(paths.map((path) => fileAt(path, named !== undefined)));
  const files = found.filter((file) => file !== undefined);
  const resolved = resolveOptions({
    commandLine: options.commandLine,
    environment,
    files,
    home: home.home,
    ...usualFolders(home),
  });
  return { ...resolved, ...derived(resolved.values), files: files.map(({ path }) => path) };
}

function derived(values: Values): Omit<LetheanSettings, keyof Resolved | 'files'> {
  const password = values['wallet-rpc-password'];
  const port = needed(values, 'wallet-rpc-port');
  const blocks = needed(values, 'wait-blocks');
  return {
    wallet: {
      url: values['wallet-rpc-url'] ?? new URL(`http://127.0.0.1:${port}/json_rpc`),
      credentials:
        password === undefined || password === ''
          ? undefined
          : { user: needed(values, 'wallet-rpc-user'), password },
      name: needed(values, 'wallet-name'),
      password: needed(values, 'wallet-password'),
      address: values['wallet-address'],
    },
    limits: {
      payment: needed(values, 'max-payment'),
      perDay: needed(values, 'max-per-day'),
      dayPrice: needed(values, 'max-day-price'),
      fee: needed(values, 'max-fee'),
    },
    paymentsFile: join(needed(values, 'var-dir'), 'payments.json'),
    blocks: values['use-tx-pool'] === true || blocks === 0 ? 0 : blocks === 2 ? 2 : 1,
  };
}
