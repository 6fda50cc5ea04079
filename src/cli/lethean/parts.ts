/** Puts a client together from its settings. */
import { silentLog, type Log } from '../../channel/log.js';
import { formatAmount } from '../../lethean/amount.js';
import { LetheanClient, type LetheanFolders } from '../../lethean/client.js';
import type { LetheanSettings } from '../../lethean/config/settings.js';
import { needed } from '../../lethean/config/settings.js';
import { OrderBook } from '../../lethean/payment/order-book.js';
import { WalletPayer } from '../../lethean/payment/payer.js';
import { WalletRpc } from '../../lethean/payment/wallet-rpc.js';
import { Wallet } from '../../lethean/payment/wallet.js';
import type { SettingView } from '../../lethean/page/desk.js';
import { walletView, type WalletView } from '../../lethean/page/views.js';
import { OPTION_NAMES, OPTIONS, type OptionName } from '../../lethean/config/options.js';
import type { SessionSettings } from '../../lethean/session/settings.js';
import { createLog, type ProgramLog } from '../../ops/log.js';
import { systemClock } from '../../overlay/system-clock.js';
import { transportsOf } from './transport-settings.js';

export const secondsNow = (): number => Math.floor(Date.now() / 1_000);

/** The log of a command that runs on. */
export function logOf({ values }: LetheanSettings): ProgramLog {
  return createLog({ level: needed(values, 'log-level'), color: false });
}

export interface OpenWallet {
  readonly wallet: Wallet;
  readonly rpc: WalletRpc;
}

/** The connection to the wallet RPC opens with the first call. `rpc.close` ends it. */
export function walletOf({ wallet }: LetheanSettings): OpenWallet {
  const { url, credentials, name, password, address } = wallet;
  const rpc = new WalletRpc({ url, credentials, clock: systemClock });
  return { rpc, wallet: new Wallet({ rpc, name, password, address }) };
}

export function payerOf(settings: LetheanSettings, wallet: Wallet, log: Log): WalletPayer {
  return new WalletPayer({
    wallet,
    book: new OrderBook(settings.paymentsFile),
    limits: settings.limits,
    clock: systemClock,
    log,
    now: secondsNow,
  });
}

function sessionSettings({ values, blocks }: LetheanSettings): Partial<SessionSettings> {
  return {
    confirmations: blocks,
    defaultPayDays: needed(values, 'default-pay-days'),
    autoPayDays: needed(values, 'auto-pay-days'),
    freeSessionDays: needed(values, 'free-session-days'),
    unpaidExpiry: needed(values, 'unpaid-expiry'),
    autoReconnect: needed(values, 'auto-reconnect'),
  };
}

/** The folders of section 3.4. */
export function foldersOf({ values }: LetheanSettings): LetheanFolders {
  return {
    providers: needed(values, 'providers-dir'),
    myProviders: needed(values, 'my-providers-dir'),
    spaces: needed(values, 'spaces-dir'),
    gates: needed(values, 'gates-dir'),
    sessions: needed(values, 'sessions-dir'),
  };
}

/** Rejects with a LockedError while another command has the sessions. */
export function openClient(
  settings: LetheanSettings,
  wallet: Wallet,
  log: Log = silentLog,
): Promise<LetheanClient> {
  const { values } = settings;
  return LetheanClient.open({
    folders: foldersOf(settings),
    payer: payerOf(settings, wallet, log),
    ...transportsOf(settings, log),
    settings: sessionSettings(settings),
    sdpUrl: needed(values, 'sdp-url').href,
    clock: systemClock,
    log,
  });
}

/** Balance, height and history now. Rejects with a WalletError. */
export async function lookAtWallet(wallet: Wallet, signal: AbortSignal): Promise<WalletView> {
  const address = await wallet.address(signal);
  await wallet.refresh(signal);
  const balance = await wallet.balance(signal);
  const height = await wallet.height(signal);
  const transfers = await wallet.transfers(signal);
  return walletView({ name: wallet.name, address, height, balance, transfers });
}

function shownValue(name: OptionName, value: unknown): string {
  if (value === undefined || value === '') return '';
  if ('isSecret' in OPTIONS[name]) return 'set';
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (value instanceof URL) return value.href;
  if (Array.isArray(value)) {
    return value
      .map(
        (each: { readonly gate: string; readonly value: string }) => `${each.gate},${each.value}`,
      )
      .join(' ');
  }
  if (typeof value === 'bigint') return formatAmount(value);
  return typeof value === 'number' ? value.toString() : typeof value === 'string' ? value : '';
}

/** The settings for people; no secret is among them. */
export function settingViews({ values, levels }: LetheanSettings): readonly SettingView[] {
  return OPTION_NAMES.map((name) => ({
    name,
    value: shownValue(name, values[name]),
    level: levels[name],
    about: OPTIONS[name].about,
  }));
}
