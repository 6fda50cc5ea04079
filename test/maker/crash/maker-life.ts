/**
 * One life of a maker's program: three takers come. The first one gets signatures and pushes, the second one
 * gets signatures and never pushes, the third one sees the coins and goes. The test kills the program between
 * any two of its effects, and compares what the next program finds with the chain and with what takers saw.
 */
import { silentLog } from '../../../src/channel/log.js';
import type { MemoryChain } from '../../../src/chain/memory.js';
import { WalletMaker } from '../../../src/maker/wallet-maker.js';
import { formatOutpoint } from '../../../src/protocol/outpoint.js';
import { addressScript } from '../../../src/bitcoin/address.js';
import { CoinjoinFollower } from '../../../src/wallet/coinjoins/follower.js';
import type { Wallet } from '../../../src/wallet/wallet.js';
import { createMemoryCommitments } from '../../helpers/coinjoin-world.js';
import { DirectTaker, type ScriptCoin } from '../../helpers/direct-taker.js';
import { openMakerSessions } from '../../helpers/maker-sessions.js';
import { EARNED, OFFER, requestOf, never } from '../../helpers/maker-wallet-world.js';
import { createMessageExchange, type MessageExchange } from '../../helpers/message-exchange.js';
import { createTestClock } from '../../helpers/test-clock.js';
import {
  NOW,
  openWallet,
  spiedChain,
  startChain,
  sync,
  type Place,
} from '../../wallet/crash/life.js';

/** What takers got from the program, one after the other. */
export type Seen =
  /** Of `ioauth`. */
  | {
      readonly kind: 'named';
      readonly taker: string;
      readonly coins: readonly string[];
      readonly scripts: readonly string[];
    }
  /** The taker has all signatures. */
  | {
      readonly kind: 'signed';
      readonly taker: string;
      readonly unsignedTxid: string;
      readonly bytes: string;
    }
  | { readonly kind: 'sent'; readonly bytes: string };

/** Satoshi of each coinjoin. */
const AMOUNT = 600_000;
/** What the wallet of `start` has. */
const TOTAL = 6_000_000;
const MAKER = 'J5maker';
export const TAKERS = ['J5pushes', 'J5keeps', 'J5goes'] as const;
const TAKER_COIN = 1_000_000;

function takersOn(chain: MemoryChain, office: MessageExchange) {
  const takers = TAKERS.map((nick) => {
    const taker = new DirectTaker({ office, maker: MAKER, nick });
    const { script } = taker;
    const { txid, vout } = chain.pay(script, TAKER_COIN);
    return { nick, taker, coin: { txid, vout, script, value: TAKER_COIN } };
  });
  chain.mine(6);
  return takers;
}

/** The chain before a life. Always the same one. */
export function makerChain(paid: readonly string[]): MemoryChain {
  const chain = startChain(paid);
  takersOn(chain, createMessageExchange());
  return chain;
}

/** The effects of a program beside those of its files. */
export interface Effects {
  outside<T>(what: string, run: () => Promise<T>): Promise<T>;
}

/** One life: it ends where the program is killed. */
export async function makerLife(
  place: Pick<Place, 'files' | 'base'>,
  paid: readonly string[],
  effects: Effects,
  see: (it: Seen) => void,
): Promise<void> {
  const office = createMessageExchange();
  const memory = startChain(paid);
  const takers = takersOn(memory, office);
  const chain = spiedChain(
    memory,
    (what, run) => effects.outside(what, run),
    (it) => {
      if (it.kind === 'sent') see(it);
    },
  );
  const wallet = await openWallet({ ...place, chain });
  await sync(wallet);
  const maker = new WalletMaker({ wallet, chain, log: silentLog, unixTime: () => NOW });
  const commitments = createMemoryCommitments();
  const { sessions } = openMakerSessions({
    office,
    nick: MAKER,
    wallet: maker,
    chain,
    offer: OFFER,
    clock: createTestClock(),
    commitments: {
      ...commitments,
      has: (it) => commitments.has(it),
      add: (it) => effects.outside('commitment', () => commitments.add(it)),
    },
  });
  for (const one of takers) {
    // oxlint-disable-next-line no-await-in-loop -- one taker after the other
    await visit(wallet, one, see);
  }
  sessions.close();
  await maker.idle();
  await new CoinjoinFollower(wallet, chain).look();
  await wallet.close();
}

