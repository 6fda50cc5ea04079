/**
 * One life of a taker's program: a round that is stopped after `fill`, then a coinjoin that its own node sends.
 * The test kills the program between any two of its effects, and compares what the next program finds with the
 * chain and with what makers saw.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { addressOf, addressScript } from '../../../src/bitcoin/address.js';
import { parseTransaction } from '../../../src/bitcoin/transaction.js';
import type { MemoryChain } from '../../../src/chain/memory.js';
import { silentLog } from '../../../src/channel/log.js';
import { DEFAULT_MAKER_POLICY } from '../../../src/negotiation/maker/api.js';
import {
  createRequestLimiter,
  DEFAULT_REQUEST_LIMITS,
} from '../../../src/negotiation/maker/request-limits.js';
import { MakerSessions } from '../../../src/negotiation/maker/sessions.js';
import type { MakerWallet } from '../../../src/negotiation/ports.js';
import type { NegotiationChannel } from '../../../src/negotiation/resender.js';
import { formatOutpoint } from '../../../src/protocol/outpoint.js';
import { TakerCommitmentsFile } from '../../../src/taker/commitments-file.js';
import { TakerCommitments } from '../../../src/taker/commitments.js';
import { planCoinjoin } from '../../../src/taker/plan.js';
import { resumeCoinjoins } from '../../../src/taker/resume.js';
import { runTakerCoinjoin, type RunOptions } from '../../../src/taker/run.js';
import {
  createMakerWallet,
  createMemoryCommitments,
  scriptOf,
  secretOf,
} from '../../helpers/coinjoin-world.js';
import { createMessageExchange, type MessageExchange } from '../../helpers/message-exchange.js';
import { OFFER, POLICY, REQUEST } from '../../helpers/taker-world.js';
import { createTestClock } from '../../helpers/test-clock.js';
import { openWallet, spiedChain, startChain, sync, type Place } from '../../wallet/crash/life.js';

/** What has left the program, one after the other. */
export type Seen =
  | { readonly kind: 'fill'; readonly commitment: string }
  | { readonly kind: 'auth' | 'tx' | 'push' }
  | { readonly kind: 'sent'; readonly bytes: string };

/** Satoshi and coins that the wallet of `start` has; each coin has three proofs. */
const TOTAL = 6_000_000;
const COINS = 3;
const MAKERS = ['J5maker0', 'J5maker1'] as const;

