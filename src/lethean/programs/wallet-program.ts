/** The wallet RPC of `run-wallet`. Its login is in a file that no other user can read, and not among its arguments. */
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readStateFile, writeStateFile } from '../../ops/state-file.js';
import { makePrivateFolder } from '../transport/private-folder.js';
import { isListening } from './local-port.js';
import { ProgramError } from './program-error.js';
import type { SupervisedOptions } from './supervised.js';

export interface WalletProgramOptions extends Pick<SupervisedOptions, 'clock' | 'log'> {
  /** `wallet-rpc-bin`. */
  readonly program: string;
  /** `wallet-dir`; made where it is missing. */
  readonly folder: string;
  readonly port: number;
  readonly login: { readonly user: string; readonly password: string };
  /** `HOST:PORT` or a URL of a node; undefined: that of the program. */
  readonly node: string | undefined;
  /** `daemon-host`, where no address is known. */
  readonly nodeHost: string | undefined;
}

/** A line of the file has no quotes: `#` begins a comment, and blanks at the ends are lost. */
const PLAIN = /^[!-"$-~](?:[ -"$-~]*[!-"$-~])?$/;

/** Throws a ProgramError for a login that the file of the wallet RPC cannot have. */
export function walletProgram(options: WalletProgramOptions): SupervisedOptions {
  const { program, folder, port, login, node, nodeHost, clock, log } = options;
  if (!PLAIN.test(login.user) || login.user.includes(':') || !PLAIN.test(login.password)) {
    throw new ProgramError(
      'settings',
      'wallet-rpc-user and wallet-rpc-password must have no "#", no control characters and no blanks at their ends, and the user no ":", so that run-wallet = 1 can give them to the wallet RPC',
    );
  }
  const nodeArgs = node === undefined ? [] : [`--daemon-address=${node}`];
  const hostArgs =
    node !== undefined || nodeHost === undefined ? [] : [`--daemon-host=${nodeHost}`];
  let secrets: string | undefined;
  return {
    name: 'wallet RPC',
    option: 'wallet-rpc-bin',
    program,
    folder,
    clock,
    log,
    answers: () => isListening(port),
    async prepare() {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      secrets = await makePrivateFolder();
      const file = join(secrets, 'wallet-rpc.conf');
      await writeFile(file, `rpc-login=${login.user}:${login.password}\n`, { mode: 0o600 });
      return [
        `--config-file=${file}`,
        `--wallet-dir=${folder}`,
        '--rpc-bind-ip=127.0.0.1',
        `--rpc-bind-port=${port}`,
        `--log-file=${join(folder, 'wallet-rpc.log')}`,
        ...nodeArgs,
        ...hostArgs,
      ];
    },
    async clean() {
      if (secrets !== undefined) await rm(secrets, { recursive: true, force: true });
      secrets = undefined;
    },
  };
}

const PASSWORD = /^[\w-]{43}$/;

/** The password that this program made for its wallet RPC, kept for its other commands; made where there is none. */
export async function keptPassword(path: string): Promise<string> {
  const kept = await readStateFile(path, 1_000);
  const text = kept === undefined ? '' : Buffer.from(kept).toString('latin1').trim();
  if (PASSWORD.test(text)) return text;
  const password = randomBytes(32).toString('base64url');
  await writeStateFile(path, `${password}\n`);
  return password;
}
