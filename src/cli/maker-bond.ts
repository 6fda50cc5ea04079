/** The bond file of a maker, and its coin on the chain. */
import { ChainError, type ChainFault } from '../chain/chain-error.js';
import { ConfigError } from '../config/config-error.js';
import { bondFilePath } from '../config/data-files.js';
import type { Settings } from '../config/settings.js';
import { quotedLine } from '../kit/shown-text.js';
import { BondFileError, readBondFile } from '../ops/bond-file.js';
import { systemClock } from '../overlay/system-clock.js';
import { leastHeight } from '../protocol/tip-estimate.js';
import type { MakerBond } from '../roles/maker.js';
import { bondPolicy } from '../roles/negotiation-settings.js';
import { openChain } from '../roles/open-chain.js';
import { OwnBondWatch, ownBondFaultText } from '../roles/own-bond-watch.js';
import { UnreachableError, UsageError } from './errors.js';
import type { Program } from './program.js';

/** The bond of `[YIELDGENERATOR] bond_file`, if it is set; rejects with a ConfigError. */
export async function bondFromSettings(settings: Settings): Promise<MakerBond | undefined> {
  const { network } = settings;
  const path = bondFilePath(settings);
  if (path === undefined) return undefined;
  const tipHeight = () => leastHeight(network, Date.now() / 1000);
  try {
    const bond = await readBondFile(path, { network, tipHeight: tipHeight() });
    return { bond, tipHeight };
  } catch (error) {
    if (!(error instanceof BondFileError)) throw error;
    throw bondFileFault(settings, path, error);
  }
}

function bondFileFault(
  { configFile, cfg }: Settings,
  path: string,
  { found, allowed }: { readonly found: string; readonly allowed: string },
): ConfigError {
  const [section, key] = ['YIELDGENERATOR', 'bond_file'];
  return new ConfigError({
    file: configFile,
    line: cfg.lineOf(section, key),
    section,
    key,
    found: `${quotedLine(path)}, ${found}`,
    allowed,
  });
}

/** Faults of a node that may end by themselves. */
const PASSING: readonly ChainFault[] = ['unreachable', 'starting', 'timeout'];

/**
 * The bond, with the coin and the height of the chain from the node, if one is configured: takers drop the
 * offers of a maker that shows a bond without its coin.
 */
export async function checkedBond(
  { settings, log, shutdown }: Program,
  own: MakerBond,
): Promise<MakerBond> {
  const tools = { clock: systemClock, log };
  try {
    const chain = await openChain({ settings, ...tools, signal: shutdown.signal });
    if (chain === undefined) return own;
    shutdown.onStop('bitcoin node', () => chain.close());
    const { bond } = own;
    const watch = await OwnBondWatch.start({ chain, bond, policy: bondPolicy(settings), ...tools });
    if (!(watch instanceof OwnBondWatch)) {
      throw bondFileFault(settings, bondFilePath(settings) ?? '', {
        found: ownBondFaultText(bond, watch.state),
        allowed: 'the file of a bond whose coin is confirmed and unspent',
      });
    }
    shutdown.onStop('bond', () => watch.stop());
    return { bond, tipHeight: () => watch.height, funded: () => watch.funded };
  } catch (error) {
    if (!(error instanceof ChainError)) throw error;
    const text = `the bond cannot be checked: ${error.message}; without a node, set blockchain_source = no-blockchain in [BLOCKCHAIN]`;
    throw PASSING.includes(error.fault)
      ? new UnreachableError(text, { cause: error })
      : new UsageError(text, { cause: error });
  }
}
