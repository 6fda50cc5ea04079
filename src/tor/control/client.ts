/**
 * A client of Tor's control port: a command queue, replies in order, events in between, and a promise
 * for the end of the connection (docs/protocol.md, section 12.2).
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { shownLine } from '../../kit/shown-text.js';
import { authenticateTor } from './auth.js';
import { formatControlEndpoint, openControlSocket, type ControlEndpoint } from './endpoint.js';
import { controlReplyParser, type ControlMessage, type Reply } from './reply.js';
import { deferred } from '../../kit/deferred.js';
import { TorError } from '../tor-error.js';

export type { Reply, ReplyLine } from './reply.js';

/** How long a command may take. */
export interface CommandOptions {
  /** Aborts the command; in the queue it is then never sent. */
  readonly signal?: AbortSignal | undefined;
  /** Longest wait for the reply, with the time in the queue (default 30,000). */
  readonly timeoutMs?: number;
}

/** IP addresses of both ends of a control connection. */
export interface ControlEnds {
  readonly local: string;
  readonly remote: string;
}

/** An authenticated control connection. */
export interface ControlClient {
  /** Undefined for a unix socket. */
  readonly ends: ControlEnds | undefined;
  /**
   * Sends one command and resolves with its 2xx reply. Commands are sent one at a time, in order; one
   * that is aborted in the queue is never sent. Rejects with a TorError: `command`/`rejected` (with
   * Tor's code and text in `reply`), `timeout`, `aborted`, `bad-line` (CR, LF or NUL inside),
   * `queue-full`; or step `lost`. Its message names the command but not its arguments.
   */
  command(line: string, options?: CommandOptions): Promise<Reply>;
  /**
   * Calls `listener` for each event of a keyword, with the text after the keyword; further lines and
   * data blocks follow after LF. Resolves, once Tor has agreed to send them, with a function that
   * removes the listener. A listener must not throw.
   */
  onEvent(keyword: string, listener: (text: string) => void): Promise<() => void>;
  /**
   * Resolves once, when the connection has ended: with the reason, or undefined after our own `close`.
   */
  readonly lost: Promise<Error | undefined>;
  /** Whether the connection is over. */
  readonly closed: boolean;
  /**
   * Stops sending, so that another process can continue with the connection; the caller stops the
   * reading of the socket in the same turn. Undefined, without an effect, while a command is running, a
   * reply was read in part, there are event listeners, or the connection is closed or not a socket.
   */
  hold(): Socket | undefined;
  /** Continues after `hold`. */
  release(): void;
  /** Sends QUIT, then closes; queued commands are rejected. May be called again. */
  close(): void;
}

const DEFAULT_COMMAND_TIMEOUT_MS = 30_000;
const MAX_QUEUED_COMMANDS = 1_000;
/** How long Tor may take to close after QUIT. */
const QUIT_GRACE_MS = 500;

interface Waiting {
  readonly line: string;
  /** Undefined after the caller gave up: the reply is then awaited only to keep the order. */
  finish: ((outcome: Reply | TorError) => void) | undefined;
}

function endsOf(stream: Duplex): ControlEnds | undefined {
  if (!(stream instanceof Socket)) return undefined;
  const { localAddress: local, remoteAddress: remote } = stream;
  return local === undefined || remote === undefined ? undefined : { local, remote };
}

/** The command's name, the only part of it that may appear in a message. */
function nameOf(line: string): string {
  return /^[A-Za-z_]{1,32}/.exec(line)?.[0] ?? 'command';
}

type LostCode = 'lost' | 'closed' | 'bad-bytes';
type RefusalCode = 'bad-line' | 'queue-full' | 'aborted' | 'timeout';

class StreamClient implements ControlClient {
  readonly ends: ControlEnds | undefined;
  readonly lost: Promise<Error | undefined>;
  readonly #stream: Duplex;
  /** Names the Tor in messages. */
  readonly #where: string;
  readonly #parser = controlReplyParser();
  readonly #queue: Waiting[] = [];
  readonly #listeners = new Map<string, Set<(text: string) => void>>();
  readonly #lost = deferred<Error | undefined>();
  #inFlight: Waiting | undefined;
  #closed = false;
  #closing = false;
  #held: boolean;
  #quitTimer: NodeJS.Timeout | undefined;
  /** The end of the chain of SETEVENTS changes, so that each sees the result of the one before. */
  #eventsInStep: Promise<void> = Promise.resolve();

