/**
 * What the configured bitcoin node says about bonds. A node that cannot be reached is asked again, so a
 * program starts without it: bonds then have no value, and one log line says so.
 */
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import { bondView } from '../chain/bond-view.js';
import { ChainError } from '../chain/chain-error.js';
import type { Chain } from '../chain/ports.js';
import { errorText } from '../kit/error-text.js';
import type { BondChainView, BondOutput } from '../orderbook/book-api.js';
import { openChain, type OpenChainOptions } from './open-chain.js';

/** Between two attempts to open the node, in milliseconds. Calls in between are refused at once. */
const RETRY_MS = 30_000;

/** A bitcoin node that values bonds: the option `chain` of an orderbook. */
export interface BondChain extends BondChainView {
  /** Ends open requests and timers. Further calls are refused. */
  close(): Promise<void>;
}

/** What a view of bonds needs. */
export interface BondChainOptions {
  /** Of `loadSettings` or `peekSettings`. */
  readonly settings: OpenChainOptions['settings'];
  /** The time of all timers. */
  readonly clock: Clock;
  /** Told once when the node cannot be asked, and once when it answers again. */
  readonly log: Log;
}

/**
 * Asks the node of `[BLOCKCHAIN]` about bonds; undefined with `blockchain_source = no-blockchain`. It is
 * opened now, in the background. Calls reject while it cannot be reached.
 */
export function openBondChain(options: BondChainOptions): BondChain | undefined {
  if (options.settings.node === undefined) return undefined;
  return new NodeBonds(options, (signal) => openChain({ ...options, signal }));
}

/** @internal For tests, with another way to open the chain. */
export class NodeBonds implements BondChain {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #open: (signal: AbortSignal) => Promise<Chain | undefined>;
  readonly #closing = new AbortController();
  #chain: Promise<Chain> | undefined;
  /** Why the last attempt to open the node failed, and when. */
  #failure: { readonly error: unknown; readonly at: number } | undefined;
  #state: 'unknown' | 'up' | 'down' = 'unknown';

  constructor(
    { clock, log }: Pick<BondChainOptions, 'clock' | 'log'>,
    open: (signal: AbortSignal) => Promise<Chain | undefined>,
  ) {
    this.#clock = clock;
    this.#log = log;
    this.#open = open;
    // The failure is in the log; the calls of the orderbook repeat the attempt.
    this.#asked(() => this.#opened()).catch(() => {});
  }

  async tip(): Promise<{ readonly height: number; readonly medianTime: number }> {
    return this.#asked(async () => bondView(await this.#opened()).tip());
  }

  async output(txid: string, vout: number): Promise<BondOutput> {
    return this.#asked(async () => bondView(await this.#opened()).output(txid, vout));
  }

  async close(): Promise<void> {
    this.#closing.abort(new ChainError('unreachable', 'the program no longer asks the node'));
    const chain = await this.#chain?.catch(() => undefined);
    await chain?.close();
  }

  #opened(): Promise<Chain> {
    this.#closing.signal.throwIfAborted();
    const now = this.#clock.now();
    if (this.#failure !== undefined && now - this.#failure.at < RETRY_MS) {
      return Promise.reject(this.#failure.error);
    }
    this.#chain ??= this.#openNow();
    return this.#chain;
  }

  async #openNow(): Promise<Chain> {
    try {
      const chain = await this.#open(this.#closing.signal);
      if (chain === undefined) throw new ChainError('unable', 'no node is configured');
      this.#failure = undefined;
      return chain;
    } catch (error) {
      this.#chain = undefined;
      this.#failure = { error, at: this.#clock.now() };
      throw error;
    }
  }

  /** Logs each change between a node that answers and one that does not. */
  async #asked<T>(call: () => Promise<T>): Promise<T> {
    try {
      const answer = await call();
      if (this.#state === 'down') this.#log.info('the bitcoin node answers: bonds get values');
      this.#state = 'up';
      return answer;
    } catch (error) {
      if (this.#state !== 'down' && !this.#closing.signal.aborted) {
        this.#log.warn(
          `bonds have no value until the bitcoin node answers: ${errorText(error)}. Without a node: set blockchain_source = no-blockchain`,
        );
        this.#state = 'down';
      }
      throw error;
    }
  }
}
