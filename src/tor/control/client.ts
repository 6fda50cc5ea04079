/**
 * A client of Tor's control port: a command queue, replies in order, events in between, and a promise
 * for the end of the connection (docs/protocol.md, section 12.2).
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { shownLine } from '../../kit/shown-text.js';
import {
  handleOf,
  startReading,
  stopReading,
  type NativeHandle,
} from '../../handover/native-handle.js';
import { climbAuthLadder } from './auth.js';
import { formatControlEndpoint, openControlSocket, type ControlEndpoint } from './endpoint.js';
import { controlReplyParser, type ControlMessage, type Reply } from './reply.js';
import { deferred } from '../../kit/deferred.js';
import { TorError } from '../tor-error.js';

export type { Reply, ReplyLine } from './reply.js';

/** How long a command may take. */
export interface CommandOptions {
  /** Aborts the command; in the queue it is then never sent. */
  readonly signal?: AbortSignal;
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
   * Stops sending and reading, so that another process can continue with the connection. Undefined,
   * without an effect, while a command is running, a reply was read in part, there are event listeners,
   * or the connection is closed.
   */
  hold(): NativeHandle | undefined;
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
  settle: ((outcome: Reply | TorError) => void) | undefined;
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

/**
 * A control client over a stream that is already authenticated (or is an owning descriptor).
 * @param held as after `hold`: for a stream of another process, which is paused
 */
export function controlClientOver(stream: Duplex, where: string, held = false): ControlClient {
  const parser = controlReplyParser();
  const queue: Waiting[] = [];
  const listeners = new Map<string, Set<(text: string) => void>>();
  let inFlight: Waiting | undefined;
  let closed = false;
  let closing = false;
  let quitTimer: NodeJS.Timeout | undefined;
  /** The end of the chain of SETEVENTS changes, so that each sees the result of the one before. */
  let eventsInStep: Promise<void> = Promise.resolve();
  const lost = deferred<Error | undefined>();

  const lostError = (why: string, code: 'lost' | 'closed' | 'bad-bytes', cause?: unknown) =>
    new TorError('lost', code, `the Tor control connection to ${where} ${why}`, {
      remedy: 'unreachable',
      cause,
    });

  function over(cause: TorError | undefined): void {
    if (closed) return;
    closed = true;
    clearTimeout(quitTimer);
    stream.destroy();
    const error = cause ?? lostError('was closed by us', 'closed');
    const waiting = inFlight === undefined ? queue.splice(0) : [inFlight, ...queue.splice(0)];
    inFlight = undefined;
    listeners.clear();
    for (const entry of waiting) entry.settle?.(error);
    lost.resolve(cause);
  }

  function sendNext(): void {
    if (inFlight !== undefined || closing || closed || held) return;
    inFlight = queue.shift();
    if (inFlight !== undefined) stream.write(`${inFlight.line}\r\n`);
  }

  function take(message: ControlMessage): void {
    if (closed || closing) return;
    if (message.kind === 'event') {
      // A set may change during an iteration: a listener added meanwhile gets this event too.
      for (const listener of listeners.get(message.keyword) ?? []) listener(message.text);
      return;
    }
    const entry = inFlight;
    inFlight = undefined;
    if (entry === undefined) {
      over(lostError('sent a reply without a command', 'bad-bytes'));
      return;
    }
    const { reply } = message;
    if (reply.code >= 200 && reply.code < 300) {
      entry.settle?.(reply);
    } else {
      const text = shownLine(reply.lines.at(-1)?.text ?? '', 300);
      entry.settle?.(
        new TorError(
          'command',
          'rejected',
          `Tor at ${where} refused ${nameOf(entry.line)}: ${reply.code} ${text}`,
          { reply: { code: reply.code, text } },
        ),
      );
    }
    sendNext();
  }

  stream.on('data', (chunk: Uint8Array) => {
    const { messages, fault } = parser.push(chunk);
    for (const message of messages) take(message);
    if (fault !== undefined) {
      const got = `sent bytes that are not Tor's control protocol (${fault.code}: "${fault.excerpt}")`;
      over(closing ? undefined : lostError(got, 'bad-bytes'));
    }
  });
  const ended = (cause?: Error) => {
    if (closing) over(undefined);
    else {
      const why = cause === undefined ? 'was closed by Tor' : `broke (${cause.message})`;
      over(lostError(why, 'lost', cause));
    }
  };
  stream.on('error', ended);
  stream.on('end', () => ended());
  stream.on('close', () => ended());

  function command(line: string, options: CommandOptions = {}): Promise<Reply> {
    const { signal, timeoutMs = DEFAULT_COMMAND_TIMEOUT_MS } = options;
    const name = nameOf(line);
    const refuse = (code: 'bad-line' | 'queue-full' | 'aborted' | 'timeout', why: string) =>
      new TorError('command', code, `${name} to Tor at ${where}: ${why}`);
    return new Promise((resolve, reject) => {
      if (/[\r\n\0]/.test(line)) {
        reject(refuse('bad-line', 'a command must be one line, without CR, LF or NUL'));
      } else if (closed || closing) {
        reject(lostError(`is closed: ${name} was not sent`, 'closed'));
      } else if (signal?.aborted === true) {
        reject(refuse('aborted', 'cancelled'));
      } else if (queue.length >= MAX_QUEUED_COMMANDS) {
        reject(refuse('queue-full', `${MAX_QUEUED_COMMANDS} commands wait already`));
      } else {
        const giveUp = (error: TorError) => {
          const at = queue.indexOf(entry);
          if (at >= 0) queue.splice(at, 1);
          entry.settle?.(error);
        };
        const onAbort = () => giveUp(refuse('aborted', 'cancelled'));
        const timer = setTimeout(() => {
          giveUp(refuse('timeout', `no reply within ${timeoutMs} ms: is this Tor overloaded?`));
        }, timeoutMs);
        const entry: Waiting = {
          line,
          settle(outcome) {
            entry.settle = undefined;
            clearTimeout(timer);
            signal?.removeEventListener('abort', onAbort);
            if (outcome instanceof TorError) reject(outcome);
            else resolve(outcome);
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        queue.push(entry);
        sendNext();
      }
    });
  }

  /** Runs after every earlier change of the event set. */
  function setEvents(change: () => boolean, undo: () => void): Promise<void> {
    const step = async () => {
      if (!change()) return;
      try {
        await command(['SETEVENTS', ...listeners.keys()].join(' '));
      } catch (error) {
        undo();
        throw error;
      }
    };
    const result = eventsInStep.then(step);
    eventsInStep = result.catch(() => {});
    return result;
  }

  async function onEvent(keyword: string, listener: (text: string) => void): Promise<() => void> {
    // A new function each time, so that the same listener added twice counts twice.
    const heard = (text: string) => listener(text);
    /** Returns whether this was the last listener of the keyword. */
    const forget = () => {
      const heardBy = listeners.get(keyword);
      if (heardBy === undefined || !heardBy.delete(heard) || heardBy.size > 0) return false;
      return listeners.delete(keyword);
    };
    await setEvents(() => {
      const heardBy = listeners.get(keyword);
      if (heardBy !== undefined) heardBy.add(heard);
      else listeners.set(keyword, new Set([heard]));
      return heardBy === undefined;
    }, forget);
    return () => {
      listeners.get(keyword)?.delete(heard);
      const dropIfUnused = () => listeners.get(keyword)?.size === 0 && listeners.delete(keyword);
      // A failure means that the connection has ended, and then there are no events anyway.
      setEvents(
        () => !closed && !closing && dropIfUnused(),
        () => {},
      ).catch(() => {});
    };
  }

  function close(): void {
    if (closed || closing) return;
    closing = true;
    const error = lostError('was closed by us', 'closed');
    for (const entry of queue.splice(0)) entry.settle?.(error);
    inFlight?.settle?.(error);
    stream.end('QUIT\r\n');
    quitTimer = setTimeout(() => over(undefined), QUIT_GRACE_MS);
  }

  return {
    ends: endsOf(stream),
    command,
    onEvent,
    lost: lost.promise,
    hold() {
      const busy = inFlight !== undefined || queue.length > 0 || listeners.size > 0;
      if (closed || closing || held || busy || !parser.idle) return undefined;
      const handle = stream instanceof Socket ? handleOf(stream) : undefined;
      if (handle === undefined || handle.writeQueueSize > 0) return undefined;
      held = true;
      if (stream instanceof Socket) stopReading(stream);
      return handle;
    },
    release() {
      if (!held) return;
      held = false;
      stream.resume();
      if (stream instanceof Socket) startReading(stream);
      sendNext();
    },
    get closed() {
      return closed || closing;
    },
    close,
  };
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
  return climbAuthLadder<ControlClient>({
    open: async () =>
      controlClientOver(await openControlSocket(endpoint, { signal, timeoutMs }), where),
    where,
    password,
    signal,
    timeoutMs,
  });
}
