/** `onionmc maker why`: the rank of a wallet's offers in the present orderbook, and what would change it. */
import { bondView } from '../chain/bond-view.js';
import type { Chain } from '../chain/ports.js';
import { isRecord, recordOf } from '../kit/json-record.js';
import { fundedOffers } from '../maker/offers.js';
import { walletFunds } from '../maker/wallet-funds.js';
import { whyReport, type TypicalTaker, type WhyInput } from '../maker/why.js';
import { DEFAULT_FEE_POLICY } from '../negotiation/taker/fees.js';
import { askStatus, statusBase } from '../ops/status-client.js';
import { systemClock } from '../overlay/system-clock.js';
import { bondValue, type BondPolicy } from '../protocol/fidelity-bond.js';
import { isOfferType } from '../protocol/commands.js';
import type { Offer } from '../protocol/offer.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import { bondPolicy, makerPolicy, offerTerms } from '../roles/negotiation-settings.js';
import { startTaker } from '../roles/taker.js';
import { offersFor } from '../taker/book-offers.js';
import { DEFAULT_BONDLESS_MAKERS_ALLOWANCE } from '../taker/choose.js';
import type { Settings } from '../config/settings.js';
import type { Wallet } from '../wallet/wallet.js';
import { firstDirectory, pause } from './first-directory.js';
import { withFaultsOf } from './maker-offers.js';
import { whyText } from './maker-why-view.js';
import { openBonds, openPeer } from './peer.js';
import { print, printJson, printNote } from './print.js';
import { openProgram, type CommonOptions } from './program.js';
import { patienceOf } from './taker.js';
import { readWallet, unixTime, type ReadOptions } from './wallet/session.js';

interface WhyOptions extends ReadOptions, CommonOptions {
  readonly json?: boolean;
  readonly wait?: number;
  readonly amount?: readonly number[];
}

/** 0.001, 0.01, 0.1 and 1 BTC. */
const AMOUNTS = [100_000, 1_000_000, 10_000_000, 100_000_000];
/** Takers that set nothing: our limits, and the middle of the 8 to 10 makers of deployed takers. */
const TAKER: TypicalTaker = {
  policy: { ...DEFAULT_FEE_POLICY, maxCjFeeAbs: 500, maxCjFeeRel: 0.001 },
  makers: 9,
  bondless: DEFAULT_BONDLESS_MAKERS_ALLOWANCE,
};
const BONDS = [1_000_000, 10_000_000, 100_000_000].flatMap((amount) =>
  [6, 12, 36].map((months) => ({ amount, months })),
);
/** As `WalletMaker`. */
const MOST_COINS = 40;

/** What the wallet has to do with the answer. */
interface OwnSide {
  readonly family: 'p2wpkh' | 'p2sh-p2wpkh';
  readonly offers: readonly Offer[];
  /** Why the wallet gives no offer. */
  readonly noOffer: string | undefined;
  readonly nick: string | undefined;
  readonly bond: number | undefined;
  readonly outpoint: string | undefined;
}

/** The bond of the highest value, as takers see it; a value of 0 without one. */
async function bestBond(
  wallet: Wallet,
  chain: Chain | undefined,
  policy: BondPolicy,
): Promise<Pick<OwnSide, 'bond' | 'outpoint'>> {
  const bonds = wallet.coins().filter(({ lockTime, confirmations }) => {
    return lockTime !== undefined && confirmations > 0;
  });
  if (bonds.length === 0) return { bond: 0, outpoint: undefined };
  if (chain === undefined) return { bond: undefined, outpoint: undefined };
  const view = bondView(chain);
  const { medianTime: now } = await view.tip();
  let best: Pick<OwnSide, 'bond' | 'outpoint'> = { bond: 0, outpoint: undefined };
  for (const coin of bonds) {
    // oxlint-disable-next-line no-await-in-loop -- a wallet has few bonds
    const output = await view.output(coin.txid, coin.vout);
    const { lockTime = 0 } = coin;
    if (!output.found || lockTime <= now) continue;
    const { amount: satoshi, confirmedAt: confirmationTime } = output;
    const value = bondValue({ satoshi, confirmationTime, lockTime, now, ...policy });
    if (value > (best.bond ?? 0)) best = { bond: value, outpoint: formatOutpoint(coin) };
  }
  return best;
}

