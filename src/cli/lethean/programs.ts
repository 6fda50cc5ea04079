/** The wallet RPC and the node that `run-wallet` and `run-daemon` start, and that end with the command. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../channel/log.js';
import { needed, type LetheanSettings } from '../../lethean/config/settings.js';
import { isListening } from '../../lethean/programs/local-port.js';
import { localPort, nodeProgram } from '../../lethean/programs/node-program.js';
import { ProgramError } from '../../lethean/programs/program-error.js';
import { SupervisedProgram } from '../../lethean/programs/supervised.js';
import { keptPassword, walletProgram } from '../../lethean/programs/wallet-program.js';
import { LockedError, lockInstance, type InstanceLock } from '../../ops/instance-lock.js';
import { systemClock } from '../../overlay/system-clock.js';

/** The settings with the login of the started wallet RPC, and what ends the programs. */
export interface StartedPrograms {
  readonly settings: LetheanSettings;
  stop(): Promise<void>;
}

/** Undefined where another command of this user has it: its programs are used. */
async function owned(path: string): Promise<InstanceLock | undefined> {
  try {
    return await lockInstance(path);
  } catch (error) {
    if (error instanceof LockedError) return undefined;
    throw error;
  }
}

async function startNode(
  { values }: LetheanSettings,
  log: Log,
  signal: AbortSignal,
): Promise<SupervisedProgram> {
  const options = nodeProgram({
    program: needed(values, 'daemon-bin'),
    folder: join(needed(values, 'var-dir'), 'node'),
    rpcUrl: values['daemon-rpc-url'],
    p2pPort: values['daemon-p2p-port'],
    clock: systemClock,
    log,
  });
  return SupervisedProgram.start(options, signal);
}

/** Of the node: a URL with TLS stays one, `http` is the usual way of the wallet RPC. */
function nodeAddress({ values }: LetheanSettings): string | undefined {
  const url = values['daemon-rpc-url'];
  if (url === undefined) return undefined;
  return url.protocol === 'https:' ? `https://${url.host}` : url.host;
}

async function startWallet(
  settings: LetheanSettings,
  log: Log,
  signal: AbortSignal,
): Promise<SupervisedProgram> {
  const { values, wallet } = settings;
  const port = localPort(wallet.url, 'wallet-rpc-url', 'run-wallet');
  if (await isListening(port)) {
    throw new ProgramError(
      'port',
      `the wallet RPC cannot be started: another program has port ${port}; end it, set wallet-rpc-port to a free port, or set run-wallet = 0 to use it`,
    );
  }
  const options = walletProgram({
    program: needed(values, 'wallet-rpc-bin'),
    folder: needed(values, 'wallet-dir'),
    port,
    login: wallet.credentials ?? { user: '', password: '' },
    node: nodeAddress(settings),
    nodeHost: values['daemon-host'],
    clock: systemClock,
    log,
  });
  return SupervisedProgram.start(options, signal);
}

/** A login is made where the settings have none. */
async function withLogin(settings: LetheanSettings): Promise<LetheanSettings> {
  const { values, wallet } = settings;
  if (wallet.credentials !== undefined) return settings;
  const password = await keptPassword(join(needed(values, 'var-dir'), 'wallet-rpc-password'));
  const credentials = { user: needed(values, 'wallet-rpc-user'), password };
  return { ...settings, wallet: { ...wallet, credentials } };
}

/**
 * Starts what `run-daemon` and `run-wallet` say, unless another command of this user has started it. Resolves when the
 * wallet RPC answers. Rejects with a ProgramError; nothing is left then.
 */
export async function startPrograms(
  given: LetheanSettings,
  log: Log,
  signal: AbortSignal,
): Promise<StartedPrograms> {
  const { values } = given;
  const wants = {
    node: needed(values, 'run-daemon'),
    wallet: needed(values, 'run-wallet'),
  };
  if (!wants.node && !wants.wallet) return { settings: given, stop: () => Promise.resolve() };
  const varDir = needed(values, 'var-dir');
  await mkdir(varDir, { recursive: true, mode: 0o700 });
  const settings = wants.wallet ? await withLogin(given) : given;
  const lock = await owned(join(varDir, 'programs.lock'));
  if (lock === undefined) return { settings, stop: () => Promise.resolve() };
  const started: SupervisedProgram[] = [];
  const stop = async (): Promise<void> => {
    // The wallet before its node.
    for (const program of started.splice(0).toReversed()) {
      // oxlint-disable-next-line no-await-in-loop -- one needs the other
      await program.stop();
    }
    await lock.release();
  };
  try {
    if (wants.node) started.push(await startNode(settings, log, signal));
    if (wants.wallet) started.push(await startWallet(settings, log, signal));
    return { settings, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
