/** Coinjoins as calls: a taker and a maker with a wallet, with the defaults of the settings. */
import { randomBytes } from 'node:crypto';
import { commitmentListPath, yieldStatementPath } from '../config/data-files.js';
import { silentLog, type Log } from '../channel/log.js';
import { openChannels } from '../channel/channel-set.js';
import { createCommitmentRelay } from '../negotiation/maker/commitment-relay.js';
import { WalletMaker } from '../maker/wallet-maker.js';
import type { MakerStatus, OnMakerOutcome } from '../maker/api.js';
import type { MakerOutcome } from '../negotiation/maker/api.js';
import { openCommitmentFile } from '../ops/commitment-file.js';
import { openOverlay } from '../overlay/factory/open-overlays.js';
import { systemClock } from '../overlay/system-clock.js';
import { createNickKey } from '../protocol/nick.js';
import type { CoinjoinOutcome, CoinjoinPlan } from '../taker/api.js';
import { resumeCoinjoins } from '../taker/resume.js';
import { chosenDirectories, directoriesNow, openChoice } from './directories/from-settings.js';
import { announceCommitment } from './announce-commitment.js';
import type { CoinjoinRunOptions } from './coinjoin.js';
import { coinjoinRequest, type CoinjoinWish } from './coinjoin-request.js';
import { useFastCurves } from './fast-curves.js';
import {
  blacklistOptions,
  bondPolicy,
  makerPolicy,
  offerTerms,
  requestLimits,
  sessionLimits,
} from './negotiation-settings.js';
import { partsOf, unixTime, type OpenedWallet } from './opened-wallet.js';
import { openTakerNetwork } from './taker-network.js';
import { startWalletMaker } from './wallet-maker.js';
import { YieldStatement } from './yield-statement-file.js';

/** What a role with a wallet needs. */
export interface WalletRoleOptions {
  /** Of `openWallet`. The caller closes it after the role. */
  readonly wallet: OpenedWallet;
  /** Receives the log lines. */
  readonly log?: Log;
  /** Aborts the start. */
  readonly signal?: AbortSignal | undefined;
}

/** A taker with a wallet. */
export interface WalletTakerRole {
  /** Nick of this taker. */
  readonly nick: string;
  /** Number of makers in the orderbook now. */
  readonly makers: number;
  /**
   * Collects offers: resolves after so many milliseconds with a connected directory. Rejects with the
   * signal's reason.
   */
  collect(ms: number, signal?: AbortSignal): Promise<void>;
  /** What a coinjoin would do. Nothing is written, and no maker is asked. */
  plan(wish: CoinjoinWish, signal?: AbortSignal): Promise<CoinjoinPlan>;
  /** Runs a plan without an obstacle. Always resolves; it never costs more than the plan's worst case. */
  run(plan: CoinjoinPlan, options?: CoinjoinRunOptions): Promise<CoinjoinOutcome>;
  /** Leaves the network. */
  close(): Promise<void>;
}

const never = new AbortController().signal;

/**
 * Continues coinjoins of earlier runs, connects under a fresh nick and begins to collect offers. Rejects with a
 * ChainError, or the error of the overlay.
 */
export async function openWalletTaker(options: WalletRoleOptions): Promise<WalletTakerRole> {
  const { log = silentLog, signal = never } = options;
  const { wallet, chain, settings } = partsOf(options.wallet);
  await resumeCoinjoins(wallet, chain, signal);
  const network = await openTakerNetwork({ wallet, chain, settings, log, unixTime, signal });
  const { taker, channel } = network;
  const isUp = (): boolean => channel.directories().some(({ state }) => state === 'up');
  return {
    nick: channel.nick,
    get makers() {
      return taker.book.makers;
    },
    async collect(ms, abort = never) {
      await new Promise<void>((resolve, reject) => {
        const stop = (): void => {
          abort.removeEventListener('abort', stop);
          channel.off('directory-up', begin);
          cancel?.();
          if (abort.aborted) reject(abort.reason);
          else resolve();
        };
        let cancel: (() => void) | undefined;
        const begin = (): void => {
          channel.off('directory-up', begin);
          taker.book.refresh();
          cancel = systemClock.after(ms, stop);
        };
        abort.addEventListener('abort', stop, { once: true });
        if (abort.aborted) stop();
        else if (isUp()) begin();
        else channel.on('directory-up', begin);
      });
    },
    plan: (wish, abort) =>
      taker.plan(coinjoinRequest(wish, settings, wallet.network, Math.random), abort),
    run: (plan, run) => taker.run(plan, run),
    close: () => network.close(),
  };
}

