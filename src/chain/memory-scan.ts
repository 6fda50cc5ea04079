/** The scan of a chain in memory: the order of the steps is that of `ScanStep`. */
import { ChainError } from './chain-error.js';
import { concerning } from './concerning.js';
import type { MemoryLedger } from './memory-ledger.js';
import type { BlockId, BlockInfo, FoundTransaction, ScanRequest, ScanStep } from './ports.js';

/** Blocks between two `reached` steps. */
const BLOCKS_PER_STEP = 100;

interface ScanSource {
  readonly ledger: MemoryLedger;
  /** Below this height, blocks cannot be read. */
  readonly pruned: () => number;
  /** Waits, and rejects like any other call. */
  readonly turn: (signal: AbortSignal) => Promise<void>;
}

const isAt = (ledger: MemoryLedger, { height, hash }: BlockId): boolean =>
  ledger.block(height)?.info.hash === hash;

/** Yields what a block has for the watch, again if the watch grows because of it and then finds more. */
function* blockSteps(
  block: BlockInfo,
  find: () => readonly FoundTransaction[],
): Generator<ScanStep, void, void> {
  let found = find();
  while (found.length > 0) {
    yield { kind: 'block', block, transactions: found };
    const again = find();
    if (again.length <= found.length) return;
    found = again;
  }
}

export async function* memoryScan(
  { ledger, pruned, turn }: ScanSource,
  { known, from, watch, signal, onProgress }: ScanRequest,
): AsyncGenerator<ScanStep, void, void> {
  await turn(signal);
  const shared = known.find((block) => isAt(ledger, block));
  // The genesis block has no coin that can be spent.
  const before = shared ?? ledger.block(Math.max(0, Math.min(from - 1, ledger.tip.height)))?.info;
  if (before === undefined) throw new ChainError('answer', `there is no block ${from}`);
  if (known.length > 0 && shared !== known[0]) yield { kind: 'rewind', to: before };
  const trail: BlockId[] = [before];
  const start = before.height;
  for (;;) {
    const last = trail.at(-1) ?? before;
    if (!isAt(ledger, last)) {
      while (trail.length > 1 && !isAt(ledger, trail.at(-1) ?? before)) trail.pop();
      yield { kind: 'rewind', to: trail.at(-1) ?? before };
      continue;
    }
    const next = ledger.block(last.height + 1);
    if (next === undefined) break;
    const { info } = next;
    if (info.height < pruned()) {
      throw new ChainError('unable', `block ${info.height} is pruned: rescan from ${pruned()}`);
    }
    yield* blockSteps(info, () => concerning(next.transactions, watch));
    trail.push(info);
    if ((info.height - start) % BLOCKS_PER_STEP === 0) {
      yield { kind: 'reached', block: info };
      onProgress?.((info.height - start) / Math.max(1, ledger.tip.height - start));
      await turn(signal);
    }
  }
  onProgress?.(1);
  yield { kind: 'reached', block: ledger.tip };
}
