/** The proxy between a Tor of our own and its network: `[TOR] upstream`. */
import { createConnection } from 'node:net';
import { errorCodeOrText } from '../kit/error-text.js';
import { shownUpstream, type TorUpstream } from '../config/tor-upstream.js';

const PROBE_TIMEOUT_MS = 5_000;

/** Whether a proxy accepts connections; its error otherwise. Nothing is sent to it. */
function dialFault(host: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const finish = (fault: string | undefined): void => {
      signal.removeEventListener('abort', stop);
      socket.destroy();
      resolve(fault);
    };
    const stop = (): void => finish('stopped');
    signal.addEventListener('abort', stop, { once: true });
    socket.setTimeout(PROBE_TIMEOUT_MS, () => finish('no answer'));
    socket.once('connect', () => finish(undefined));
    socket.on('error', (error) => finish(errorCodeOrText(error)));
  });
}

export interface UpstreamLook {
  /** For a person, without user and password. */
  readonly text: string;
  readonly fault: boolean;
}

/** A tunnel of Lethean is opened when the program starts, so there is nothing to ask before. */
export async function lookAtUpstream(
  upstream: TorUpstream,
  signal: AbortSignal,
): Promise<UpstreamLook> {
  const shown = shownUpstream(upstream);
  if (upstream.kind === 'lthn') {
    return { text: `its way to Tor is ${shown}, opened at the start`, fault: false };
  }
  const fault = await dialFault(upstream.host, upstream.port, signal);
  return fault === undefined
    ? { text: `its way to Tor is ${shown}, which accepts connections`, fault: false }
    : {
        text: `its only way to Tor, ${shown}, cannot be reached (${fault}): it will have no connection`,
        fault: true,
      };
}
