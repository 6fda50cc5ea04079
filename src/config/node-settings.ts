/** `[BLOCKCHAIN]`: the network, and the bitcoin node from which the chain is read. */
import type { Network } from '../protocol/constants.js';
import type { CfgFile } from './cfg-file.js';
import { expandPath } from './paths.js';
import { readSection } from './read-section.js';
import { BLOCKCHAIN_KEYS } from './settings-keys.js';

/** Where the node is, and how this program identifies itself to it. */
export interface NodeSettings {
  /** The network of the node: regtest with `blockchain_source = regtest`, whatever `network` says. */
  readonly network: Network;
  readonly host: string;
  /** Undefined: the usual port of the network. */
  readonly port: number | undefined;
  readonly user: string;
  readonly password: string;
  /** Absolute path; undefined when it is not set. */
  readonly cookieFile: string | undefined;
}

export interface BlockchainSettings {
  readonly network: Network;
  /** Undefined with `no-blockchain`, and for a program that asks no node. */
  readonly node: NodeSettings | undefined;
}

const { blockchain_source, network, ...RPC_KEYS } = BLOCKCHAIN_KEYS;

/**
 * Reads the section. The keys of the node are only read when it is asked, so that a directory starts with
 * a file whose other values it does not know. Throws a ConfigError.
 */
export function readBlockchain(
  cfg: CfgFile,
  datadir: string,
  asksNode: boolean,
): BlockchainSettings {
  const section = 'BLOCKCHAIN';
  const own = readSection({ network }, cfg, section);
  if (!asksNode) return { ...own, node: undefined };
  const { blockchainSource } = readSection({ blockchain_source }, cfg, section);
  if (blockchainSource === 'no-blockchain') return { ...own, node: undefined };
  const rpc = readSection(RPC_KEYS, cfg, section);
  return {
    ...own,
    node: {
      network: blockchainSource === 'regtest' ? 'regtest' : own.network,
      host: rpc.rpcHost,
      port: rpc.rpcPort ?? undefined,
      user: rpc.rpcUser,
      password: rpc.rpcPassword,
      cookieFile: rpc.rpcCookieFile === '' ? undefined : expandPath(rpc.rpcCookieFile, datadir),
    },
  };
}
