/**
 * The steps of the demo: offers arrive, a private message goes through the directory, the next one over
 * a direct onion link, and so on until it is stopped.
 */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Route } from '../../channel/message-channel.js';
import type { Answer, Taker } from '../../roles/taker.js';
import { showCoinjoin, type DemoCoinjoin } from './coinjoin.js';
import type { DemoChain } from './chain.js';
import { openMoney, type DemoMoney } from './money.js';
import { LLARP_WARNING, startLlarpOverlays } from './llarp-overlays.js';
import {
  startLoopbackOverlays,
  startTorOverlays,
  type DemoOverlays,
  type Progress,
} from './overlays.js';
import type { Screen } from './screen.js';
import { MAKERS, startParticipants, type DemoMaker, type Participants } from './participants.js';

/** The networks that the demo can run on. */
export const DEMO_NETWORKS = ['tor', 'loopback', 'llarp'] as const;
export type DemoNetwork = (typeof DEMO_NETWORKS)[number];

const HEADINGS: Readonly<Record<DemoNetwork, string>> = {
  tor: 'A private Tor network on this machine',
  loopback: 'Loopback sockets, no Tor',
  llarp: `LLARP v0, ${LLARP_WARNING}`,
};

export interface DemoMessage {
  readonly maker: string;
  readonly sentBy: Route['kind'];
  readonly answeredBy: Route['kind'];
  readonly rttMs: number;
  /** Since the start of the demo. */
  readonly atMs: number;
}

export interface DemoResult {
  readonly network: DemoNetwork;
  readonly offers: number;
  readonly messages: readonly DemoMessage[];
  /** From the start to the first answer through the directory, and to the first over a direct link. */
  readonly firstRelayedMs: number | undefined;
  readonly firstDirectMs: number | undefined;
  /** The chain: of a bitcoind on regtest, or in memory. Undefined when it ended before it had one. */
  readonly chain: DemoChain['kind'] | undefined;
  /** Undefined when the demo ended before it was complete. */
  readonly coinjoin: DemoCoinjoin | undefined;
}

export interface DemoOptions {
  readonly network: DemoNetwork;
  readonly screen: Screen;
  /** Ends the demo, also during its start. */
  readonly signal: AbortSignal;
  /** The coinjoin is complete, and the screen shows it. */
  readonly onCoinjoin?: () => void;
}

const ANSWER_TIMEOUT_MS = 30_000;
const NEXT_MESSAGE_MS = 3_000;

const ROUTE_TEXT = { directory: 'by the directory', direct: 'over the direct link' } as const;

/** No maker has an offer with this number: it answers with an error. */
const NO_OFFER = 99;

/** The arguments of a `!fill` that no maker takes. */
function someFill(): string {
  return `${NO_OFFER} 100000 ${randomBytes(32).toString('hex')} P${randomBytes(32).toString('hex')}`;
}

/** Resolves when the book has an offer of each maker, signed by it. */
export function allOffers(taker: Taker, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const check = (): void => {
      const signed = taker.book.offers().filter((offer) => offer.verified);
      if (signed.length < MAKERS) return;
      taker.events.off('change', check);
      resolve();
    };
    signal.addEventListener('abort', () => reject(new Error('stopped before all offers came')), {
      once: true,
    });
    taker.events.on('change', check);
    check();
  });
}

/** Resolves after `ms` milliseconds, or at once when the signal is aborted. */
function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    // A plain timer, because it must keep the process alive.
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}

function startOverlays(
  network: DemoNetwork,
  signal: AbortSignal,
  progress: Progress,
): Promise<DemoOverlays> {
  switch (network) {
    case 'tor':
      return startTorOverlays(signal, progress);
    case 'loopback':
      return startLoopbackOverlays();
    case 'llarp':
      return startLlarpOverlays(progress);
  }
}

