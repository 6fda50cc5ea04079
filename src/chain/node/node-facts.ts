/** What a node says about itself, for the choice of the way to ask it and for `onionmc doctor`. */
import { BITCOIN_NETWORKS } from '../../bitcoin/network.js';
import type { Network } from '../../protocol/constants.js';
import { shownLine } from '../../kit/shown-text.js';
import { ChainError } from '../chain-error.js';
import { Answer, readHeader } from './answers.js';
import type { RpcClient } from './rpc-client.js';
import { hasCode, RPC_CODE } from './rpc-error.js';

/** Version 24: `gettxspendingprevout`. */
const LEAST_VERSION = 240_000;
/** Version 25: `scanblocks`. */
const SCANBLOCKS_VERSION = 250_000;
const FILTER_INDEX = 'basic block filter index';

export interface NodeFacts {
  /** `main`, `test`, `testnet4`, `signet` or `regtest`. */
  readonly chain: string;
  /** 290400 is 29.4. */
  readonly version: number;
  /** `/Satoshi:29.4.0/Knots:20260508/`, cleaned for display. */
  readonly userAgent: string;
  readonly height: number;
  /** Headers that it knows: more than `height` while it synchronises. */
  readonly headers: number;
  /** Whether it still downloads the chain for the first time. */
  readonly initialDownload: boolean;
  /** Share of the verification, 0 to 1. */
  readonly progress: number;
  /** Height of the first block that it has whole: above 0 when it is pruned, or began with a snapshot. */
  readonly firstBlock: number;
  readonly pruned: boolean;
  /** It began with a snapshot of the unspent outputs, and still downloads the blocks before it. */
  readonly snapshot: boolean;
  /** Its newest block has another proof of work than Bitcoin's. */
  readonly otherWork: boolean;
  /** Whether it relays transactions of others, so that its mempool has them. */
  readonly relays: boolean;
  /** The index of block filters: missing, or up to which height it is built. */
  readonly filterIndex:
    | { readonly present: false }
    | { readonly present: true; readonly synced: boolean; readonly height: number };
}

/** Whether `scan` can use filters. */
export function canMatch({ version, filterIndex }: NodeFacts): boolean {
  return version >= SCANBLOCKS_VERSION && filterIndex.present && filterIndex.synced;
}

/** Asks a node about itself. */
export async function readFacts(rpc: RpcClient, signal?: AbortSignal): Promise<NodeFacts> {
  const outcomes = await rpc.batch(
    ['getblockchaininfo', 'getnetworkinfo', 'getindexinfo'].map((method) => ({
      method,
      params: [],
    })),
    { signal },
  );
  const [blockchain, network, index] = outcomes.map((outcome) => {
    if (!outcome.ok) throw outcome.error;
    return outcome.result;
  });
  const chain = new Answer('getblockchaininfo', blockchain);
  const net = new Answer('getnetworkinfo', network);
  const indexes = new Answer('getindexinfo', index);
  const filters = indexes.has(FILTER_INDEX) ? indexes.inner(FILTER_INDEX) : undefined;
  const pruned = chain.flag('pruned');
  const base = lacksBlocks(net) && !pruned ? await snapshotHeight(rpc, signal) : undefined;
  return {
    chain: chain.text('chain'),
    version: net.whole('version', 0, 99_999_999),
    userAgent: shownLine(net.text('subversion'), 100),
    height: chain.height('blocks'),
    headers: chain.height('headers'),
    initialDownload: chain.flag('initialblockdownload'),
    progress: progressOf(chain),
    pruned,
    firstBlock: pruned && chain.has('pruneheight') ? chain.height('pruneheight') : (base ?? -1) + 1,
    snapshot: base !== undefined,
    // Knots 29.4.3 after its change (findings/knots-other-chain.sh). All else is as on Bitcoin's chain.
    otherWork: chain.has('difficulty_blake2b'),
    relays: !net.has('localrelay') || net.flag('localrelay'),
    filterIndex:
      filters === undefined
        ? { present: false }
        : {
            present: true,
            // With a snapshot it is `synced` although it has no block (findings/knots-snapshot-blocks.sh).
            synced: filters.flag('synced') && base === undefined,
            height: filters.height('best_block_height'),
          },
  };
}

/** Whether it tells its peers that it does not have all blocks. */
function lacksBlocks(network: Answer): boolean {
  const field = 'localservicesnames';
  return network.has(field) && !network.list(field).includes('NETWORK');
}

/**
 * Height of the snapshot with which the node began, as long as it lacks blocks before it. `getblockchaininfo` says
 * nothing of it (findings/knots-snapshot-blocks.sh). Undefined without one.
 */
async function snapshotHeight(rpc: RpcClient, signal?: AbortSignal): Promise<number | undefined> {
  const method = 'getchainstates';
  let answer: unknown;
  try {
    answer = await rpc.call(method, [], { signal });
  } catch (error) {
    // Before version 26, and where `rpcwhitelist` of the node does not name it.
    if (hasCode(error, RPC_CODE.noMethod)) return undefined;
    if (error instanceof ChainError && error.fault === 'access') return undefined;
    throw error;
  }
  const base = new Answer(method, answer)
    .list('chainstates')
    .map((state) => new Answer(method, state))
    .find((state) => state.has('snapshot_blockhash') && !state.flag('validated'));
  if (base === undefined) return undefined;
  const params = [base.hash('snapshot_blockhash'), true];
  return readHeader(await rpc.call('getblockheader', params, { signal })).info.height;
}

function progressOf(chain: Answer): number {
  // A share such as 0.99999, in hundred-millionths here.
  return Math.min(1, chain.satoshi('verificationprogress') / 100_000_000);
}

/** Refuses a node of another network and one that is too old. */
export function checkFacts(facts: NodeFacts, network: Network, where: string): void {
  const expected = BITCOIN_NETWORKS[network].nodeChain;
  // Both testnets are `testnet` here.
  const chain = facts.chain === 'testnet4' ? 'test' : facts.chain;
  if (chain !== expected) {
    throw new ChainError(
      'network',
      `the bitcoin node at ${where} is on ${shownLine(facts.chain, 20)}, not on ${network}: correct rpc_port or network in [BLOCKCHAIN]`,
    );
  }
  if (facts.otherWork) {
    throw new ChainError(
      'network',
      `the bitcoin node at ${where} (${facts.userAgent}) follows a chain with another proof of work than Bitcoin's, whose coins other peers do not see: use Bitcoin Core`,
    );
  }
  if (facts.version < LEAST_VERSION) {
    throw new ChainError(
      'unable',
      `the bitcoin node at ${where} (${facts.userAgent}) is too old: version 24 or later is needed`,
    );
  }
}
