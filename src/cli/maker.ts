/** `onionmc maker`: serves an onion and announces offers; without a wallet it refuses every fill. */
import { commitmentListPath } from '../config/data-files.js';
import { errorText } from '../kit/error-text.js';
import { openCommitmentFile } from '../ops/commitment-file.js';
import { createNotifier } from '../ops/systemd-notifier.js';
import { systemClock } from '../overlay/system-clock.js';
import { startMaker } from '../roles/maker.js';
import { blacklistOptions, requestLimits } from '../roles/negotiation-settings.js';
import { openChain } from '../roles/open-chain.js';
import { UsageError } from './errors.js';
import { bondFromSettings, checkedBond } from './maker-bond.js';
import { offerFromSettings } from './maker-offers.js';
import { onlyMaker, openRelay } from './maker-parts.js';
import { openPeer } from './peer.js';
import { print } from './print.js';
import { openProgram, type CommonOptions, type Program } from './program.js';
import type { SecretOptions } from './wallet/secrets.js';

/** The options of `onionmc maker`. */
export interface MakerCommandOptions extends CommonOptions, SecretOptions {
  /** Without a wallet: satoshi of the offer. */
  readonly size: number;
  /** The name of the wallet that takes part in coinjoins. */
  readonly wallet?: string;
  readonly mainnetIAcceptTheRisk?: boolean;
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
  const { wallet } = options;
  if (wallet === undefined) return runWithoutWallet(options);
  return (await import('./maker-wallet.js')).runWalletMaker(wallet, options);
}

async function runWithoutWallet(options: MakerCommandOptions): Promise<void> {
  const program = await openProgram('maker', options, {
    endsWithTerminal: true,
    onStopping: () => notifier.stopping(),
  });
  const { settings, log, shutdown } = program;
  const notifier = createNotifier({ log, clock: systemClock });
  shutdown.onStop('systemd notifier', () => notifier.close());
  if (settings.network === 'mainnet') {
    throw new UsageError(
      `${settings.configFile}: [BLOCKCHAIN] network is mainnet, and this maker has no wallet for coinjoins: give --wallet NAME, or set network = signet`,
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
  const { overlay, channel, choice, failed } = await openPeer(program, true);
  const relay = openRelay(program, overlay, choice);
  for (const [i, part] of (channel.parts ?? [channel]).entries()) {
    const maker = startMaker({
      channel: part,
      // Equal offers, or the same bond, would link two nicks.
      offers: i === 0 ? offers : [offerFromSettings(settings, options.size)],
      clock: systemClock,
      log,
      requestLimits: requestLimits(settings),
      ...(bond === undefined || i > 0 ? {} : { bond }),
      blacklist: blacklistOptions(settings, { store: commitments, relay }),
    });
    shutdown.onStop('maker', () => maker.stop());
    print(part.nick);
  }
  channel.once('served', () => notifier.ready());
  await failed;
}
