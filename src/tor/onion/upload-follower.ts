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
  /** Subscribes to the events before the service is added, so that none is missed. */
  listen(): Promise<void>;
  /** Our address is known. */
  begin(host: string): void;
}

/** Events that came together with the reply of ADD_ONION, before our address was known. */
const MAX_EARLY_EVENTS = 64;

function progressText({ sent, uploaded, failed }: UploadProgress): string {
  if (sent === 0) return 'Tor has the onion service and is building circuits for it';
  // One text for the whole first second, in which the number of sent ones grows.
  if (uploaded + failed === 0) return 'Tor is uploading the descriptors';
  const refused = failed === 0 ? '' : `, ${failed} refused`;
  return `descriptor uploads: ${uploaded} of ${sent}${refused}`;
}

/**
 * Reachable means: every upload of every descriptor was answered and one of each accepted; after the
 * deadline, one of each accepted, with a warning (Tor may drop an upload silently). If a filter in
 * front of the control port refuses or rewrites the events: when the self-test reaches the onion, or
 * after the deadline when any upload was accepted. Frees its timers and its listener then, and when the
 * connection ends.
 */
export function followUploads(options: UploadFollowerOptions): UploadFollower {
  const { client, clock, log, timeoutMs } = options;
  const watch = uploadWatch();
  const early: HsDescEvent[] = [];
  const held: {
    cancelDeadline?: () => void;
    stopListening?: () => void;
    stopSelfTest?: () => void;
  } = {};
  let host: string | undefined;
  /** Why the events cannot be trusted; undefined when they can. */
  let hidden: string | undefined;
  let over = false;
  let late = false;

  function release(): void {
    over = true;
    held.cancelDeadline?.();
    held.stopListening?.();
    held.stopSelfTest?.();
  }

  function hide(why: string): void {
    if (hidden !== undefined) return;
    hidden = why;
    log.warn(
      'a filter in front of the control port hides when the onion is published; it is dialled instead to find out (docs/troubleshooting.md, "control filter")',
      { why },
    );
    tryOurselves();
  }

  function tryOurselves(): void {
    const { selfTest } = options;
    if (selfTest === undefined || host === undefined || over) return;
    held.stopSelfTest ??= startSelfTest({
      selfTest,
      host,
      clock,
      log,
      onReached() {
        if (over) return;
        release();
        log.info('onion service reached by a self-test through Tor');
        options.onReachable();
      },
    });
  }

  function look(progress: UploadProgress): void {
    if (over) return;
    if (progress.rewritten) hide('HS_DESC events come without the names of directories');
    if (!progress.complete && !(late && progress.partly)) {
      options.onProgress(progressText(progress));
      return;
    }
    release();
    if (!progress.complete) {
      log.warn('not every upload of the onion descriptor was answered', {
        sent: progress.sent,
        uploaded: progress.uploaded,
        failed: progress.failed,
      });
    }
    options.onReachable();
  }

  async function bootstrapText(): Promise<string> {
    try {
      const reply = await client.command('GETINFO status/bootstrap-phase');
      const phase = parseBootstrap(infoValue(reply, 'status/bootstrap-phase') ?? '');
      if (!phase.ok) return 'unknown';
      return `${phase.value.progress} % (${phase.value.warning ?? phase.value.summary})`;
    } catch {
      return 'unknown';
    }
  }

  async function warnLate(): Promise<void> {
    late = true;
    look(watch.progress());
    if (over) return;
    tryOurselves();
    const bootstrapped = await bootstrapText();
    if (over || client.closed) return;
    const { sent, uploaded, failed } = watch.progress();
    log.warn(
      'onion service not reachable yet, still waiting; check that Tor reaches the network and that the clock is right',
      { after_sec: Math.round(timeoutMs / 1000), bootstrapped, sent, uploaded, failed },
    );
  }

  function heard(event: HsDescEvent): void {
    if (over) return;
    if (host === undefined) {
      if (early.length < MAX_EARLY_EVENTS) early.push(event);
    } else if (event.host === host) look(watch.note(event));
  }

  return {
    async listen() {
      try {
        held.stopListening = await client.onEvent('HS_DESC', (text) => {
          const event = parseHsDesc(text);
          if (event.ok) heard(event.value);
        });
      } catch (error) {
        if (!isRefusal(error)) throw error;
        hide(error.message);
      }
    },
    begin(ours) {
      host = ours;
      held.cancelDeadline = clock.after(timeoutMs, () => void warnLate());
      void client.lost.then(release);
      if (hidden !== undefined) tryOurselves();
      look(watch.progress());
      for (const event of early.splice(0)) if (event.host === ours) look(watch.note(event));
    },
  };
}