/** The effects of a program beside those of its files. */
export interface Effects {
  outside<T>(what: string, run: () => Promise<T>): Promise<T>;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const moved = (address: string): string =>
  addressOf(addressScript('signet', address) ?? '', 'regtest') ?? '';

/** Addresses of the network of the chain. */
function onRegtest(wallet: MakerWallet): MakerWallet {
  return {
    ...wallet,
    async reserve(request, signal) {
      const made = await wallet.reserve(request, signal);
      return (
        made && {
          ...made,
          coinjoinAddress: moved(made.coinjoinAddress),
          changeAddress: moved(made.changeAddress),
        }
      );
    },
  };
}

function makersOn(chain: MemoryChain, office: MessageExchange): void {
  for (const nick of MAKERS) {
    const secret = secretOf(`${nick} coin`);
    const script = scriptOf(secret);
    const { txid, vout } = chain.pay(script, 3_000_000);
    const channel = office.open(nick);
    const clock = createTestClock();
    const sessions = new MakerSessions({
      channel,
      network: 'regtest',
      offers: [OFFER],
      wallet: onRegtest(
        createMakerWallet(nick, [{ txid, vout, script, value: 3_000_000, secret }]),
      ),
      chain,
      commitments: createMemoryCommitments(),
      policy: DEFAULT_MAKER_POLICY,
      limits: { unproven: 5, proven: 5 },
      limiter: createRequestLimiter(clock, DEFAULT_REQUEST_LIMITS),
      clock,
      randomBytes,
      log: silentLog,
    });
    channel.on('privmsg', (message) => sessions.receive(message));
  }
  chain.mine(6);
}

/** The channel of the taker; everything that it sends has left the program. */
function takerChannel(office: MessageExchange, see: (it: Seen) => void): NegotiationChannel {
  const channel = office.open('J5taker');
  return {
    on: channel.on,
    off: channel.off,
    send(to, command, args) {
      if (command === 'fill') {
        see({ kind: 'fill', commitment: args.split(' ').at(-1)?.slice(1) ?? '' });
      } else if (command === 'auth' || command === 'tx' || command === 'push') {
        see({ kind: command });
      }
      return channel.send(to, command, args);
    },
  };
}

/** Delivers messages until the work has ended. */
async function delivering<T>(office: MessageExchange, work: Promise<T>): Promise<T> {
  const ended: unknown[] = [];
  void work.then(
    () => ended.push(true),
    () => ended.push(true),
  );
  while (ended.length === 0) {
    for (const mail of office.pending.splice(0)) office.deliver(mail);
    // oxlint-disable-next-line no-await-in-loop -- one turn after the other
    await nextTurn();
  }
  return work;
}

/** One life: it ends where the program is killed. */
export async function takerLife(
  place: Pick<Place, 'files' | 'base'>,
  paid: readonly string[],
  commitmentsPath: string,
  effects: Effects,
  see: (it: Seen) => void,
): Promise<void> {
  const office = createMessageExchange();
  const memory = startChain(paid);
  makersOn(memory, office);
  const chain = spiedChain(
    memory,
    (what, run) => effects.outside(what, run),
    (it) => {
      if (it.kind === 'sent') see(it);
    },
  );
  const wallet = await openWallet({ ...place, chain });
  await sync(wallet);
  const file = await TakerCommitmentsFile.open(commitmentsPath);
  const add = file.add.bind(file);
  Object.assign(file, {
    add: (commitment: string) => effects.outside('commitments.json', () => add(commitment)),
  });
  const options: Omit<RunOptions, 'signal'> = {
    wallet,
    chain,
    commitments: new TakerCommitments({ wallet, chain, file }),
    policy: POLICY,
    candidates: MAKERS.map((nick) => ({ nick, offer: OFFER })),
    randomBytes,
    channel: takerChannel(office, see),
    clock: createTestClock(),
    log: silentLog,
  };
  const plan = await planCoinjoin({ ...REQUEST, makers: 2 }, options);
  const stop = new AbortController();
  const first = await runTakerCoinjoin(plan, {
    ...options,
    signal: stop.signal,
    onEvent: (event) => {
      if (event.kind === 'phase' && event.makers.size === 2) stop.abort();
    },
  });
  if (first.ok || first.fault !== 'stopped') throw new Error('the first round was not stopped');
  office.pending.splice(0);
  const second = await delivering(office, runTakerCoinjoin(plan, options));
  if (!second.ok) throw new Error(`${second.fault}: ${second.detail}`);
  await wallet.close();
}

/** What the wallet has after a transaction, by its inputs and outputs. */
function totalAfter(
  bytes: Uint8Array,
  own: ReadonlyMap<string, number>,
  isOwn: (script: string) => boolean,
): number {
  const parsed = parseTransaction(bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  const spent = parsed.value.inputs.reduce(
    (sum, it) => sum + (own.get(formatOutpoint(it)) ?? 0),
    0,
  );
  const back = parsed.value.outputs.reduce(
    (sum, { script, value }) => sum + (isOwn(script) ? value : 0),
    0,
  );
  return TOTAL - spent + back;
}

/**
 * Everything that is wrong in the next program, after makers saw this.
 * @param isClaiming the program was killed between storing a proof as used and sending it
 */
export async function takerFaults(
  place: Pick<Place, 'files' | 'base'>,
  paid: readonly string[],
  commitmentsPath: string,
  seen: readonly Seen[],
  isClaiming = false,
): Promise<readonly string[]> {
  const faults: string[] = [];
  const chain = startChain(paid);
  makersOn(chain, createMessageExchange());
  const sent = seen.flatMap((it) => (it.kind === 'sent' ? [Buffer.from(it.bytes, 'hex')] : []));
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (const bytes of sent) await chain.broadcast(bytes);
  const wallet = await openWallet({ ...place, chain });
  try {
    await sync(wallet);
    const own = new Map(wallet.coins().map((coin) => [formatOutpoint(coin), coin.value]));
    const resumed = await resumeCoinjoins(wallet, chain);
    if (wallet.leases().length > 0) faults.push('a lease of the killed program holds coins');
    const file = await TakerCommitmentsFile.open(commitmentsPath);
    const fills = seen.flatMap((it) => (it.kind === 'fill' ? [it.commitment] : []));
    const isShown = seen.some(({ kind }) => kind === 'auth');
    const shown = isShown ? (fills.at(-1) ?? '') : undefined;
    if (shown !== undefined && !wallet.commitments.isTaken(shown)) faults.push('a proof is reused');
    const left = wallet
      .coins()
      .reduce((sum, it) => sum + wallet.commitments.left(it, 3, (c) => file.has(c)), 0);
    const inMempool = resumed.some(({ state }) => state === 'mempool' || state === 'sent');
    const coins = wallet.coins().filter(({ confirmations }) => confirmations > 0);
    const least = 3 * COINS - (isShown || isClaiming ? 1 : 0);
    if (!inMempool && left < least) faults.push(`${left} proofs are left, not ${least}`);
    const pending = wallet.signedTransactions().filter(({ state }) => state === 'pending');
    if (pending.length > 0 && !inMempool) faults.push('an open coinjoin is not in the mempool');
    if (sent.length > 0 && !inMempool) faults.push('a coinjoin that was sent is forgotten');
    if (pending.length === 0 && coins.some(({ hold }) => hold !== undefined)) {
      faults.push('coins are held for nothing');
    }
    const bytes = pending[0]?.bytes;
    const expected =
      bytes === undefined
        ? TOTAL
        : totalAfter(bytes, own, (script) => wallet.placeOf(script) !== undefined);
    chain.mine();
    await sync(wallet);
    const { total } = wallet.summary();
    if (total !== expected) faults.push(`${total} sat, and ${expected} in the chain`);
    const history = wallet.history().filter(({ kind }) => kind === 'coinjoin-taker');
    if (history.length !== pending.length) faults.push('other coinjoins than in the chain');
  } finally {
    await wallet.close();
  }
  return faults;
}

/** The file of commitments in the folder of a life. */
export const commitmentsIn = (base: string): string => join(base, 'commitments.json');