/** The network, and the chain with its wallets meanwhile. When one of them fails, nothing is left of the other. */
async function openParts({
  network,
  screen,
  signal,
}: DemoOptions): Promise<{ readonly overlays: DemoOverlays; readonly money: DemoMoney }> {
  const failing = new AbortController();
  const either = AbortSignal.any([signal, failing.signal]);
  const stopOther = <T>(part: Promise<T>): Promise<T> =>
    part.catch((error: unknown) => {
      failing.abort();
      throw error;
    });
  const [overlays, money] = await Promise.allSettled([
    stopOther(startOverlays(network, either, screen.say)),
    stopOther(openMoney(MAKERS, either, screen.say)),
  ]);
  if (overlays.status === 'fulfilled' && money.status === 'fulfilled') {
    return { overlays: overlays.value, money: money.value };
  }
  if (overlays.status === 'fulfilled') await overlays.value.close();
  if (money.status === 'fulfilled') await money.value.close();
  // The one that failed first stopped the other one.
  const first = [overlays, money].flatMap((part) =>
    part.status === 'rejected' && !isAbort(part.reason) ? [part.reason] : [],
  )[0];
  throw first ?? new Error('the demo was stopped');
}

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';

/** Runs the demo until the signal ends it. Rejects with the error that made it impossible. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { network, screen, signal } = options;
  const began = performance.now();
  const elapsed = (): number => performance.now() - began;
  const messages: DemoMessage[] = [];
  let offers = 0;
  let coinjoin: DemoCoinjoin | undefined;

  async function talk({ name, channel }: DemoMaker, taker: Taker): Promise<void> {
    const answer: Answer = await taker.ask(channel.nick, 'fill', someFill(), ANSWER_TIMEOUT_MS);
    const sentBy = answer.sentBy.kind;
    const answeredBy = answer.route.kind;
    messages.push({ maker: name, sentBy, answeredBy, rttMs: answer.rttMs, atMs: elapsed() });
    const ways =
      sentBy === answeredBy
        ? `both ways ${ROUTE_TEXT[sentBy]}`
        : `there ${ROUTE_TEXT[sentBy]}, back ${ROUTE_TEXT[answeredBy]}`;
    const word = answer.commands[0].name;
    screen.say(
      'taker',
      `asked ${name} !fill, got !${word}: ${ways}, ${answer.rttMs.toFixed(1)} ms`,
    );
  }

  async function play(participants: Participants, money: DemoMoney): Promise<void> {
    const { taker, takerChannel, makers } = participants;
    // An open question must end together with the demo.
    signal.addEventListener('abort', () => taker.stop(), { once: true });
    screen.heading('Offers arrive');
    await allOffers(taker, signal);
    offers = taker.book.offers().length;
    const nameOf = new Map(makers.map(({ name, channel }) => [channel.nick, name]));
    screen.table([
      ['maker', 'nick', 'type', 'smallest', 'largest', 'fee', 'proof'],
      ...taker.book
        .offers()
        .map((o) => [
          nameOf.get(o.maker) ?? '?',
          o.maker,
          o.type,
          String(o.minsize),
          String(o.maxsize),
          o.cjfee,
          o.verified ? 'signed' : 'unsigned',
        ]),
    ]);

    screen.heading('Private messages');
    const [first] = makers;
    if (first === undefined) throw new Error('the demo has no maker');
    await talk(first, taker);
    if (!(await takerChannel.connectTo(first.channel.nick))) {
      throw new Error('no direct link could be opened to the first maker');
    }
    await talk(first, taker);

    coinjoin = await showCoinjoin(participants, money, screen, signal);
    options.onCoinjoin?.();

    screen.heading('Further messages, until it is stopped');
    for (let next = 1; !signal.aborted; next++) {
      // One after the other: a story, not a load.
      // oxlint-disable-next-line no-await-in-loop
      await pauseFor(NEXT_MESSAGE_MS, signal);
      const maker = makers[next % makers.length];
      // oxlint-disable-next-line no-await-in-loop
      if (!signal.aborted && maker !== undefined) await talk(maker, taker);
    }
  }

  screen.heading(HEADINGS[network]);
  const { overlays, money } = await openParts(options);
  try {
    const participants = await startParticipants(overlays, signal, screen.say, money);
    try {
      await play(participants, money);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await participants.close();
    }
  } finally {
    await Promise.all([overlays.close(), money.close()]);
  }
  const firstBy = (kind: Route['kind']): number | undefined =>
    messages.find((m) => m.sentBy === kind && m.answeredBy === kind)?.atMs;
  return {
    network,
    offers,
    messages,
    firstRelayedMs: firstBy('directory'),
    firstDirectMs: firstBy('direct'),
    chain: money.chain.kind,
    coinjoin,
  };
}
