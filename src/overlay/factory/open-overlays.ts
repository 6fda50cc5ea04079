/**
 * Opens the overlays of the settings (`overlays`), as one. A new overlay is one more row here; nothing
 * that uses the result knows which overlays there are.
 */
import type { Overlay } from '../../channel/ports.js';
import type { OverlayName } from '../../config/overlays.js';
import type { Movable } from '../../kit/movable.js';
import { createRateCappedLog } from '../../ops/rate-capped-log.js';
import { createLoopbackOverlay } from '../loopback.js';
import { holdAll, releaseAll } from '../moved-together.js';
import { createOverlaySet } from '../overlay-set.js';
import { openLokinet } from './open-lokinet.js';
import { openTor } from './open-tor.js';
import type { OpenedOverlay, OpenOverlayOptions } from './opened.js';

export type { OpenedOverlay, OpenOverlayOptions } from './opened.js';

/** Different lines that are rate-limited separately; all further ones share one count. */
const DIFFERENT_LINES = 64;

async function openLoopback(options: OpenOverlayOptions): Promise<OpenedOverlay> {
  const { settings, severalLocations, clock, log } = options;
  const { withoutTor, loopbackServing } = settings.onion;
  const keys = withoutTor ? {} : { keys: 'loopback_serving_port' };
  const address = severalLocations === true ? { ...loopbackServing, port: 0 } : loopbackServing;
  const overlay = createLoopbackOverlay({ ...address, clock, log, ...keys });
  return { overlay, close: () => overlay.close() };
}

/** How each overlay is opened. Rejects as `openOverlay`; nothing is left running then. */
const OPENERS: Readonly<
  Record<OverlayName, (options: OpenOverlayOptions) => Promise<OpenedOverlay>>
> = { tor: openTor, loopback: openLoopback, lokinet: openLokinet };

/** Their movable parts as one; undefined when there are none. */
function movedTogether(parts: readonly Movable[]): Movable | undefined {
  if (parts.length === 0) return undefined;
  return {
    hold: async () => (await holdAll(parts)).flat(),
    release: () => releaseAll(parts),
  };
}

async function closeAll(opened: readonly OpenedOverlay[]): Promise<void> {
  await Promise.all(opened.map((each) => each.close()));
}

async function openAll(options: OpenOverlayOptions): Promise<OpenedOverlay> {
  const opened: OpenedOverlay[] = [];
  try {
    for (const name of options.settings.onion.overlays) {
      // oxlint-disable-next-line no-await-in-loop -- the first fault ends the start
      opened.push(await OPENERS[name](options));
    }
    const overlay: Overlay = createOverlaySet(opened.map((each) => each.overlay));
    const move = movedTogether(opened.flatMap((each) => each.move ?? []));
    return {
      overlay,
      ...(move === undefined ? {} : { move }),
      close: () => closeAll(opened),
    };
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

/**
 * Opens the overlays of the settings. Rejects with a TorError or OverlayError that says what to do;
 * nothing is left running then. A faulty Tor, or traffic of other machines, causes a bounded number of
 * log lines.
 */
export async function openOverlay(options: OpenOverlayOptions): Promise<OpenedOverlay> {
  const log = createRateCappedLog(options.log, options.clock, { texts: DIFFERENT_LINES });
  try {
    const opened = await openAll({ ...options, log });
    return {
      ...opened,
      async close() {
        await opened.close();
        log.close();
      },
    };
  } catch (error) {
    log.close();
    throw error;
  }
}
