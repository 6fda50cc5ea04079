/**
 * The auth server of Lokinet endpoints: a drop-in for the guide's `python3 -m lokinet.auth`. Every request
 * is answered, in the order in which it is decided, within ten seconds: an endpoint waits for fifteen.
 */
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../kit/clock.js';
import { errorText } from '../../kit/error-text.js';
import { decided, REASON_TEXT, type Decision } from '../api.js';
import type { AdmissionEngine } from '../engine.js';
import { parseAuthInfo } from './auth-info.js';
import {
  helloFrames,
  noTagFrames,
  parseOmqMessage,
  replyFrames,
  unknownFrames,
  type OmqMessage,
} from './frames.js';
import type { ZmqRouter } from './router.js';

/** Longest time until an answer. */
const ANSWER_MS = 10_000;
/** Decisions that are not made yet; further requests are answered LIMITED. */
const MAX_PENDING = 512;

export interface AuthServerOptions {
  readonly router: ZmqRouter;
  readonly engine: Pick<AdmissionEngine, 'decide'>;
  /** The address of a client with this signing key. */
  readonly addressOf: (signingKey: Uint8Array) => string;
  readonly clock: Clock;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Log;
  /** Default `llarp.auth`. */
  readonly method?: string;
}

/** What the server counted since its start. */
export interface AuthServerCounts {
  requests: number;
  malformed: number;
  unknown: number;
  /** Answers to endpoints that were gone. */
  unsent: number;
}

export class AuthServer {
  readonly counts: AuthServerCounts = { requests: 0, malformed: 0, unknown: 0, unsent: 0 };
  readonly #options: AuthServerOptions;
  #pending = 0;

  constructor(options: AuthServerOptions) {
    this.#options = options;
  }

  /** Serves until the socket is closed. */
  async run(): Promise<void> {
    const { router, method } = this.#options;
    for await (const [route, ...frames] of router.messages()) {
      if (route !== undefined) this.#answer(route, parseOmqMessage(frames, method));
    }
  }

  #answer(route: Uint8Array, message: OmqMessage): void {
    switch (message.kind) {
      case 'hello':
        void this.#send(route, helloFrames());
        break;
      case 'silent':
        break;
      case 'no-tag':
        this.counts.malformed++;
        void this.#send(route, noTagFrames(message.command));
        break;
      case 'unknown':
        this.counts.unknown++;
        void this.#send(route, unknownFrames(message.command, message.tag));
        break;
      case 'auth':
        void this.#auth(route, message.tag, message.parts);
    }
  }

  async #send(route: Uint8Array, frames: readonly Uint8Array[]): Promise<void> {
    if (!(await this.#options.router.send([route, ...frames]))) this.counts.unsent++;
  }

  async #auth(route: Uint8Array, tag: Uint8Array, parts: readonly Uint8Array[]): Promise<void> {
    this.counts.requests++;
    const { verdict, reason } = await this.#decide(parts);
    await this.#send(route, replyFrames(tag, verdict, REASON_TEXT[reason]));
  }

  #decide(parts: readonly Uint8Array[]): Decision | Promise<Decision> {
    const { engine, addressOf, now } = this.#options;
    const [metainfo, code, ...more] = parts;
    const info = metainfo && parseAuthInfo(metainfo);
    if (!info?.ok || code === undefined || more.length > 0) {
      this.counts.malformed++;
      return decided('REJECT', 'malformed');
    }
    if (this.#pending >= MAX_PENDING) return decided('LIMITED', 'busy');
    const made = engine.decide({
      door: 'lokinet',
      address: addressOf(info.value.sender.signingKey),
      code,
      now: now(),
    });
    return made instanceof Promise ? this.#within(made) : made;
  }

  /** A decision that comes too late is answered before. */
  async #within(made: Promise<Decision>): Promise<Decision> {
    const { clock, log } = this.#options;
    this.#pending++;
    let cancel: (() => void) | undefined;
    const late = new Promise<Decision>((resolve) => {
      cancel = clock.after(ANSWER_MS, () => resolve(decided('LIMITED', 'busy')));
    });
    try {
      return await Promise.race([made.finally(() => this.#pending--), late]);
    } catch (error) {
      log.error('a request could not be decided', { reason: errorText(error) });
      return decided('REJECT', 'program-failed');
    } finally {
      cancel?.();
    }
  }
}