  constructor(stream: Duplex, where: string, held: boolean) {
    this.#stream = stream;
    this.#where = where;
    this.#held = held;
    this.ends = endsOf(stream);
    this.lost = this.#lost.promise;
    stream.on('data', (chunk: Uint8Array) => this.#onData(chunk));
    stream.on('error', (error) => this.#onEnd(error));
    stream.on('end', () => this.#onEnd());
    stream.on('close', () => this.#onEnd());
  }

  get closed(): boolean {
    return this.#closed || this.#closing;
  }

  command(line: string, options: CommandOptions = {}): Promise<Reply> {
    const { signal } = options;
    const name = nameOf(line);
    if (/[\r\n\0]/.test(line)) {
      const reason = 'a command must be one line, without CR, LF or NUL';
      return Promise.reject(this.#refusal(name, 'bad-line', reason));
    }
    if (this.closed) {
      return Promise.reject(this.#lostError(`is closed: ${name} was not sent`, 'closed'));
    }
    if (signal?.aborted === true) {
      return Promise.reject(this.#refusal(name, 'aborted', 'cancelled'));
    }
    if (this.#queue.length >= MAX_QUEUED_COMMANDS) {
      const reason = `${MAX_QUEUED_COMMANDS} commands wait already`;
      return Promise.reject(this.#refusal(name, 'queue-full', reason));
    }
    return this.#enqueue(line, name, options);
  }

  async onEvent(keyword: string, listener: (text: string) => void): Promise<() => void> {
    const listeners = this.#listeners;
    // A new function each time, so that the same listener added twice counts twice.
    const heard = (text: string) => listener(text);
    /** Returns whether this was the last listener of the keyword. */
    const forget = () => {
      const heardBy = listeners.get(keyword);
      if (heardBy === undefined || !heardBy.delete(heard) || heardBy.size > 0) return false;
      return listeners.delete(keyword);
    };
    await this.#setEvents(() => {
      const heardBy = listeners.get(keyword);
      if (heardBy !== undefined) heardBy.add(heard);
      else listeners.set(keyword, new Set([heard]));
      return heardBy === undefined;
    }, forget);
    return () => {
      listeners.get(keyword)?.delete(heard);
      const dropIfUnused = () => listeners.get(keyword)?.size === 0 && listeners.delete(keyword);
      // A failure means that the connection has ended, and then there are no events anyway.
      this.#setEvents(
        () => !this.closed && dropIfUnused(),
        () => {},
      ).catch(() => {});
    };
  }

  hold(): Socket | undefined {
    const stream = this.#stream;
    const busy = this.#inFlight !== undefined || this.#queue.length > 0 || this.#listeners.size > 0;
    if (this.closed || this.#held || busy || !this.#parser.idle) return undefined;
    if (!(stream instanceof Socket) || stream.destroyed || stream.writableLength > 0) {
      return undefined;
    }
    this.#held = true;
    return stream;
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#stream.resume();
    this.#sendNext();
  }

  close(): void {
    if (this.closed) return;
    this.#closing = true;
    const error = this.#lostError('was closed by us', 'closed');
    for (const entry of this.#queue.splice(0)) entry.finish?.(error);
    this.#inFlight?.finish?.(error);
    this.#stream.end('QUIT\r\n');
    this.#quitTimer = setTimeout(() => this.#over(undefined), QUIT_GRACE_MS);
  }

  #lostError(reason: string, code: LostCode, cause?: unknown): TorError {
    return new TorError('lost', code, `the Tor control connection to ${this.#where} ${reason}`, {
      remedy: 'unreachable',
      cause,
    });
  }

  #refusal(name: string, code: RefusalCode, reason: string): TorError {
    return new TorError('command', code, `${name} to Tor at ${this.#where}: ${reason}`);
  }

  #enqueue(line: string, name: string, options: CommandOptions): Promise<Reply> {
    const { signal, timeoutMs = DEFAULT_COMMAND_TIMEOUT_MS } = options;
    return new Promise((resolve, reject) => {
      const giveUp = (error: TorError) => {
        const at = this.#queue.indexOf(entry);
        if (at >= 0) this.#queue.splice(at, 1);
        entry.finish?.(error);
      };
      const onAbort = () => giveUp(this.#refusal(name, 'aborted', 'cancelled'));
      const timer = setTimeout(() => {
        const reason = `no reply within ${timeoutMs} ms: is this Tor overloaded?`;
        giveUp(this.#refusal(name, 'timeout', reason));
      }, timeoutMs);
      const entry: Waiting = {
        line,
        finish(outcome) {
          entry.finish = undefined;
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          if (outcome instanceof TorError) reject(outcome);
          else resolve(outcome);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(entry);
      this.#sendNext();
    });
  }

  #sendNext(): void {
    if (this.#inFlight !== undefined || this.closed || this.#held) return;
    this.#inFlight = this.#queue.shift();
    if (this.#inFlight !== undefined) this.#stream.write(`${this.#inFlight.line}\r\n`);
  }

  #onData(chunk: Uint8Array): void {
    const { messages, fault } = this.#parser.push(chunk);
    for (const message of messages) this.#take(message);
    if (fault === undefined) return;
    const got = `sent bytes that are not Tor's control protocol (${fault.code}: "${fault.excerpt}")`;
    this.#over(this.#closing ? undefined : this.#lostError(got, 'bad-bytes'));
  }

  #onEnd(cause?: Error): void {
    if (this.#closing) {
      this.#over(undefined);
      return;
    }
    const reason = cause === undefined ? 'was closed by Tor' : `broke (${cause.message})`;
    this.#over(this.#lostError(reason, 'lost', cause));
  }

  #take(message: ControlMessage): void {
    if (this.closed) return;
    if (message.kind === 'event') {
      // A set may change during an iteration: a listener added meanwhile gets this event too.
      for (const listener of this.#listeners.get(message.keyword) ?? []) listener(message.text);
      return;
    }
    const entry = this.#inFlight;
    this.#inFlight = undefined;
    if (entry === undefined) {
      this.#over(this.#lostError('sent a reply without a command', 'bad-bytes'));
      return;
    }
    entry.finish?.(this.#outcomeOf(entry.line, message.reply));
    this.#sendNext();
  }

  #outcomeOf(line: string, reply: Reply): Reply | TorError {
    const { code } = reply;
    if (code >= 200 && code < 300) return reply;
    const text = shownLine(reply.lines.at(-1)?.text ?? '', 300);
    const reason = `Tor at ${this.#where} refused ${nameOf(line)}: ${code} ${text}`;
    return new TorError('command', 'rejected', reason, { reply: { code, text } });
  }

  #over(cause: TorError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#quitTimer);
    this.#stream.destroy();
    const error = cause ?? this.#lostError('was closed by us', 'closed');
    const queued = this.#queue.splice(0);
    const waiting = this.#inFlight === undefined ? queued : [this.#inFlight, ...queued];
    this.#inFlight = undefined;
    this.#listeners.clear();
    for (const entry of waiting) entry.finish?.(error);
    this.#lost.resolve(cause);
  }

  /** Runs after every earlier change of the event set. */
  #setEvents(change: () => boolean, undo: () => void): Promise<void> {
    const step = async () => {
      if (!change()) return;
      try {
        await this.command(['SETEVENTS', ...this.#listeners.keys()].join(' '));
      } catch (error) {
        undo();
        throw error;
      }
    };
    const result = this.#eventsInStep.then(step);
    this.#eventsInStep = result.catch(() => {});
    return result;
  }
}

/**
 * A control client over a stream that is already authenticated (or is an owning descriptor).
 * @param held as after `hold`: for a stream of another process, which is paused
 */
export function controlClientOver(stream: Duplex, where: string, held = false): ControlClient {
  return new StreamClient(stream, where, held);
}

/** Where the control port is, and how to authenticate. */
export interface ConnectControlOptions {
  /** Where the control port is. */
  readonly endpoint: ControlEndpoint;
  /** The password whose hash is in Tor's `HashedControlPassword`; used only if Tor offers that. */
  readonly password?: string;
  /** Aborts the attempt; afterwards use `ControlClient.close`. */
  readonly signal: AbortSignal;
  /** Bounds each connect and each reply on the way (default 10,000). */
  readonly timeoutMs?: number;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;

/**
 * Connects and authenticates with the methods that both sides support. Rejects with a TorError of step
 * `connect`, `protocolinfo` or `authenticate`; nothing is left open then.
 */
export function connectControl(options: ConnectControlOptions): Promise<ControlClient> {
  const { endpoint, password, signal, timeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = options;
  const where = formatControlEndpoint(endpoint);
  return authenticateTor<ControlClient>({
    open: async () =>
      controlClientOver(await openControlSocket(endpoint, { signal, timeoutMs }), where),
    where,
    password,
    signal,
    timeoutMs,
  });
}
