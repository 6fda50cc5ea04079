/** `onionmc maker --wallet NAME`: a maker that takes part in coinjoins. */
import { randomBytes } from 'node:crypto';
import { openChannels } from '../channel/channel-set.js';
import type { OnionMessageChannel } from '../channel/message-channel.js';
import type { Overlay } from '../channel/ports.js';
import type { Chain } from '../chain/ports.js';
import { commitmentListPath, yieldStatementPath } from '../config/data-files.js';
import type { Settings } from '../config/settings.js';
import { walletRules } from '../config/wallet-rules.js';
import { fundedOffers, type OfferTerms } from '../maker/offers.js';
import { WalletMaker } from '../maker/wallet-maker.js';
import { openCommitmentFile } from '../ops/commitment-file.js';
import { createNotifier, type Notifier } from '../ops/systemd-notifier.js';
import { smallYoungGeneration } from '../ops/young-generation.js';
import { openOverlay } from '../overlay/factory/open-overlays.js';
import { systemClock } from '../overlay/system-clock.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import { createNickKey } from '../protocol/nick.js';
import {
  blacklistOptions,
  bondPolicy,
  makerPolicy,
  offerTerms,
  requestLimits,
  sessionLimits,
} from '../roles/negotiation-settings.js';
import { useFastCurves } from '../roles/fast-curves.js';
import type { DirectoryChoice } from '../roles/directories/directory-choice.js';
import { chosenDirectories, openChoice } from '../roles/directories/from-settings.js';
import type { AnnouncedBond } from '../roles/wallet-bond.js';
import { startWalletMaker, type WalletMakerRole } from '../roles/wallet-maker.js';
import { YieldStatement } from '../roles/yield-statement-file.js';
import { freeUnsent } from '../taker/resume.js';
import type { Wallet } from '../wallet/wallet.js';
import { bondFromSettings, checkedBond } from './maker-bond.js';
import { MakerFace } from './maker-face.js';
import { withFaultsOf } from './maker-offers.js';
import { onlyMaker, openRelay } from './maker-parts.js';
import type { MakerCommandOptions } from './maker.js';
import { print } from './print.js';
import { openProgram, type Program } from './program.js';
import { chainOf, networkOf } from './wallet/chain.js';
import { withExitCodes } from './wallet/errors.js';
import { checkMainnetMaker } from './wallet/mainnet.js';
import { resumePayments } from './wallet/pay.js';
import { walletPassphrase, walletPassword } from './wallet/secrets.js';
import {
  checkExists,
  checkNetwork,
  openStore,
  openWallet,
  syncWallet,
  unixTime,
  walletFolder,
} from './wallet/session.js';
import { TerminalAsker } from './wallet/terminal.js';

export async function runWalletMaker(name: string, options: MakerCommandOptions): Promise<void> {
  smallYoungGeneration();
  await withExitCodes(async () => {
    const program = await openProgram('maker', options, {
      endsWithTerminal: true,
      onStopping: () => notifier.stopping(),
    });
    const { settings, log, shutdown } = program;
    const notifier = createNotifier({ log, clock: systemClock });
    shutdown.onStop('systemd notifier', () => notifier.close());
    checkMainnetMaker(networkOf(settings), options.mainnetIAcceptTheRisk);
    const lock = await onlyMaker(settings.datadir);
    shutdown.onStop('lock', () => lock.release());
    const { wallet, chain } = await openMakerWallet(program, name, options);
    const role = await startRole(program, wallet, chain, notifier);
    await serve(role, notifier);
  });
}

/** The wallet at the tip of the chain; both are closed with the program. */
async function openMakerWallet(
  { settings, shutdown }: Program,
  name: string,
  options: MakerCommandOptions,
): Promise<{ readonly wallet: Wallet; readonly chain: Chain }> {
  const { signal } = shutdown;
  const asker = new TerminalAsker();
  const letTerminalGo = shutdown.onStop('terminal', () => asker.close());
  const folder = walletFolder(name, options.datadir);
  await checkExists(folder);
  const password = await walletPassword(options, asker);
  const store = await openStore(folder, password, 'write');
  const letStoreGo = shutdown.onStop('wallet folder', () => store.close());
  checkNetwork(store, settings);
  termsOf(settings, store.secret.kind);
  const { hasPassphrase } = store.secret;
  const passphrase = hasPassphrase ? await walletPassphrase(options, asker) : undefined;
  asker.close();
  letTerminalGo();
  const chain = await chainOf(settings, signal);
  shutdown.onStop('bitcoin node', () => chain.close());
  const acceptMainnetRisk = options.mainnetIAcceptTheRisk;
  const rules = walletRules(settings);
  const secrets = { passphrase, acceptMainnetRisk };
  const wallet = await openWallet({ store, chain, mode: 'write', ...secrets, ...rules });
  // It closes its folder.
  letStoreGo();
  shutdown.onStop('wallet', () => wallet.close());
  await syncWallet(wallet, signal);
  await resumePayments({ wallet, chain, settings, signal });
  // A taker that was killed holds coins that nothing else frees.
  await freeUnsent(wallet);
  wallet.checkSpending();
  return { wallet, chain };
}

