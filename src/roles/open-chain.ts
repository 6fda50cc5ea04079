/** The view of the block chain that the settings name. */
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import type { NodeChain } from '../chain/node/node-chain.js';
import { openNode } from '../chain/node/open-node.js';
import type { Settings } from '../config/settings.js';
import { parseOnionHost } from '../protocol/location.js';
import { createSocksDialer } from '../tor/socks/dialer.js';

/** What opening a chain needs. */
export interface OpenChainOptions {
  /** The node of `[BLOCKCHAIN]`, and Tor's SOCKS port for a node behind an onion. */
  readonly settings: Pick<Settings, 'node' | 'onion'>;
  /** The time of all timers. */
  readonly clock: Clock;
  /** Told when a call waits for a node that starts or is gone. */
  readonly log: Log;
  /** Aborts the opening only; afterwards use `close`. */
  readonly signal?: AbortSignal | undefined;
  /** How long a call waits for a node that starts, in milliseconds. Default: 10 minutes. */
  readonly startingMs?: number;
}

/**
 * The chain of the configured node; undefined with `blockchain_source = no-blockchain`. Rejects with a
 * `ChainError` when the node cannot be reached, refuses access, is of another network or too old; the
 * fault `unreachable`, `access`, `starting` or `timeout` means that it may work later. The caller closes it.
 */
export async function openChain(options: OpenChainOptions): Promise<NodeChain | undefined> {
  const { settings, clock, log, signal, startingMs } = options;
  const { node, onion } = settings;
  if (node === undefined) return undefined;
  const { host, port } = node;
  const isOnion = parseOnionHost(host).ok;
  const dialer = createSocksDialer({ socks: { kind: 'tcp', ...onion.socks }, clock, log });
  return openNode({
    settings: node,
    clock,
    onWaiting: (text) => log.info(text),
    ...(signal && { signal }),
    ...(startingMs !== undefined && { startingMs }),
    ...(isOnion && {
      connect: (abort: AbortSignal, usualPort: number) =>
        dialer.dial(
          { kind: 'onion', host, port: port ?? usualPort },
          { signal: abort, isolation: 'bitcoin-node' },
        ),
    }),
  });
}
