/** Opens the overlay of Lokinet. Its code is loaded with the first dial or service. */
import type { Log } from '../../channel/log.js';
import type { Clock, Overlay } from '../../channel/ports.js';
import type { LokinetSettings } from '../../config/lokinet-settings.js';
import { OverlayError } from '../overlay-error.js';
import type { OpenedOverlay, OpenOverlayOptions } from './opened.js';

interface LokinetTools {
  readonly clock: Clock;
  readonly log?: Log;
}

/** @param virtualPort where it serves; undefined: it only dials */
async function load(
  settings: LokinetSettings,
  virtualPort: number | undefined,
  tools: LokinetTools,
): Promise<Overlay> {
  const { createLokinetOverlay } = await import('../../lokinet/overlay.js');
  const { rpc } = settings;
  const asked =
    rpc === undefined ? undefined : (await import('../../lokinet/rpc.js')).createLokinetRpc(rpc);
  return createLokinetOverlay({
    dns: settings.dns,
    portFromSrv: settings.portFromSrv,
    rpc: asked,
    virtualPort,
    ...tools,
  });
}

/** An overlay that is loaded when it is used. */
function lazy(loadNow: () => Promise<Overlay>, dialsOnly: boolean): Overlay {
  let loading: Promise<Overlay> | undefined;
  const loaded = (): Promise<Overlay> => (loading ??= loadNow());
  const reachable = new Set(['loki'] as const);
  return {
    reachable,
    oneSource: reachable,
    dialsOnly,
    dial: async (location, options) => (await loaded()).dial(location, options),
    serve: async (onConnection, options) => (await loaded()).serve(onConnection, options),
    close: async () => (await loading)?.close(),
  };
}

/** An overlay that only dials, for checks from outside; undefined without its settings. */
export function lokinetDialer(
  settings: LokinetSettings | undefined,
  tools: LokinetTools,
): Overlay | undefined {
  return settings && lazy(() => load(settings, undefined, tools), true);
}

/** Opens it from the settings. Throws an OverlayError when these have no section for it. */
export async function openLokinet(options: OpenOverlayOptions): Promise<OpenedOverlay> {
  const { settings, serves, severalLocations, clock, log } = options;
  const { lokinet } = settings.onion;
  if (lokinet === undefined) {
    throw new OverlayError('not-serving', 'there is no section with type = lokinet');
  }
  const isServing = serves && lokinet.serve;
  const port = severalLocations === true ? 0 : lokinet.virtualPort;
  const overlay = lazy(
    () => load(lokinet, isServing ? port : undefined, { clock, log }),
    !isServing,
  );
  return { overlay, close: () => overlay.close() };
}