/** The terms of the offers; throws a ConfigError for terms that allow none. */
function termsOf(settings: Settings, kind: Wallet['secret']['kind']): OfferTerms {
  const terms = offerTerms(settings, kind === 'native' ? 'sw0' : 'sw');
  withFaultsOf(settings, () => fundedOffers(terms, [], Math.random));
  return terms;
}

async function startRole(
  program: Program,
  wallet: Wallet,
  chain: Chain,
  notifier: Notifier,
): Promise<WalletMakerRole> {
  const { settings, log, shutdown } = program;
  const bond = await bondOfFile(program);
  const commitments = await openCommitmentFile(commitmentListPath(settings));
  shutdown.onStop('commitment list', () => commitments.close());
  const statement = await YieldStatement.open(yieldStatementPath(settings.datadir), log);
  shutdown.onStop('statement', () => statement.close());
  const opened = await openOverlay({
    settings,
    serves: true,
    severalLocations: true,
    clock: systemClock,
    random: Math.random,
    log,
    signal: shutdown.signal,
  });
  shutdown.onStop('overlay', () => opened.close());
  const face = await MakerFace.open(program, networkOf(settings), opened.overlay);
  const choice = await openChoice({
    settings,
    overlay: opened.overlay,
    clock: systemClock,
    random: Math.random,
    log,
  });
  if (choice) shutdown.onStop('choice of directories', () => choice.close());
  const relay = openRelay(program, opened.overlay, choice);
  const policy = makerPolicy(settings);
  const keepsLocation = servesOneOnion(settings);
  if (keepsLocation) {
    log.warn(
      'hidden_service_dir is set: the onion stays the same with each new nick, so anybody can link the nicks',
    );
  }
  if (settings.onion.lokinet?.serve === true) {
    log.warn(
      'Lokinet has one address for all programs of this machine: it stays the same with each new nick, so anybody can link the nicks there',
    );
  }
  const role = await startWalletMaker({
    wallet,
    chain,
    maker: new WalletMaker({
      wallet,
      chain,
      log,
      unixTime,
      policy,
      rule: settings.policy.mergeAlgorithm,
    }),
    terms: termsOf(settings, wallet.secret.kind),
    openChannel: () => openNamedChannel(program, opened.overlay, choice),
    keepsLocation,
    blacklist: blacklistOptions(settings, { store: commitments, relay }),
    requestLimits: requestLimits(settings),
    policy,
    limits: sessionLimits(settings),
    bondPolicy: bondPolicy(settings),
    ...(bond === undefined ? {} : { bond }),
    statement,
    onOutcome: (_, outcome) => face.figures.ended(outcome),
    clock: systemClock,
    random: Math.random,
    log,
    unixTime,
  });
  shutdown.onStop('maker', () => role.stop());
  face.follow(role, notifier);
  return role;
}

/** Each location has a key of its own unless the settings name one. */
const servesOneOnion = ({ onion }: Settings): boolean =>
  !onion.withoutTor && onion.hiddenServiceDir !== undefined;

/** A channel under a fresh nick: all its circuits are isolated by it. */
function openNamedChannel(
  { settings, log }: Program,
  overlay: Overlay,
  choice: DirectoryChoice | undefined,
): OnionMessageChannel {
  useFastCurves();
  const chosen = chosenDirectories(settings, choice, true);
  const channel = openChannels({
    network: settings.network,
    ...chosen.options,
    directoryCodes: settings.admission.directoryCodes,
    overlay,
    newNickKey: () => createNickKey(randomBytes),
    sameNick: settings.onion.lokinet?.sameNick ?? false,
    serve: true,
    clock: systemClock,
    random: Math.random,
    log,
  });
  chosen.follow(channel);
  for (const { nick } of channel.parts ?? [channel]) print(nick);
  return channel;
}

/** `bond_file` takes precedence over the bonds of the wallet. */
async function bondOfFile(
  program: Program,
): Promise<(() => AnnouncedBond | undefined) | undefined> {
  const fromFile = await bondFromSettings(program.settings);
  if (fromFile === undefined) return undefined;
  const { bond, funded } = await checkedBond(program, fromFile);
  const outpoint = formatOutpoint(bond.utxo);
  const announced = { bond, outpoint, lockTime: bond.lockTime, value: undefined };
  return () => (funded?.() === false ? undefined : announced);
}

/** Runs until serving fails before it ever succeeded; a signal ends the program. */
async function serve(role: WalletMakerRole, notifier: Notifier): Promise<void> {
  void role.ready.then(() => notifier.ready());
  await role.failed;
}
