/** `onionmc admission serve`: the auth server of Lokinet endpoints. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { admissionFiles, openAdmission, type CodeSource } from '../../admission/open.js';
import { AuthServer } from '../../admission/omq/server.js';
import {
  clientAddress,
  isExposed,
  zmqAddress,
  type BindAddress,
} from '../../admission/omq/bind-address.js';
import { loadOrCreateCurveKey } from '../../admission/omq/curve-key.js';
import { boundSocket, checkIpcPath } from '../../admission/omq/ipc-path.js';
import { openRouter } from '../../admission/omq/router.js';
import { resolveDatadir } from '../../config/paths.js';
import { errorCode, errorText } from '../../kit/error-text.js';
import { keepAlive } from '../../kit/keep-alive.js';
import { createLog } from '../../ops/log.js';
import { createShutdown } from '../../ops/shutdown.js';
import { systemClock } from '../../overlay/system-clock.js';
import { lokiHost } from '../../protocol/loki-address.js';
import { UnreachableError, UsageError } from '../errors.js';
import { failWith, setActive } from '../lifecycle.js';
import { print } from '../print.js';
import type { LogLevelName } from '../../config/log-level.js';

export interface ServeOptions {
  readonly bind: BindAddress;
  readonly cmd?: string;
  readonly codes?: string;
  readonly list?: string;
  readonly datadir?: string;
  readonly method?: string;
  readonly payme?: boolean;
  readonly cmdTimeout?: number;
  readonly cmdAtOnce?: number;
  readonly plainBeyondLoopback?: boolean;
  readonly logLevel?: LogLevelName;
}

/** A file of `--codes` is our own, or the guide's lines of hashes. */
async function fileSource(path: string): Promise<CodeSource> {
  try {
    const text = await readFile(path, 'utf8');
    return { kind: text.trimStart().startsWith('{') ? 'codes' : 'hash-lines', path };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') {
      throw new UsageError(
        `--codes ${path}: no such file; "onionmc admission code add --codes ${path}" makes it`,
      );
    }
    throw error;
  }
}

async function sourceOf(options: ServeOptions, datadir: string): Promise<CodeSource> {
  const { cmd, codes, list } = options;
  if ([cmd, codes, list].filter((each) => each !== undefined).length > 1) {
    throw new UsageError('give one of --cmd, --codes and --list');
  }
  if (cmd !== undefined) return { kind: 'program', path: resolve(cmd) };
  if (list !== undefined) return { kind: 'list', path: resolve(list) };
  if (codes !== undefined) return fileSource(resolve(codes));
  return { kind: 'codes', path: admissionFiles(datadir).codes };
}

function checkExposure({ bind, plainBeyondLoopback }: ServeOptions): void {
  if (!isExposed(bind) || plainBeyondLoopback === true) return;
  throw new UsageError(
    `${zmqAddress(bind)} can be reached by other machines, and a plain socket proves nothing: any of them could take over the answers to an exit. Use curve://, or a loopback address, or say --plain-beyond-loopback behind a firewall`,
  );
}

export async function runServe(options: ServeOptions): Promise<void> {
  const { bind, logLevel = 'INFO', method } = options;
  checkExposure(options);
  const datadir = resolveDatadir(options.datadir);
  const files = admissionFiles(datadir);
  const source = await sourceOf(options, datadir);
  const log = createLog({ level: logLevel, color: false });
  const shutdown = createShutdown({ log, onReload: () => Promise.resolve() });
  setActive(shutdown);
  shutdown.onStop('process', keepAlive());
  const admission = await openAdmission({
    source,
    auditPath: files.audit,
    clock: systemClock,
    log,
    payme: options.payme === true,
    timeoutMs: options.cmdTimeout === undefined ? undefined : options.cmdTimeout * 1_000,
    concurrency: options.cmdAtOnce,
  });
  shutdown.onStop('codes', () => admission.close());
  const curve = bind.curve ? await loadOrCreateCurveKey(files.curveKey) : undefined;
  const router = await openRouter(curve);
  if (bind.kind === 'ipc') await checkIpcPath(bind.path);
  try {
    await router.bind(zmqAddress(bind));
  } catch (error) {
    throw new UnreachableError(
      `cannot listen on ${zmqAddress(bind)} (${errorText(error)}): stop the other program there, or name another address`,
      { cause: error },
    );
  }
  if (bind.kind === 'ipc') {
    const bound = await boundSocket(bind.path);
    shutdown.onStop('path of the socket', () => bound.remove());
  }
  const server = new AuthServer({
    router,
    engine: admission.engine,
    addressOf: lokiHost,
    clock: systemClock,
    now: () => Date.now(),
    log,
    ...(method === undefined ? {} : { method }),
  });
  shutdown.onStop('socket', () => router.close());
  server.run().catch(failWith);
  log.info('auth server is up', { bind: zmqAddress(bind), codes: source.kind });
  print(`auth-lmq=${clientAddress(bind, curve?.publicHex)}`);
}
