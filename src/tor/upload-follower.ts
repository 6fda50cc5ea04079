/** Follows the descriptor uploads of one onion service on one control connection, with a deadline that warns. */
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import type { ControlClient } from './control-client.js';
import { infoValue, parseBootstrap, type HsDescEvent } from './control-values.js';
import { uploadWatch, type UploadProgress } from './descriptor-upload.js';

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
}

export interface UploadFollower {
  /** Every HS_DESC event of the connection, also of other services and before `begin`. */
  heard(event: HsDescEvent): void;
  /** Our address is known; `stopListening` is called when nothing more is to be heard. */
  begin(host: string, stopListening: () => void): void;
}

/** Events that came together with the reply of ADD_ONION, before we knew our address. */
const MAX_EARLY_EVENTS = 64;

function progressText({ sent, uploaded, failed }: UploadProgress): string {
  if (sent === 0) return 'Tor has the onion service and is building circuits for it';
  // One text for the whole first second, in which the count of those sent grows.
  if (uploaded + failed === 0) return 'Tor is uploading the descriptors';
  const refused = failed === 0 ? '' : `, ${failed} refused`;
  return `descriptor uploads: ${uploaded} of ${sent}${refused}`;
}

/**
 * Reachable = every upload of every descriptor answered and one of each accepted; after the deadline,
 * one of each accepted (Tor may drop an upload without a word), with a warning. Frees its timer and
 * its listener when that is reached or the connection ends.
 */
export function followUploads(options: UploadFollowerOptions): UploadFollower {
  const { client, clock, log, timeoutMs } = options;
  const watch = uploadWatch();
  const early: HsDescEvent[] = [];
  const held: { cancelDeadline?: () => void; stopListening?: () => void } = {};
  let host: string | undefined;
  let over = false;
  let late = false;

  function release(): void {
    over = true;
    held.cancelDeadline?.();
    held.stopListening?.();
  }

  function look(progress: UploadProgress): void {
    if (over) return;
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
    const bootstrapped = await bootstrapText();
    if (over || client.closed) return;
    const { sent, uploaded, failed } = watch.progress();
    log.warn(
      'onion service not reachable yet, still waiting; check that Tor reaches the network and that the clock is right',
      { after_sec: Math.round(timeoutMs / 1000), bootstrapped, sent, uploaded, failed },
    );
  }

  return {
    heard(event) {
      if (over) return;
      if (host === undefined) {
        if (early.length < MAX_EARLY_EVENTS) early.push(event);
      } else if (event.host === host) look(watch.note(event));
    },
    begin(ours, stopListening) {
      host = ours;
      held.stopListening = stopListening;
      held.cancelDeadline = clock.after(timeoutMs, () => void warnLate());
      void client.lost.then(release);
      look(watch.progress());
      for (const event of early.splice(0)) if (event.host === ours) look(watch.note(event));
    },
  };
}
