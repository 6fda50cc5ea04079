/** The network of the demo: a private Tor network on this machine, or loopback sockets. */
import { join } from 'node:path';
import type { Overlay } from '../../channel/ports.js';
import { createLoopbackOverlay } from '../../overlay/loopback.js';
import { createTorOverlay } from '../../overlay/tor.js';
import { connectControl } from '../../tor/control/client.js';
import { loadOrCreateOnionKey } from '../../tor/onion/key-folder.js';
import type { OnionIdentity } from '../../tor/onion/service.js';
import { startPrivateTorNetwork, type PrivateTorNetwork } from '../private-network/network.js';
import type { PrivateTor } from '../private-network/client.js';

const ANY_PORT = { host: '127.0.0.1', port: 0 };

/** The two Tors of the demo. */
export interface DemoTors {
  readonly network: PrivateTorNetwork;
  /** Serves the onions of the directory and the makers. */
  readonly servers: PrivateTor;
  /** The Tor of the taker. */
  readonly takers: PrivateTor;
}

export interface DemoOverlays {
  readonly tors: DemoTors | undefined;
  /** The overlay of one peer; a persistent one stores its onion's key in a folder of the demo. */
  overlayFor(peer: 'directory' | 'maker' | 'taker'): Promise<Overlay>;
  /** Ends all processes and removes all files. */
  close(): Promise<void>;
}

export type Progress = (subject: string, text: string) => void;

export async function startLoopbackOverlays(): Promise<DemoOverlays> {
  return {
    tors: undefined,
    overlayFor: async () => createLoopbackOverlay(ANY_PORT),
    close: () => Promise.resolve(),
  };
}

async function startTors(network: PrivateTorNetwork, progress: Progress): Promise<DemoTors> {
  const start = (name: string, controlPort: boolean): Promise<PrivateTor> =>
    network.startTor({
      name,
      controlPort,
      onBootstrap: (percent, summary) => progress(name, `${percent} % ${summary}`),
    });
  const [servers, takers] = await Promise.all([
    start('tor-server', true),
    start('tor-taker', false),
  ]);
  return { network, servers, takers };
}

/** Rejects with a TorError; no process and no file is left then. */
export async function startTorOverlays(
  signal: AbortSignal,
  progress: Progress,
): Promise<DemoOverlays> {
  const network = await startPrivateTorNetwork({
    signal,
    onProgress: (text) => progress('network', text),
  });
  try {
    const tors = await startTors(network, progress);
    const { controlEndpoint } = tors.servers;
    if (controlEndpoint === undefined) throw new Error('the demo asked for a control port');
    return {
      tors,
      async overlayFor(peer) {
        if (peer === 'taker')
          return createTorOverlay({ socks: { kind: 'tcp', ...tors.takers.socks } });
        const identity: OnionIdentity =
          peer === 'directory'
            ? {
                kind: 'persistent',
                key: (await loadOrCreateOnionKey(join(network.directory, 'onion'))).key,
              }
            : { kind: 'ephemeral' };
        return createTorOverlay({
          socks: { kind: 'tcp', ...tors.servers.socks },
          serving: {
            kind: 'control',
            identity,
            listen: ANY_PORT,
            connectControl: (s) => connectControl({ endpoint: controlEndpoint, signal: s }),
          },
        });
      },
      close: () => network.close(),
    };
  } catch (error) {
    await network.close();
    throw error;
  }
}
