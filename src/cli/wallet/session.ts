/**
 * Opens what a wallet command needs, in this order: the folder, the password, the node, the chain up to
 * its tip; and closes it in the opposite order, also after an error and after Ctrl-C.
 */
import { randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Chain } from '../../chain/ports.js';
import { walletsFolder } from '../../config/data-files.js';
import { ignoredNotices } from '../../config/ignored-keys.js';
import { resolveDatadir } from '../../config/paths.js';
import { peekSettings, type Settings } from '../../config/settings.js';
import { walletRules, type WalletRules } from '../../config/wallet-rules.js';
import { errorCode } from '../../kit/error-text.js';
import { keepAlive } from '../../kit/keep-alive.js';
import { shownLine } from '../../kit/shown-text.js';
import { smallYoungGeneration } from '../../ops/young-generation.js';
import { WalletStoreError, type WalletStore } from '../../wallet/store/api.js';
import { WALLET_NAME } from '../../wallet/store/folder.js';
import { openWalletStore } from '../../wallet/store/store.js';
import { Wallet } from '../../wallet/wallet.js';
import { UsageError } from '../errors.js';
import { printNote } from '../print.js';
import { chainOf, networkOf } from './chain.js';
import { withExitCodes } from './errors.js';
import { withProgress } from './progress.js';
import { resumeAll, tellOpen } from './resume.js';
import { walletPassphrase, walletPassword, type SecretOptions } from './secrets.js';
import { StoppedError, TerminalAsker, type Asker } from './terminal.js';

/** The options of every wallet command. */
export interface FolderOptions extends SecretOptions {
  readonly datadir?: string;
}

/** The options of a command that only reads. */
export interface ReadOptions extends FolderOptions {
  /** Do not ask the node: show what the wallet knows. */
  readonly offline?: boolean;
  /** The command asks the chain itself, also beside a writer. */
  readonly needsChain?: boolean;
}

/** The options of a command that writes or spends. */
export interface WriteOptions extends FolderOptions {
  /** The command signs nothing and hands out no address: a passphrase is not asked for. */
  readonly isKeyless?: boolean;
  /** The command reads the chain itself, also where the node has pruned blocks that come next. */
  readonly isRescan?: boolean;
  /** The command only looks: coinjoins and payments of earlier runs are not continued. */
  readonly dryRun?: boolean;
  readonly mainnetIAcceptTheRisk?: boolean;
}

/** The clock of this machine, in Unix seconds. */
export const unixTime = (): number => Math.floor(Date.now() / 1_000);

