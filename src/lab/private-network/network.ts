/**
 * A private Tor network on loopback: five relays (or more) and any number of clients, all real `tor` processes,
 * started in about two seconds. There is no vote: the directory documents are written here and every
 * process starts with them. Used by `onionmc demo` and by the tests; no traffic leaves the machine.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TorError } from '../../tor/tor-error.js';
import type { RunningTor } from '../../tor/process/running-tor.js';
import { makeTemporaryFolder, sweepTemporaryFolders } from '../../tor/process/temporary-folder.js';
import { launchTor } from '../../tor/process/tor-program.js';
import { createAuthority, type Authority } from './authority.js';
import { startClient, type PrivateTor, type StartTorOptions } from './client.js';
import {
  dirAuthorityLine,
  directoryDocuments,
  type DirectoryDocuments,
  type Relay,
} from './consensus.js';
import { freePorts } from './free-ports.js';
import { generateRelayKeys, generateRsaKey, writeRelayKeys, type RelayKeys } from './relay-keys.js';
import { COMMON_LINES, joinLines, relayLines } from './torrc.js';

/** Onion services need at least four relays. */
const FEWEST_RELAYS = 5;
/** Another program may take a port before tor binds it; then the start is repeated with other ports. */
const ATTEMPTS = 2;
/** Room for the name of a socket in the network's folder, of the 107 bytes of a path. */
const LONGEST_ROOT = 70;
const ROOT_PREFIX = 'omc-';

export interface PrivateTorNetworkOptions {
  readonly signal?: AbortSignal;
  /** Default `tor`, from the PATH. */
  readonly torProgram?: string;
  /** Called with short texts for a person about the current step. */
  readonly onProgress?: (text: string) => void;
  /**
   * Parent of the temporary folder; default the system's. Its path must be short, because the folder
   * contains unix sockets.
   */
  readonly tmpDir?: string;
  /** Default 5, which is the least. */
  readonly relays?: number;
}

export interface PrivateTorNetwork {
  /**
   * Starts a client, which may also serve onions, and waits until it is connected (about a second).
   * Rejects with a TorError.
   */
  startTor(options?: StartTorOptions): Promise<PrivateTor>;
  /** The torrc lines with which any other Tor joins the network. */
  readonly torrcLines: readonly string[];
  /** The folder with all files; removed by `close`. */
  readonly directory: string;
  /** Ends all processes that were started here and removes the folder. */
  close(): Promise<void>;
}

interface Keys {
  readonly authority: Authority;
  readonly relays: readonly RelayKeys[];
  readonly onionKeyPem: string;
}

async function generateKeys(count: number): Promise<Keys> {
  const [authority, onionKey, ...relays] = await Promise.all([
    createAuthority(new Date()),
    generateRsaKey(),
    ...Array.from({ length: count }, generateRelayKeys),
  ]);
  const onionKeyPem = onionKey.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  return { authority, relays, onionKeyPem };
}

/** Writes the directory documents into the DataDirectory of a process before its start. */
export async function seed(dataDir: string, documents: DirectoryDocuments): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await Promise.all(
    Object.entries(documents).map(([name, text]) =>
      writeFile(join(dataDir, name), String(text), { mode: 0o600 }),
    ),
  );
}

interface Started {
  readonly processes: readonly RunningTor[];
  readonly documents: DirectoryDocuments;
  readonly torrcLines: readonly string[];
}

/** Chooses ports, writes the documents and starts all relays; afterwards either all or none run. */
async function startRelays(
  root: string,
  keys: Keys,
  signal: AbortSignal,
  torProgram: string | undefined,
): Promise<Started> {
  const [dirPort = 0, ...orPorts] = await freePorts(keys.relays.length + 1);
  const relays = keys.relays.map((relayKeys, index): Relay => ({
    nickname: `r${index}`,
    keys: relayKeys,
    orPort: orPorts[index] ?? 0,
    dirPort: index === 0 ? dirPort : 0,
    guard: index === 0,
  }));
  const [source] = relays;
  if (source === undefined) throw new Error('a network without relays');
  const documents = directoryDocuments(keys.authority, source, relays, new Date());
  const torrcLines = joinLines(dirAuthorityLine(keys.authority, source));
  const results = await Promise.allSettled(
    relays.map(async (relay) => {
      const dataDir = join(root, relay.nickname);
      await seed(dataDir, documents);
      await writeRelayKeys(dataDir, relay.keys, keys.onionKeyPem);
      return launchTor({
        dataDir,
        torrc: [...torrcLines, ...COMMON_LINES, ...relayLines(relay)],
        signal,
        readyLine: relay.dirPort === 0 ? /Opened OR listener/ : /Opened Directory listener/,
        ...(torProgram === undefined ? {} : { program: torProgram }),
      });
    }),
  );
  const processes = results.flatMap((result) =>
    result.status === 'fulfilled' ? [result.value] : [],
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await Promise.all(processes.map((relay) => relay.kill()));
    throw failed.reason;
  }
  return { processes, documents, torrcLines };
}

