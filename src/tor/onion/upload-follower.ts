/**
 * Follows the descriptor uploads of an onion service on one control connection, with a deadline for a
 * warning.
 */
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import type { ControlClient } from '../control/client.js';
import { infoValue, parseBootstrap, parseHsDesc, type HsDescEvent } from '../control/values.js';
import { uploadWatch, type UploadProgress } from './descriptor-upload.js';
import { startSelfTest, type SelfTest } from './self-test.js';
import { isRefusal } from '../tor-error.js';

export interface UploadFollowerOptions {
  readonly client: ControlClient;
  readonly clock: Clock;
  readonly log: Log;
  /** When to warn, in milliseconds after `begin`. */
  readonly timeoutMs: number;
  /** A short text for a person. */
  readonly onProgress: (detail: string) => void;
  /** Called at most once. */
  readonly onReachable: () => void;
  /** Dials the onion as any peer does; used when a filter hides the events, and after the deadline. */
  readonly selfTest?: SelfTest | undefined;
}

export interface UploadFollower {
  /** Subscribes to the events before the service is added, so that no event is missed. */
  listen(): Promise<void>;
  /** Our address is known. */
  begin(host: string): void;
}

/** Events that came together with the reply of ADD_ONION, before our address was known. */
const MAX_EARLY_EVENTS = 64;

function progressText({ sent, uploaded, failed }: UploadProgress): string {
  if (sent === 0) return 'Tor has the onion service and is building circuits for it';
  // No number yet: the number of sent descriptors grows during the first second.
  if (uploaded + failed === 0) return 'Tor is uploading the descriptors';
  const refused = failed === 0 ? '' : `, ${failed} refused`;
  return `descriptor uploads: ${uploaded} of ${sent}${refused}`;
}

class Follower implements UploadFollower {
  readonly #options: UploadFollowerOptions;
  readonly #watch = uploadWatch();
  readonly #early: HsDescEvent[] = [];
  #cancelDeadline: (() => void) | undefined;
  #stopListening: (() => void) | undefined;
  #stopSelfTest: (() => void) | undefined;
  /** Undefined until the service was added. */
  #host: string | undefined;
  /** The events cannot be trusted. */
  #hidden = false;
  #over = false;
  #late = false;

  constructor(options: UploadFollowerOptions) {
    this.#options = options;
  }

  async listen(): Promise<void> {
    try {
      this.#stopListening = await this.#options.client.onEvent('HS_DESC', (text) => {
        const event = parseHsDesc(text);
        if (event.ok) this.#heard(event.value);
      });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#onHidden(error.message);
    }
  }

  begin(host: string): void {
    const { client, clock, timeoutMs } = this.#options;
    this.#host = host;
    this.#cancelDeadline = clock.after(timeoutMs, () => void this.#warnLate());
    void client.lost.then(() => this.#release());
    if (this.#hidden) this.#startSelfTest();
    this.#update(this.#watch.progress());
    for (const event of this.#early.splice(0)) {
      if (event.host === host) this.#update(this.#watch.note(event));
    }
  }

  #heard(event: HsDescEvent): void {
    if (this.#over) return;
    if (this.#host === undefined) {
      if (this.#early.length < MAX_EARLY_EVENTS) this.#early.push(event);
    } else if (event.host === this.#host) this.#update(this.#watch.note(event));
  }

  #update(progress: UploadProgress): void {
    const { log, onProgress, onReachable } = this.#options;
    if (this.#over) return;
    if (progress.rewritten) this.#onHidden('HS_DESC events come without the names of directories');
    if (!progress.complete && !(this.#late && progress.partly)) {
      onProgress(progressText(progress));
      return;
    }
    this.#release();
    if (!progress.complete) {
      const { sent, uploaded, failed } = progress;
      log.warn('not every upload of the onion descriptor was answered', { sent, uploaded, failed });
    }
    onReachable();
  }

  #onHidden(reason: string): void {
    if (this.#hidden) return;
    this.#hidden = true;
    this.#options.log.warn(
      'a filter in front of the control port hides when the onion is published; it is dialled instead to find out (docs/troubleshooting.md, "control filter")',
      { reason },
    );
    this.#startSelfTest();
  }

  #startSelfTest(): void {
    const { selfTest, clock, log, onReachable } = this.#options;
    const host = this.#host;
    if (selfTest === undefined || host === undefined || this.#over) return;
    this.#stopSelfTest ??= startSelfTest({
      selfTest,
      host,
      clock,
      log,
      onReached: () => {
        if (this.#over) return;
        this.#release();
        log.info('onion service reached by a self-test through Tor');
        onReachable();
      },
    });
  }

  async #warnLate(): Promise<void> {
    const { client, log, timeoutMs } = this.#options;
    this.#late = true;
    this.#update(this.#watch.progress());
    if (this.#over) return;
    this.#startSelfTest();
    const bootstrapped = await bootstrapText(client);
    if (this.#over || client.closed) return;
    const { sent, uploaded, failed } = this.#watch.progress();
    log.warn(
      'onion service not reachable yet, still waiting; check that Tor reaches the network and that the clock is right',
      { after_sec: Math.round(timeoutMs / 1000), bootstrapped, sent, uploaded, failed },
    );
  }

  #release(): void {
    this.#over = true;
    this.#cancelDeadline?.();
    this.#stopListening?.();
    this.#stopSelfTest?.();
  }
}

/** How far Tor's bootstrap is, for a log line. Never rejects. */
async function bootstrapText(client: ControlClient): Promise<string> {
  try {
    const reply = await client.command('GETINFO status/bootstrap-phase');
    const phase = parseBootstrap(infoValue(reply, 'status/bootstrap-phase') ?? '');
    if (!phase.ok) return 'unknown';
    return `${phase.value.progress} % (${phase.value.warning ?? phase.value.summary})`;
  } catch {
    return 'unknown';
  }
}

/**
 * Reachable means: every upload of every descriptor was answered and one of each accepted; after the
 * deadline, one of each accepted, with a warning (Tor may drop an upload silently). If a filter in
 * front of the control port refuses or rewrites the events: when the self-test reaches the onion, or
 * after the deadline when any upload was accepted. Frees its timers and its listener then, and when the
 * connection ends.
 */
export function followUploads(options: UploadFollowerOptions): UploadFollower {
  return new Follower(options);
}
