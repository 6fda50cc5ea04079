/** Opens the chain of a node from settings. */
import type { Socket } from 'node:net';
import { BITCOIN_NETWORKS } from '../../bitcoin/network.js';
import type { Clock } from '../../kit/clock.js';
import { hostAndPort, isLoopbackHost } from '../../kit/host-name.js';
import type { Network } from '../../protocol/constants.js';
import { NodeChain } from './node-chain.js';
import { RpcClient } from './rpc-client.js';

/** Where a node is, and how this program identifies itself to it. */
export interface NodeSettings {
  /** The network that the node must be on. */
  readonly network: Network;
  readonly host: string;
  /** Undefined: the usual port of the network. */
  readonly port: number | undefined;
  readonly user: string;
  readonly password: string;
  readonly cookieFile: string | undefined;
}

export interface OpenNodeOptions {
  readonly settings: NodeSettings;
  readonly clock: Clock;
  /** For a host that TCP does not reach: an onion service. */
  readonly connect?: ((signal: AbortSignal, port: number) => Promise<Socket>) | undefined;
  /** Told once when a call waits for a node that starts or is gone: one line for a person. */
  readonly onWaiting?: (text: string) => void;
  /** Aborts the opening only. */
  readonly signal?: AbortSignal | undefined;
  /** Folders in which a cookie is looked for; for tests. */
  readonly cookieFolders?: readonly string[];
  /** Between two questions for the best block, in milliseconds. */
  readonly pollMs?: number;
  /** How long a call waits for a node that starts, and a scan for one that is gone, in milliseconds. */
  readonly startingMs?: number;
  readonly patienceMs?: number;
}

/**
 * Resolves when the node answered and is of the right network. Rejects with a `ChainError`; nothing is
 * left open then.
 */
export async function openNode(options: OpenNodeOptions): Promise<NodeChain> {
  const { settings, clock, connect, onWaiting, signal, cookieFolders } = options;
  const { network, host, user, password, cookieFile } = settings;
  const port = settings.port ?? BITCOIN_NETWORKS[network].rpcPort;
  const local = connect === undefined && isLoopbackHost(host);
  const rpc = new RpcClient({
    target: {
      host,
      port,
      connect: connect && ((abort) => connect(abort, port)),
      where: hostAndPort(host, port),
    },
    credentials: {
      network,
      user,
      password,
      cookieFile,
      local,
      ...(cookieFolders && { folders: cookieFolders }),
    },
    clock,
    ...(onWaiting && { onWaiting }),
    ...(options.startingMs !== undefined && { startingMs: options.startingMs }),
    ...(options.patienceMs !== undefined && { patienceMs: options.patienceMs }),
  });
  try {
    const { pollMs } = options;
    return await NodeChain.open(
      { rpc, network, clock, ...(pollMs !== undefined && { pollMs }) },
      signal,
    );
  } catch (error) {
    rpc.close();
    throw error;
  }
}
