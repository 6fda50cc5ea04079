/** One running `ssh`, over a connection of this process. */
import { spawn, type ChildProcess } from 'node:child_process';
import { watch } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { errorCode } from '../../kit/error-text.js';
import { makePrivateFolder } from './private-folder.js';
import { sshArguments, sshFault, type SshAlive, type SshPlace } from './ssh-arguments.js';
import { TransportError } from './transport-error.js';

const MAX_STDERR_CHARS = 4_000;
/** Milliseconds between two looks at a socket that has its file and does not listen yet. */
const LOOK_MS = 10;
/** Milliseconds that a stopped ssh may take before it is killed. */
const STOP_GRACE_MS = 1_000;

export interface SshStart {
  readonly program: string;
  readonly place: SshPlace;
  readonly alive: SshAlive;
  /** Content of known_hosts. */
  readonly knownHosts: string;
  readonly key: string;
  readonly certificate: string;
  /** The connection to the gate; destroyed with the process. */
  readonly connection: Socket;
}

/** Connects to a unix socket, and closes the connection. */
function listenerState(path: string): Promise<'absent' | 'refuses' | 'listens'> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve('listens');
    });
    socket.once('error', (error) => {
      socket.destroy();
      resolve(errorCode(error) === 'ECONNREFUSED' ? 'refuses' : 'absent');
    });
  });
}

function lined(text: string): string {
  return `${text.replaceAll('\r\n', '\n').trimEnd()}\n`;
}

/** Owns the process, its folder and its connection. `ended` tells the end once; nothing is left then. */
export class SshProcess {
  /** SOCKS5 of ssh; in a folder that only this user can enter. */
  readonly socket: string;
  readonly ended: Promise<TransportError>;
  readonly #folder: string;
  readonly #child: ChildProcess;
  #stderr = '';
  #over: TransportError | undefined;

  private constructor(folder: string, child: ChildProcess, connection: Socket) {
    this.#folder = folder;
    this.socket = join(folder, 'socks');
    this.#child = child;
    this.ended = this.#watch(connection);
  }

  /** Writes the files and starts ssh. Rejects with a TransportError; nothing is left then. */
  static async start(start: SshStart): Promise<SshProcess> {
    const { connection } = start;
    const folder = await makePrivateFolder();
    try {
      const hasCertificate = start.certificate.trim() !== '';
      const files = {
        knownHosts: join(folder, 'known_hosts'),
        key: join(folder, 'key'),
        certificate: hasCertificate ? join(folder, 'key-cert.pub') : undefined,
        socket: join(folder, 'socks'),
      };
      const args = sshArguments(start.place, files, start.alive);
      const mode = { mode: 0o600 };
      await writeFile(files.knownHosts, start.knownHosts, mode);
      await writeFile(files.key, lined(start.key), mode);
      if (files.certificate !== undefined) {
        await writeFile(files.certificate, lined(start.certificate), mode);
      }
      const child = spawn(start.program, args, {
        stdio: ['pipe', 'pipe', 'pipe'],
        // Neither an agent nor a display of the user; the words in English.
        env: { PATH: process.env['PATH'], HOME: folder, LC_ALL: 'C' },
        // Ctrl-C is for this program, which then closes the tunnel.
        detached: true,
      });
      return new SshProcess(folder, child, connection);
    } catch (error) {
      connection.destroy();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Resolves when the SOCKS socket is there, which is after the login. Rejects with the error of the end. */
  async ready(signal: AbortSignal): Promise<void> {
    const arrived = new AbortController();
    const watcher = watch(this.#folder, () => void look());
    let again: NodeJS.Timeout | undefined;
    let isOver = false;
    const look = async (): Promise<void> => {
      const state = await listenerState(this.socket);
      if (state === 'listens') arrived.abort();
      // ssh makes the file a moment before it listens.
      clearTimeout(again);
      if (state === 'refuses' && !isOver) again = setTimeout(() => void look(), LOOK_MS);
    };
    try {
      await look();
      await Promise.race([
        this.ended.then((error) => Promise.reject(error)),
        new Promise<void>((resolve) => {
          const either = AbortSignal.any([signal, arrived.signal]);
          if (either.aborted) resolve();
          else either.addEventListener('abort', () => resolve(), { once: true });
        }),
      ]);
      signal.throwIfAborted();
      // ssh has read them.
      await Promise.all(
        ['key', 'key-cert.pub', 'known_hosts'].map((name) =>
          rm(join(this.#folder, name), { force: true }),
        ),
      );
    } finally {
      isOver = true;
      clearTimeout(again);
      watcher.close();
    }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_GRACE_MS);
    await this.ended;
    clearTimeout(timer);
  }

  async #watch(connection: Socket): Promise<TransportError> {
    const child = this.#child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-MAX_STDERR_CHARS);
    });
    const { stdin, stdout } = child;
    stdin?.on('error', () => {});
    stdout?.on('error', () => {});
    connection.on('error', () => {});
    if (stdin && stdout) {
      connection.pipe(stdin);
      stdout.pipe(connection);
      connection.once('close', () => stdin.destroy());
    }
    const error = await new Promise<TransportError>((resolve) => {
      child.once('error', (cause) => {
        if (child.pid === undefined) resolve(startFault(cause));
      });
      child.once('close', (code, signal) =>
        resolve(sshFault(this.#stderr, signal ?? `code ${code ?? 'unknown'}`)),
      );
      child.once('exit', () => {
        // `close` waits for its output, which a process that it started may hold.
        child.stdin?.destroy();
        child.stdout?.destroy();
      });
    });
    this.#over = error;
    connection.destroy();
    await rm(this.#folder, { recursive: true, force: true }).catch(() => {});
    return this.#over;
  }
}

function startFault(cause: Error): TransportError {
  const text =
    errorCode(cause) === 'ENOENT'
      ? 'the program ssh was not found: install it: apt-get install openssh-client'
      : `ssh cannot be started (${errorCode(cause) ?? cause.message})`;
  return new TransportError('program', text, { cause });
}