/** What every wallet command has. */
export interface Surroundings {
  readonly asker: Asker;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

export interface OpenFolder extends Surroundings {
  readonly store: WalletStore;
}

export interface ReadSession extends OpenFolder {
  readonly wallet: Wallet;
  /** Undefined with `--offline`, and beside a writer unless the command needs it. */
  readonly chain: Chain | undefined;
}

export interface Session extends OpenFolder {
  readonly wallet: Wallet;
  readonly chain: Chain;
  readonly settings: Settings;
}

/** Runs a command: its questions, its signals, its exit codes. */
export function withSurroundings<T>(run: (around: Surroundings) => Promise<T>): Promise<T> {
  // A third of the memory of a large wallet, at the same speed (docs/performance.md, "The wallet").
  smallYoungGeneration();
  return withExitCodes(async () => {
    const stopped = new AbortController();
    const stop = (): void => stopped.abort(new StoppedError('stopped'));
    process.on('SIGINT', stop).on('SIGTERM', stop);
    // The timers of a clock do not keep the process alive.
    const letGo = keepAlive();
    const asker = new TerminalAsker();
    try {
      return await run({ asker, signal: stopped.signal });
    } finally {
      asker.close();
      letGo();
      process.off('SIGINT', stop).off('SIGTERM', stop);
    }
  });
}

export function walletFolder(name: string, datadir: string | undefined): string {
  return join(walletsFolder(resolveDatadir(datadir)), name);
}

/** A wrong name is told before the password is asked for. */
export async function checkExists(folder: string): Promise<void> {
  const exists = await stat(join(folder, WALLET_NAME)).then(
    () => true,
    // The store says what else is wrong.
    (error: unknown) => errorCode(error) !== 'ENOENT',
  );
  if (exists) return;
  const others = await walletNames(dirname(folder));
  const named =
    others.length === 0
      ? `there is no wallet yet: "onionmc wallet create ${shownLine(basename(folder), 64)}" makes one`
      : `there are ${others.join(', ')}`;
  throw new WalletStoreError('missing', `${folder}: no wallet there; ${named}`);
}

/** The names of wallets that an error lists. */
const MOST_NAMES = 10;

async function walletNames(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  return names
    .toSorted()
    .slice(0, MOST_NAMES)
    .map((name) => shownLine(name, 64));
}

export async function openStore(
  folder: string,
  password: string,
  mode: 'read' | 'write',
): Promise<WalletStore> {
  const store = await withProgress('deriving the key from the password', () =>
    openWalletStore(folder, password, { mode }),
  );
  if (store.lostBytes > 0) {
    printNote(
      `note: ${folder}: a crash or a full disk interrupted the last write; its ${store.lostBytes} bytes were moved to journal.cut-N. ` +
        'Nothing that the program had given out is lost',
    );
  }
  return store;
}

/** Opens the folder of a wallet alone: no node, no private key. */
export function withFolder(
  name: string,
  options: FolderOptions,
  mode: 'read' | 'write',
  run: (folder: OpenFolder) => Promise<void>,
): Promise<void> {
  return withSurroundings(async (around) => {
    const folder = walletFolder(name, options.datadir);
    await checkExists(folder);
    const password = await walletPassword(options, around.asker);
    const store = await openStore(folder, password, mode);
    try {
      await run({ ...around, store });
    } finally {
      await store.close();
    }
  });
}

export interface OpenWallet extends Partial<WalletRules> {
  readonly store: WalletStore;
  readonly chain: Chain | undefined;
  readonly mode: 'read' | 'write';
  readonly passphrase?: string | undefined;
  readonly acceptMainnetRisk?: boolean | undefined;
}

export function openWallet(opened: OpenWallet): Promise<Wallet> {
  return withProgress('deriving the addresses', (onProgress) =>
    Wallet.open({
      ...opened,
      unixTime,
      randomBytes: (length) => randomBytes(length),
      onProgress,
    }),
  );
}

/** Throws a `UsageError` for a mixdepth that the wallet does not have. */
export function checkMixdepth(wallet: Wallet, mixdepth: number | undefined): void {
  const { mixdepths } = wallet.secret;
  if (mixdepth === undefined || mixdepth < mixdepths) return;
  throw new UsageError(
    `--mixdepth ${mixdepth}: the wallet has the mixdepths 0 to ${mixdepths - 1}`,
  );
}

/** Reads the chain up to its tip, and says what the user should know. */
export async function syncWallet(wallet: Wallet, signal: AbortSignal): Promise<void> {
  const { notes } = await withProgress('reading the block chain', (onProgress) =>
    wallet.sync({ signal, onProgress }),
  );
  for (const note of notes) printNote(`note: ${note}`);
}

/** To write where possible; undefined while another process writes to the wallet. */
async function openUnlocked(folder: string, password: string): Promise<WalletStore | undefined> {
  try {
    return await openStore(folder, password, 'write');
  } catch (error) {
    if (error instanceof WalletStoreError && error.fault === 'locked') return undefined;
    throw error;
  }
}

/**
 * Opens a wallet to look at it. Beside a running maker it shows what that one has written; otherwise it
 * reads the chain first.
 */
export function readWallet(
  name: string,
  options: ReadOptions,
  run: (session: ReadSession) => void | Promise<void>,
): Promise<void> {
  return withSurroundings(async (around) => {
    const folder = walletFolder(name, options.datadir);
    await checkExists(folder);
    const password = await walletPassword(options, around.asker);
    const { signal } = around;
    const isOffline = options.offline === true;
    const unlocked = isOffline ? undefined : await openUnlocked(folder, password);
    const store = unlocked ?? (await openStore(folder, password, 'read'));
    const mode = unlocked === undefined ? 'read' : 'write';
    let wallet: Wallet | undefined;
    let chain: Chain | undefined;
    try {
      const settings = await settingsFor(store, options);
      const needsChain = mode === 'write' || options.needsChain === true;
      if (needsChain) chain = await chainOf(settings, signal);
      wallet = await openWallet({ store, chain, mode, ...walletRules(settings) });
      if (!isOffline) await syncWallet(wallet, signal);
      if (mode === 'write' && chain !== undefined) {
        await resumeAll({ wallet, chain, settings, signal });
      }
      await run({ ...around, store, wallet, chain });
    } finally {
      await (wallet === undefined ? store.close() : wallet.close());
      await chain?.close();
    }
  });
}

async function settingsFor(store: WalletStore, { datadir }: FolderOptions): Promise<Settings> {
  const { settings } = await peekSettings({ role: 'wallet', datadir });
  for (const notice of ignoredNotices(settings.cfg)) printNote(`note: ${notice}`);
  checkNetwork(store, settings);
  return settings;
}

/** Throws a `UsageError` for a wallet of another network than that of the settings. */
export function checkNetwork(store: WalletStore, settings: Settings): void {
  const network = networkOf(settings);
  if (network === store.secret.network) return;
  throw new UsageError(
    `${store.folder}: this is a wallet of ${store.secret.network}, and ${settings.configFile} has [BLOCKCHAIN] network = ${network}`,
  );
}

/**
 * Opens a wallet to write to it, at the tip of the chain unless the command is a rescan. Asks for the
 * passphrase where the wallet has one and the command needs keys.
 */
export function writeWallet(
  name: string,
  options: WriteOptions,
  run: (session: Session) => Promise<void>,
): Promise<void> {
  return withSurroundings(async (around) => {
    const { asker, signal } = around;
    const folder = walletFolder(name, options.datadir);
    await checkExists(folder);
    const password = await walletPassword(options, asker);
    const store = await openStore(folder, password, 'write');
    let wallet: Wallet | undefined;
    let chain: Chain | undefined;
    try {
      const settings = await settingsFor(store, options);
      const asksPassphrase = store.secret.hasPassphrase && options.isKeyless !== true;
      const passphrase = asksPassphrase ? await walletPassphrase(options, asker) : undefined;
      chain = await chainOf(settings, signal);
      const acceptMainnetRisk = options.mainnetIAcceptTheRisk;
      const rules = walletRules(settings);
      const secrets = { passphrase, acceptMainnetRisk };
      wallet = await openWallet({ store, chain, mode: 'write', ...secrets, ...rules });
      if (options.isRescan !== true) {
        await syncWallet(wallet, signal);
        if (options.dryRun === true) tellOpen(wallet);
        else await resumeAll({ wallet, chain, settings, signal });
      }
      await run({ ...around, store, wallet, chain, settings });
    } finally {
      await (wallet === undefined ? store.close() : wallet.close());
      await chain?.close();
    }
  });
}
