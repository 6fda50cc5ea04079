/**
 * Scripts and heights of coins, for peers without a full node (`neutrino_compat`; docs/protocol.md,
 * section 9.5).
 */
import type { Clock } from '../channel/ports.js';
import { formatOutpoint, type NamedOutpoint, type Outpoint } from '../protocol/outpoint.js';
import type { ChainCoin, ChainView, OwnCoin } from './ports.js';

/**
 * What is wrong with a peer's metadata of its coin, for a person; undefined when it is right. The
 * height is not checked when the view does not report heights.
 */
export function metadataFault(
  { metadata, ...name }: NamedOutpoint,
  found: ChainCoin,
): string | undefined {
  if (metadata === undefined) return undefined;
  if (metadata.scriptPubKeyHex !== found.script)
    return `${formatOutpoint(name)} has another script`;
  if (found.height === undefined || metadata.blockHeight === found.height) return undefined;
  return `${formatOutpoint(name)} is in block ${found.height}, not ${metadata.blockHeight}`;
}

/** The name of a coin, with its metadata when all of it is known. */
export function nameCoin(
  { txid, vout }: Outpoint,
  script: string | undefined,
  height: number | undefined,
): NamedOutpoint {
  if (script === undefined || height === undefined) return { txid, vout };
  return { txid, vout, metadata: { scriptPubKeyHex: script, blockHeight: height } };
}

/**
 * The chain's answer about our own coins; empty when it fails, is aborted or there is no chain. The
 * session then continues without metadata, so a chain that never answers blocks nothing.
 */
export async function lookUpCoins(
  chain: ChainView,
  coins: readonly NamedOutpoint[],
  signal: AbortSignal,
): Promise<readonly (ChainCoin | undefined)[]> {
  let giveUp: (() => void) | undefined;
  const aborted = new Promise<readonly undefined[]>((resolve) => {
    giveUp = () => resolve([]);
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp);
  });
  try {
    return await Promise.race([chain.coins(coins, signal), aborted]);
  } catch {
    return [];
  } finally {
    if (giveUp) signal.removeEventListener('abort', giveUp);
  }
}

/** The names of our coins in the extended form, or in the plain form when a height is unknown. */
export async function nameOwnCoins(
  chain: ChainView,
  coins: readonly OwnCoin[],
  signal: AbortSignal,
): Promise<readonly NamedOutpoint[]> {
  const found = coins.every(({ height }) => height !== undefined)
    ? []
    : await lookUpCoins(chain, coins, signal);
  return coins.map((coin, n) => nameCoin(coin, coin.script, coin.height ?? found[n]?.height));
}

/**
 * The proof's coin is looked up only for makers without a full node, so the round does not wait longer
 * for it.
 */
const PROOF_LOOK_UP_MS = 5_000;

/** The coin of our proof with its metadata, as far as known. */
export async function nameProofCoin(
  chain: ChainView,
  coin: NamedOutpoint,
  clock: Clock,
  signal: AbortSignal,
): Promise<NamedOutpoint> {
  if (coin.metadata !== undefined) return coin;
  const late = new AbortController();
  const cancel = clock.after(PROOF_LOOK_UP_MS, () => late.abort());
  const [found] = await lookUpCoins(chain, [coin], AbortSignal.any([signal, late.signal]));
  cancel();
  return nameCoin(coin, found?.script, found?.height);
}