/** What one taker does. */
async function visit(
  wallet: Wallet,
  { nick, taker, coin }: { nick: string; taker: DirectTaker; coin: ScriptCoin },
  see: (it: Seen) => void,
): Promise<void> {
  const named = await taker.approach(AMOUNT, coin);
  if (!named.ok) throw new Error(`${nick}: ${named.refusal}`);
  const { coins, coinjoinAddress, changeAddress } = named.io;
  see({
    kind: 'named',
    taker: nick,
    coins: coins.map(formatOutpoint),
    scripts: [coinjoinAddress, changeAddress].map((it) => addressScript('regtest', it) ?? ''),
  });
  if (nick === 'J5goes') return;
  const makerCoins = coins.map((it) => wallet.coin(it));
  const tx = taker.transaction(named, { amount: AMOUNT, offer: OFFER, coin, makerCoins });
  const whole = await taker.ask(named, tx, coin, makerCoins);
  if (typeof whole === 'string') throw new Error(`${nick}: ${whole}`);
  const bytes = Buffer.from(whole.bytes).toString('hex');
  see({ kind: 'signed', taker: nick, unsignedTxid: tx.txid, bytes });
  if (nick === 'J5pushes') await taker.push(whole.bytes);
}

/** Everything that is wrong in the next program, after takers saw this. */
export async function makerFaults(
  place: Pick<Place, 'files' | 'base'>,
  paid: readonly string[],
  seen: readonly Seen[],
): Promise<readonly string[]> {
  const faults: string[] = [];
  const chain = makerChain(paid);
  for (const it of seen) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    if (it.kind === 'sent') await chain.broadcast(Buffer.from(it.bytes, 'hex'));
  }
  const wallet = await openWallet({ ...place, chain });
  try {
    await sync(wallet);
    const maker = new WalletMaker({ wallet, chain, log: silentLog, unixTime: () => NOW });
    const follower = new CoinjoinFollower(wallet, chain);
    await maker.idle();
    await follower.look();
    if (wallet.leases().length > 0) faults.push('a lease of the killed program holds coins');
    const signed = seen.flatMap((it) => (it.kind === 'signed' ? [it] : []));
    for (const { unsignedTxid, taker } of signed) {
      const found = maker.coinjoins().find((it) => it.unsignedTxid === unsignedTxid);
      if (found?.state !== 'pending')
        faults.push(`${taker}: signed, and ${found?.state ?? 'forgotten'}`);
    }
    faults.push(...(await namingFaults(maker, seen)));
    // Takers that have the signatures use them, also those that never pushed.
    for (const { bytes } of signed) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await chain.broadcast(Buffer.from(bytes, 'hex'));
    }
    chain.mine();
    await sync(wallet);
    const earned = signed.length * EARNED;
    const { total } = wallet.summary();
    if (total !== TOTAL + earned) faults.push(`${total} sat, and ${TOTAL + earned} in the chain`);
    const confirmed = maker.coinjoins().filter(({ state }) => state === 'confirmed');
    if (confirmed.length !== signed.length) faults.push('other coinjoins than in the chain');
  } finally {
    await wallet.close();
  }
  return faults;
}

/** A new session gets no coin of a signature that left, and no address that a taker saw. */
async function namingFaults(maker: WalletMaker, seen: readonly Seen[]): Promise<readonly string[]> {
  const faults: string[] = [];
  const signedBy = new Set(seen.flatMap((it) => (it.kind === 'signed' ? [it.taker] : [])));
  const taken = new Set<string>();
  const shown = new Set<string>();
  for (const it of seen) {
    if (it.kind !== 'named') continue;
    for (const script of it.scripts) {
      if (shown.has(script)) faults.push('an address was shown twice');
      shown.add(script);
    }
    if (!signedBy.has(it.taker)) continue;
    for (const coin of it.coins) {
      if (taken.has(coin)) faults.push('a coin was signed twice');
      taken.add(coin);
    }
  }
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- until no coin is left
    const reservation = await maker.reserve(requestOf(AMOUNT), never);
    if (reservation === undefined) break;
    for (const coin of reservation.coins) {
      const name = formatOutpoint(coin);
      if (taken.has(name)) faults.push('a signed coin is named again');
      taken.add(name);
    }
    for (const address of [reservation.coinjoinAddress, reservation.changeAddress]) {
      const script = addressScript('regtest', address) ?? '';
      if (shown.has(script)) faults.push('an address is shown again');
      shown.add(script);
    }
    maker.settle(reservation, 'signed');
  }
  await maker.idle();
  return faults;
}
