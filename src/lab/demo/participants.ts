/**
 * The participants of the demo: a directory, three makers and a taker, each with its own overlay and
 * nick, as five separate programs would have.
 */
import { randomBytes } from 'node:crypto';
import { bondView } from '../../chain/bond-view.js';
import { openMessageChannel, type OnionMessageChannel } from '../../channel/message-channel.js';
import { silentLog } from '../../channel/log.js';
import { makeOffer, type OfferTerms } from '../../maker/offers.js';
import { WalletMaker } from '../../maker/wallet-maker.js';
import type { CommitmentStore } from '../../negotiation/ports.js';
import { systemClock } from '../../overlay/system-clock.js';
import { formatLocation } from '../../protocol/location.js';
import { createNickKey } from '../../protocol/nick.js';
import { startDirectoryNode, type DirectoryNode } from '../../roles/directory-node.js';
import { startMaker, type Maker } from '../../roles/maker.js';
import { startTaker, type Taker } from '../../roles/taker.js';
import { NETWORK } from './chain.js';
import { unixTime, type DemoMoney, type Purse } from './money.js';
import type { DemoOverlays, Progress } from './overlays.js';

export const MAKERS = 3;
const SATS_PER_MAKER = 50_000_000;

const TERMS: OfferTerms = {
  ordertype: 'reloffer',
  family: 'sw0',
  cjfeeAbsolute: 500,
  cjfeeRelative: 0.00002,
  cjfeeFactor: 0.1,
  txfee: 0,
  txfeeFactor: 0.3,
  minsize: 100_000,
  sizeFactor: 0.1,
};

/** The taker of the demo asks more often than others. */
const REQUEST_LIMITS = { fillsPerNick: 60 } as const;

export interface DemoMaker {
  readonly name: string;
  readonly channel: OnionMessageChannel;
  readonly maker: Maker;
}

export interface Participants {
  readonly directory: DirectoryNode;
  readonly makers: readonly DemoMaker[];
  readonly takerChannel: OnionMessageChannel;
  readonly taker: Taker;
  close(): Promise<void>;
}

/** A promise that rejects as soon as the signal is aborted. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Error('the demo was stopped'));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.finally(() => signal.removeEventListener('abort', abort)).then(resolve, reject);
  });
}

function welcome(channel: OnionMessageChannel): Promise<void> {
  return new Promise((resolve) => channel.once('welcome', () => resolve()));
}

function reachable(channel: OnionMessageChannel): Promise<void> {
  return new Promise((resolve) =>
    channel.on('service-state', ({ state }) => void (state === 'reachable' && resolve())),
  );
}

function reportEvents(name: string, channel: OnionMessageChannel, progress: Progress): void {
  channel.on('served', (location) => progress(name, `serves ${formatLocation(location)}`));
  channel.on('directory-up', ({ nick, tookMs }) =>
    progress(
      name,
      `${channel.nick} shook hands with directory ${nick} in ${Math.round(tookMs)} ms`,
    ),
  );
  channel.on('directory-down', ({ reason, retryInMs }) => {
    // Without a next attempt the channel itself is closing.
    if (retryInMs !== undefined) progress(name, `lost the directory: ${reason}`);
  });
  channel.on('direct-up', ({ nick }) => progress(name, `has a direct link with ${nick}`));
}

/** Used commitments, for as long as the demo runs. */
function commitmentsInMemory(): CommitmentStore {
  const used = new Set<string>();
  return {
    get size() {
      return used.size;
    },
    has: (commitment) => used.has(commitment),
    async add(commitment) {
      const isNew = !used.has(commitment);
      used.add(commitment);
      return isNew;
    },
  };
}

