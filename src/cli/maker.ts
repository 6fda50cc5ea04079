/** `onionmc maker`: serves an onion and announces offers; without a wallet it refuses every fill. */
import { randomBytes } from 'node:crypto';
import { ChainError, type ChainFault } from '../chain/chain-error.js';
import { ConfigError } from '../config/config-error.js';
import { bondFilePath, commitmentListPath, makerLockPath } from '../config/data-files.js';
import type { Settings } from '../config/settings.js';
import { errorText } from '../kit/error-text.js';
import { quotedLine } from '../kit/shown-text.js';
import { createCommitmentRelay } from '../negotiation/maker/commitment-relay.js';
import { BondFileError, readBondFile } from '../ops/bond-file.js';
import { openCommitmentFile } from '../ops/commitment-file.js';
import { LockedError, lockInstance, type InstanceLock } from '../ops/instance-lock.js';
import { createNotifier } from '../ops/systemd-notifier.js';
import { systemClock } from '../overlay/system-clock.js';
import type { Offer } from '../protocol/offer.js';
import { announceCommitment } from '../roles/announce-commitment.js';
import { leastHeight } from '../protocol/tip-estimate.js';
import { startMaker, type MakerBond } from '../roles/maker.js';
import { blacklistOptions, bondPolicy, requestLimits } from '../roles/negotiation-settings.js';
import { openChain } from '../roles/open-chain.js';
import { OwnBondWatch, ownBondFaultText } from '../roles/own-bond-watch.js';
import { makeOffer, OfferTermsError } from '../roles/offers.js';
import { UnreachableError, UsageError } from './errors.js';
import { openPeer } from './peer.js';
import { print } from './print.js';
import { openProgram, type CommonOptions, type Program } from './program.js';

interface MakerCommandOptions extends CommonOptions {
  readonly size: number;
}

/**
 * One offer of `size` satoshi with the terms of `[YIELDGENERATOR]` and the offer type of `[POLICY]`.
 */
export function offerFromSettings(settings: Settings, size: number): Offer {
  const { yieldGenerator: terms, policy } = settings;
  const family = policy.segwit ? (policy.native ? 'sw0' : 'sw') : '';
  try {
    return makeOffer(
      {
        ordertype: terms.ordertype,
        family,
        cjfeeAbsolute: terms.cjfeeA,
        cjfeeRelative: terms.cjfeeR,
        cjfeeFactor: terms.cjfeeFactor,
        txfee: terms.txfeeContribution,
        txfeeFactor: terms.txfeeContributionFactor,
        minsize: terms.minsize,
        sizeFactor: terms.sizeFactor,
      },
      size,
      Math.random,
    );
  } catch (error) {
    if (error instanceof OfferTermsError) throw termsError(settings, error);
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

function termsError({ configFile, cfg }: Settings, error: OfferTermsError): ConfigError {
  const { key, allowed } = error;
  const section = 'YIELDGENERATOR';
  const found = quotedLine(cfg.get(section, key) ?? error.found);
  return new ConfigError(
    { file: configFile, line: cfg.lineOf(section, key), section, key, found, allowed },
    { cause: error },
  );
}

/** The bond of `[YIELDGENERATOR] bond_file`, if it is set; rejects with a ConfigError. */
async function bondFromSettings(settings: Settings): Promise<MakerBond | undefined> {
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
async function checkedBond(
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

/** Two makers would share the file of used commitments, and later a wallet. */
async function onlyMaker(datadir: string): Promise<InstanceLock> {
  try {
    return await lockInstance(makerLockPath(datadir));
  } catch (error) {
    if (!(error instanceof LockedError)) throw error;
    const who = error.pid === undefined ? 'another container' : `process ${error.pid}`;
    const dead = error.pid === undefined ? `; if none runs, remove ${error.path}` : '';
    throw new UsageError(
      `a maker runs with the data directory ${datadir} already (${who}): stop it first, or give this one another --datadir${dead}`,
      { cause: error },
    );
  }
}

/** Without a bond, nothing here needs the node yet: one line tells when it cannot be asked. */
async function tellOfNode({ settings, log, shutdown }: Program): Promise<void> {
  const { signal } = shutdown;
  try {
    const chain = await openChain({ settings, clock: systemClock, log, signal });
    await chain?.close();
  } catch (error) {
    if (!signal.aborted) log.warn(`the maker goes on without a bitcoin node: ${errorText(error)}`);
  }
}

export async function runMaker(options: MakerCommandOptions): Promise<void> {
  const program = await openProgram('maker', options, {
    endsWithTerminal: true,
    onStopping: () => notifier.stopping(),
  });
  const { settings, log, shutdown } = program;
  const notifier = createNotifier({ log, clock: systemClock });
  shutdown.onStop('systemd notifier', () => notifier.close());
  if (settings.network === 'mainnet') {
    throw new UsageError(
      `${settings.configFile}: [BLOCKCHAIN] network is mainnet, and this maker has no wallet for coinjoins: set network = signet`,
    );
  }
  const lock = await onlyMaker(settings.datadir);
  shutdown.onStop('lock', () => lock.release());
  const offers = [offerFromSettings(settings, options.size)];
  const fromFile = await bondFromSettings(settings);
  const bond = fromFile && (await checkedBond(program, fromFile));
  if (bond === undefined) void tellOfNode(program);
  const commitments = await openCommitmentFile(commitmentListPath(settings));
  shutdown.onStop('commitment list', () => commitments.close());
  const { overlay, channel, failed } = await openPeer(program, true);
  const relay = createCommitmentRelay({
    announce: (commitment, signal) =>
      announceCommitment(commitment, signal, {
        network: settings.network,
        directories: settings.onion.directoryNodes,
        overlay,
        clock: systemClock,
        random: Math.random,
        randomBytes,
      }),
    clock: systemClock,
    log,
  });
  shutdown.onStop('commitment relay', () => relay.close());
  const maker = startMaker({
    channel,
    offers,
    clock: systemClock,
    log,
    requestLimits: requestLimits(settings),
    ...(bond === undefined ? {} : { bond }),
    blacklist: blacklistOptions(settings, { store: commitments, relay }),
  });
  shutdown.onStop('maker', () => maker.stop());
  channel.once('served', () => notifier.ready());
  print(channel.nick);
  await failed;
}