/** The options of a maker with a wallet. */
export interface WalletMakerOptions extends WalletRoleOptions {
  /**
   * Called when our signatures were sent, with `pushed` false. `onOutcome` follows after the taker's `push`, or
   * 5 minutes later when there is none: most takers broadcast by themselves.
   */
  readonly onSigned?: (
    taker: string,
    outcome: MakerOutcome & { readonly result: 'signed' },
  ) => void;
  /** Called for every negotiation that ended. */
  readonly onOutcome?: OnMakerOutcome;
}

/** A maker with a wallet. */
export interface RunningWalletMaker {
  /** Everything that it shows. */
  status(): MakerStatus;
  /** Calls the listener after the status changed; returns a function that removes it. */
  onChange(listener: () => void): () => void;
  /** Resolves when its first location is served. */
  readonly ready: Promise<void>;
  /** Ends negotiations, leaves, and resolves when nothing uses the wallet any more. */
  stop(): Promise<void>;
}

/**
 * Starts a maker with the offers of `[YIELDGENERATOR]`. It changes nick and location whenever its coins
 * change. Rejects with an OfferTermsError, or the error of the overlay; nothing stays open then.
 */
export async function serveWalletMaker(options: WalletMakerOptions): Promise<RunningWalletMaker> {
  const { log = silentLog, signal = never, onSigned, onOutcome } = options;
  const { wallet, chain, settings } = partsOf(options.wallet);
  useFastCurves();
  const tools = { clock: systemClock, random: Math.random, log };
  const closers: (() => void | Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const each of closers.splice(0).toReversed()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await each();
    }
  };
  try {
    const commitments = await openCommitmentFile(commitmentListPath(settings));
    closers.push(() => commitments.close());
    const statement = await YieldStatement.open(yieldStatementPath(settings.datadir), log);
    closers.push(() => statement.close());
    const opened = await openOverlay({
      settings,
      serves: true,
      severalLocations: true,
      ...tools,
      signal,
    });
    closers.push(() => opened.close());
    signal.throwIfAborted();
    const { overlay } = opened;
    const choice = await openChoice({ settings, overlay, ...tools });
    if (choice) closers.push(() => choice.close());
    const named = {
      network: settings.network,
      directoryCodes: settings.admission.directoryCodes,
      overlay,
    };
    const relay = createCommitmentRelay({
      announce: (commitment, abort) =>
        announceCommitment(commitment, abort, {
          ...named,
          directories: directoriesNow(settings, choice),
          ...tools,
          randomBytes,
        }),
      ...tools,
    });
    closers.push(() => relay.close());
    const policy = makerPolicy(settings);
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
      terms: offerTerms(settings, wallet.secret.kind === 'native' ? 'sw0' : 'sw'),
      openChannel() {
        const chosen = chosenDirectories(settings, choice, true);
        const channel = openChannels({
          ...named,
          ...chosen.options,
          newNickKey: () => createNickKey(randomBytes),
          sameNick: settings.onion.lokinet?.sameNick ?? false,
          serve: true,
          ...tools,
        });
        chosen.follow(channel);
        return channel;
      },
      blacklist: blacklistOptions(settings, { store: commitments, relay }),
      requestLimits: requestLimits(settings),
      policy,
      limits: sessionLimits(settings),
      bondPolicy: bondPolicy(settings),
      ...(onSigned && { onSigned }),
      ...(onOutcome && { onOutcome }),
      statement,
      unixTime,
      ...tools,
    });
    return {
      status: () => role.status(),
      onChange: (listener) => role.onChange(listener),
      ready: role.ready,
      async stop() {
        await role.stop();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