/** The offers of `/status`; those that cannot be read are left out. */
function offersIn(value: unknown): readonly Offer[] {
  return (Array.isArray(value) ? value : []).flatMap((one: unknown) => {
    const { ordertype: type, oid, minsize, maxsize, txfee, cjfee } = recordOf(one);
    return typeof type === 'string' &&
      isOfferType(type) &&
      typeof cjfee === 'string' &&
      [oid, minsize, maxsize, txfee].every(Number.isSafeInteger)
      ? [
          {
            type,
            oid: Number(oid),
            minsize: Number(minsize),
            maxsize: Number(maxsize),
            txfee: Number(txfee),
            cjfee,
          },
        ]
      : [];
  });
}

/** What a maker that runs announces now, from its page; undefined when there is no page, or no answer. */
async function announced({
  yieldGenerator: terms,
}: Settings): Promise<Pick<OwnSide, 'nick' | 'offers'> | undefined> {
  if (terms.statusPort === 0) return undefined;
  const base = statusBase(terms.statusHost, terms.statusPort);
  const answer = await askStatus({ base, path: '/status' });
  if (answer.kind !== 'page' || answer.page['role'] !== 'maker') return undefined;
  const { identity } = answer.page;
  const nick = isRecord(identity) ? identity['nick'] : undefined;
  const offers = offersIn(answer.page['offers']);
  return typeof nick === 'string' && offers.length > 0 ? { nick, offers } : undefined;
}

async function ownSide(
  name: string,
  options: WhyOptions,
  settings: Settings,
): Promise<OwnSide | undefined> {
  let own: OwnSide | undefined;
  await readWallet(name, { ...options, needsChain: true }, async ({ wallet, chain }) => {
    const isNative = wallet.secret.kind === 'native';
    const funds = walletFunds(wallet, {
      now: unixTime(),
      overdueSeconds: (makerPolicy(settings).pendingTxTimeoutMs ?? 0) / 1000,
      mostCoins: MOST_COINS,
    });
    // In the middle of what chance would give.
    const made = withFaultsOf(settings, () =>
      fundedOffers(offerTerms(settings, isNative ? 'sw0' : 'sw'), funds, () => 0.5),
    );
    own = {
      family: isNative ? 'p2wpkh' : 'p2sh-p2wpkh',
      offers: made.offers,
      noOffer: made.noOffer,
      nick: undefined,
      ...(await bestBond(wallet, chain, bondPolicy(settings))),
    };
  });
  return own;
}

export async function runMakerWhy(name: string, options: WhyOptions): Promise<void> {
  const program = await openProgram('taker', options, { endsWithTerminal: true });
  const { settings, log, shutdown } = program;
  const wallet = await ownSide(name, options, settings);
  if (wallet === undefined) return;
  const running = await announced(settings);
  const own: OwnSide = { ...wallet, ...running };
  const { channel } = await openPeer(program, false);
  const chain = openBonds(program);
  const taker = startTaker({
    channel,
    ...(chain && { chain }),
    clock: systemClock,
    log,
    bondPolicy: bondPolicy(settings),
  });
  shutdown.onStop('taker', () => taker.stop());
  await firstDirectory(channel);
  taker.refresh();
  const waitMs = patienceOf(settings, options.wait);
  printNote(`collecting offers for ${Math.round(waitMs / 1000)} s`);
  await pause(waitMs);
  const input: WhyInput = {
    book: offersFor(taker.live.snapshot().entries, own.family),
    nick: own.nick,
    outpoint: own.outpoint,
    offers: own.offers,
    bond: own.bond,
    chain: taker.live.statistics().chain === 'up',
    amounts: options.amount ?? AMOUNTS,
    taker: TAKER,
    bonds: BONDS,
    bondPolicy: bondPolicy(settings),
    now: unixTime(),
  };
  const report = whyReport(input);
  const { nick, offers, bond, noOffer } = own;
  const source = running === undefined ? ('wallet' as const) : ('running' as const);
  const answer = { source, nick, offers, noOffer, bond, taker: TAKER, report };
  if (options.json === true) printJson(answer);
  else print(whyText(name, answer));
  await shutdown.stop();
}