/** A maker that follows the chain and takes part in coinjoins; `stop` ends both. */
function startFundedMaker(
  channel: OnionMessageChannel,
  { wallet, bond }: Purse,
  { chain: { chain } }: DemoMoney,
): { readonly maker: Maker; readonly stop: () => Promise<void> } {
  const coins = new WalletMaker({ wallet, chain, log: silentLog, unixTime });
  const stopping = new AbortController();
  const following = coins.follow({
    signal: stopping.signal,
    clock: systemClock,
    onChange: () => {},
    onFault: () => {},
  });
  const most = Math.max(...coins.funds().map(({ available }) => available));
  const maker = startMaker({
    channel,
    offers: [makeOffer(TERMS, most, Math.random)],
    clock: systemClock,
    log: silentLog,
    requestLimits: REQUEST_LIMITS,
    ...(bond && { bond: { bond } }),
    blacklist: { store: commitmentsInMemory() },
    coinjoins: { network: NETWORK, wallet: coins, chain },
  });
  return {
    maker,
    async stop() {
      maker.stop();
      stopping.abort();
      await following;
      await coins.idle();
    },
  };
}

/** A maker without a wallet: it refuses every coinjoin. */
function startPoorMaker(
  channel: OnionMessageChannel,
  number: number,
): { readonly maker: Maker; readonly stop: () => Promise<void> } {
  const offers = [makeOffer(TERMS, SATS_PER_MAKER * number, Math.random)];
  const maker = startMaker({ channel, offers, clock: systemClock, log: silentLog });
  return {
    maker,
    async stop() {
      maker.stop();
    },
  };
}

/**
 * Starts all participants, with the wallets of `money` where there is one. Rejects when the signal is aborted or Tor fails; everything started here is
 * closed then.
 */
export async function startParticipants(
  overlays: DemoOverlays,
  signal: AbortSignal,
  progress: Progress,
  money?: DemoMoney,
): Promise<Participants> {
  const closers: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (let last = closers.pop(); last !== undefined; last = closers.pop()) {
      // In order: peers before the directory they talk to.
      // oxlint-disable-next-line no-await-in-loop
      await last();
    }
  };
  try {
    const directory = await startDirectoryNode({
      network: NETWORK,
      overlay: await overlays.overlayFor('directory'),
      motd: 'Welcome to the demo of onionmc',
      signal,
      onState: (s) =>
        progress('directory', s.state === 'reachable' ? 'is reachable' : `${s.state}: ${s.detail}`),
    });
    closers.push(() => directory.close());
    progress('directory', `${directory.nick} at ${formatLocation(directory.location)}`);
    await orAborted(directory.reachable, signal);

    const open = async (peer: 'maker' | 'taker'): Promise<OnionMessageChannel> => {
      const channel = openMessageChannel({
        network: NETWORK,
        directories: [directory.location],
        overlay: await overlays.overlayFor(peer),
        nickKey: createNickKey(randomBytes),
        serve: peer === 'maker',
        clock: systemClock,
        random: Math.random,
        log: silentLog,
      });
      closers.push(() => channel.close());
      return channel;
    };
    const addMaker = async (number: number): Promise<DemoMaker> => {
      const name = `maker ${number}`;
      const channel = await open('maker');
      reportEvents(name, channel, progress);
      const purse = money?.makers[number - 1];
      const { maker, stop } =
        money === undefined || purse === undefined
          ? startPoorMaker(channel, number)
          : startFundedMaker(channel, purse, money);
      closers.push(stop);
      await orAborted(Promise.all([welcome(channel), reachable(channel)]), signal);
      return { name, channel, maker };
    };
    const makers = await Promise.all(Array.from({ length: MAKERS }, (_, i) => addMaker(i + 1)));

    const takerChannel = await open('taker');
    reportEvents('taker', takerChannel, progress);
    const taker = startTaker({
      channel: takerChannel,
      clock: systemClock,
      log: silentLog,
      ...(money && { chain: bondView(money.chain.chain) }),
    });
    closers.push(() => taker.stop());
    await orAborted(welcome(takerChannel), signal);
    return { directory, makers, takerChannel, taker, close };
  } catch (error) {
    await close();
    throw error;
  }
}
