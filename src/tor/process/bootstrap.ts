/** Follows a Tor client's start: `STATUS_CLIENT` events and `GETINFO status/bootstrap-phase`. */
import type { ControlClient } from '../control/client.js';
import { infoValue, parseBootstrap } from '../control/values.js';
import { TorError } from '../tor-error.js';

/** `percent` is 0 to 100 and only rises; `summary` is Tor's short text for a person. */
export type OnBootstrap = (percent: number, summary: string) => void;

const PHASE = 'status/bootstrap-phase';

/**
 * Resolves when Tor can build circuits. Rejects with a TorError: `process`/`aborted`, or `lost` when
 * the control connection ends.
 */
export function waitForBootstrap(
  control: ControlClient,
  signal: AbortSignal,
  onProgress?: OnBootstrap,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let told = -1;
    let finished = false;
    let stopListening: (() => void) | undefined;

    function finish(error?: Error): void {
      if (finished) return;
      finished = true;
      signal.removeEventListener('abort', abort);
      stopListening?.();
      if (error === undefined) resolve();
      else reject(error);
    }
    function abort(): void {
      finish(new TorError('process', 'aborted', 'waiting for Tor to connect was cancelled'));
    }
    function tell(text: string): void {
      const phase = parseBootstrap(text);
      if (finished || !phase.ok || phase.value.progress <= told) return;
      told = phase.value.progress;
      onProgress?.(told, phase.value.warning ?? phase.value.summary);
      if (told === 100) finish();
    }
    /** Subscribes first and then asks, so that no step is missed. */
    async function follow(): Promise<void> {
      const stop = await control.onEvent('STATUS_CLIENT', tell);
      if (finished) {
        stop();
        return;
      }
      stopListening = stop;
      const reply = await control.command(`GETINFO ${PHASE}`, { signal });
      tell(infoValue(reply, PHASE) ?? '');
    }

    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener('abort', abort, { once: true });
    void control.lost.then((cause) =>
      finish(
        new TorError('lost', 'lost', 'Tor ended before it was connected to the network', {
          remedy: 'unreachable',
          cause,
        }),
      ),
    );
    follow().catch((error: unknown) => finish(error instanceof Error ? error : new Error('lost')));
  });
}