async function startRelaysWithRetry(
  root: string,
  options: PrivateTorNetworkOptions,
  signal: AbortSignal,
): Promise<Started> {
  options.onProgress?.('making the keys and the directory of a private Tor network');
  const count = Math.max(options.relays ?? 0, FEWEST_RELAYS);
  const keys = await generateKeys(count);
  for (let attempt = 1; ; attempt += 1) {
    try {
      options.onProgress?.(`starting ${count} Tor relays on 127.0.0.1`);
      return await startRelays(root, keys, signal, options.torProgram);
    } catch (error) {
      const portTaken = error instanceof TorError && error.code === 'tor-exited';
      if (!portTaken || attempt === ATTEMPTS || signal.aborted) throw error;
    }
  }
}

async function temporaryFolder(parent: string): Promise<string> {
  const prefix = `${ROOT_PREFIX}${randomBytes(4).toString('hex')}-`;
  if (Buffer.byteLength(join(parent, prefix)) > LONGEST_ROOT) {
    throw new TorError(
      'process',
      'io',
      `the temporary folder ${parent} has too long a name for unix sockets: set TMPDIR to a shorter one, such as /tmp`,
      { remedy: 'configuration' },
    );
  }
  // Files of the killed process.
  await sweepTemporaryFolders(parent, ROOT_PREFIX);
  return makeTemporaryFolder(parent, prefix);
}

/**
 * Starts the relays. Rejects with a TorError: `tor-missing` (the message says how to install it),
 * `tor-exited`, `timeout`, `aborted`; no process and no file is left then.
 */
export async function startPrivateTorNetwork(
  options: PrivateTorNetworkOptions = {},
): Promise<PrivateTorNetwork> {
  const closing = new AbortController();
  const signal =
    options.signal === undefined
      ? closing.signal
      : AbortSignal.any([options.signal, closing.signal]);
  const root = await temporaryFolder(options.tmpDir ?? tmpdir());
  const removeRoot = (): Promise<void> => rm(root, { recursive: true, force: true, maxRetries: 3 });
  const started = await startRelaysWithRetry(root, options, signal).catch(
    async (error: unknown) => {
      await removeRoot();
      throw error;
    },
  );

  for (const relay of started.processes) {
    void relay.exited.then(({ lastWarnings }) =>
      closing.abort(new Error(`a relay of the private network ended ${lastWarnings}`.trim())),
    );
  }

  const clients = new Set<RunningTor>();
  const starting = new Set<Promise<unknown>>();
  let clientCount = 0;

  async function startTor(startOptions: StartTorOptions = {}): Promise<PrivateTor> {
    if (closing.signal.aborted) {
      throw new TorError('process', 'aborted', 'this private Tor network is closed', {
        cause: closing.signal.reason,
      });
    }
    clientCount += 1;
    const dataDir = startOptions.dataDir ?? join(root, startOptions.name ?? `c${clientCount}`);
    await seed(dataDir, started.documents);
    return startClient(dataDir, startOptions, {
      joinLines: started.torrcLines,
      torProgram: options.torProgram,
      // The caller's signal applies only to the start of the network.
      signal: closing.signal,
      onRunning: (running) => {
        clients.add(running);
        void running.exited.then(() => clients.delete(running));
      },
    });
  }

  let closed: Promise<void> | undefined;
  async function closeAll(): Promise<void> {
    closing.abort(new Error('the private Tor network was closed'));
    await Promise.allSettled(starting);
    await Promise.all([...clients, ...started.processes].map((running) => running.kill()));
    await removeRoot();
  }

  return {
    torrcLines: started.torrcLines,
    directory: root,
    startTor(startOptions) {
      const start = startTor(startOptions);
      starting.add(start);
      const finished = (): void => {
        starting.delete(start);
      };
      start.then(finished, finished);
      return start;
    },
    close() {
      closed ??= closeAll();
      return closed;
    },
  };
}
