/** `onionmc maker`: serves an onion and announces offers; without a wallet it refuses every fill. */
import { randomBytes } from 'node:crypto';
import { ConfigError } from '../config/config-error.js';
import { bondFilePath, commitmentListPath, makerLockPath } from '../config/data-files.js';
import type { Settings } from '../config/settings.js';
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
import { blacklistOptions, requestLimits } from '../roles/negotiation-settings.js';
import { makeOffer, OfferTermsError } from '../roles/offers.js';
import { UsageError } from './errors.js';
import { openPeer } from './peer.js';
import { print } from './print.js';
import { openProgram, type CommonOptions } from './program.js';

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
  const { network, configFile, cfg } = settings;
  const path = bondFilePath(settings);
  if (path === undefined) return undefined;
  const tipHeight = () => leastHeight(network, Date.now() / 1000);
  try {
    const bond = await readBondFile(path, { network, tipHeight: tipHeight() });
    return { bond, tipHeight };
  } catch (error) {
    if (!(error instanceof BondFileError)) throw error;
    const [section, key] = ['YIELDGENERATOR', 'bond_file'];
    throw new ConfigError({
      file: configFile,
      line: cfg.lineOf(section, key),
      section,
      key,
      found: `${quotedLine(path)}, ${error.found}`,
      allowed: error.allowed,
    });
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
  const bond = await bondFromSettings(settings);
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
