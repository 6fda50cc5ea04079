/** A wallet that a program opens by its name: settings, node and folder together, without a terminal. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { silentLog, type Log } from '../channel/log.js';
import type { Chain } from '../chain/ports.js';
import { walletsFolder } from '../config/data-files.js';
import { peekSettings, type Settings } from '../config/settings.js';
import { walletRules } from '../config/wallet-rules.js';
import { systemClock } from '../overlay/system-clock.js';
import { openWalletStore } from '../wallet/store/store.js';
import { Wallet } from '../wallet/wallet.js';
import { openChain } from './open-chain.js';

/** Which wallet, and its secrets. */
export interface OpenWalletOptions {
  /** Name of the wallet: its folder in `wallets` of the data directory. */
  readonly name: string;
  /** The password of the wallet. */
  readonly password: string;
  /** The passphrase of its seed words, if it has one. */
  readonly passphrase?: string | undefined;
  /** Data directory. Default `~/.joinmarket`. */
  readonly datadir?: string | undefined;
  /** Whether a wallet of mainnet may spend. Default false. */
  readonly acceptMainnetRisk?: boolean;
  /** Aborts the opening. */
  readonly signal?: AbortSignal | undefined;
  /** Told when the node starts or is gone. */
  readonly log?: Log;
}

/** What a mixdepth holds, in satoshi. */
export interface MixdepthBalance {
  /** Its number, from 0. */
  readonly mixdepth: number;
  /** Satoshi of all its coins. */
  readonly balance: number;
  /** Satoshi that can be spent now. */
  readonly available: number;
}

/** An open wallet. No other program writes to it until `close`. */
export interface OpenedWallet {
  /** The settings of the data directory. */
  readonly settings: Settings;
  /** Reads the chain up to its tip. Rejects when the node does not answer. */
  sync(signal?: AbortSignal): Promise<void>;
  /** Hands out a deposit address that was not used before. */
  depositAddress(mixdepth?: number): Promise<string>;
  /** The sums of each mixdepth, as of the last `sync`. */
  balances(): readonly MixdepthBalance[];
  /** Closes the wallet and the connection to the node. */
  close(): Promise<void>;
}

/** The parts behind an opened wallet, for the roles that use it. */
export interface WalletParts {
  readonly wallet: Wallet;
  readonly chain: Chain;
  readonly settings: Settings;
}

const PARTS = new WeakMap<OpenedWallet, WalletParts>();

/** @internal The parts of a wallet that `openWallet` opened. Throws a TypeError for any other. */
export function partsOf(wallet: OpenedWallet): WalletParts {
  const parts = PARTS.get(wallet);
  if (parts === undefined) throw new TypeError('not a wallet that openWallet has opened');
  return parts;
}

/** @internal */
export const unixTime = (): number => Math.floor(Date.now() / 1_000);

const never = new AbortController().signal;

/**
 * Opens a wallet that exists, and reads the chain up to its tip. Rejects with a ConfigError, a
 * WalletStoreError (no such wallet, wrong password, another program has it), a WalletError (passphrase) or a
 * ChainError (the node). Nothing stays open then.
 */
export async function openWallet(options: OpenWalletOptions): Promise<OpenedWallet> {
  const { name, password, passphrase, datadir, acceptMainnetRisk, signal = never } = options;
  const { log = silentLog } = options;
  const { settings } = await peekSettings({ role: 'taker', datadir });
  const folder = join(walletsFolder(settings.datadir), name);
  const store = await openWalletStore(folder, password, { mode: 'write' });
  let chain: Chain | undefined;
  let wallet: Wallet | undefined;
  try {
    chain = await openChain({ settings, clock: systemClock, log, signal });
    if (chain === undefined) {
      throw new RangeError(
        `${settings.configFile}: a wallet needs a bitcoin node: set bitcoin-rpc`,
      );
    }
    wallet = await Wallet.open({
      store,
      chain,
      mode: 'write',
      passphrase,
      acceptMainnetRisk,
      ...walletRules(settings),
      unixTime,
      randomBytes: (length) => randomBytes(length),
    });
    await wallet.sync({ signal });
    return opened({ wallet, chain, settings });
  } catch (error) {
    await (wallet === undefined ? store.close() : wallet.close());
    await chain?.close();
    throw error;
  }
}

function opened(parts: WalletParts): OpenedWallet {
  const { wallet, chain, settings } = parts;
  const result: OpenedWallet = {
    settings,
    sync: async (signal = never) => void (await wallet.sync({ signal })),
    async depositAddress(mixdepth = 0) {
      const { address } = await wallet.handOut({ mixdepth, purpose: 'deposit' });
      return address;
    },
    balances: () =>
      wallet.summary().mixdepths.map(({ mixdepth, balance, available }) => {
        return { mixdepth, balance, available };
      }),
    async close() {
      await wallet.close();
      await chain.close();
    },
  };
  PARTS.set(result, parts);
  return result;
}
