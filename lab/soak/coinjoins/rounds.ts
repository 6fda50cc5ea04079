/** Plays one round: makers announce, some of them misbehave, the taker tries its coinjoin. */
import { addressOf, addressScript } from '../../../src/bitcoin/address.js';
import { parseTransaction } from '../../../src/bitcoin/transaction.js';
import { createChance } from '../random.js';
import type { CoinjoinOutcome, CoinjoinRequest, Destination } from '../../../src/taker/api.js';
import type { Agreement, AgreedOffer } from './accountant.js';
import { LEGACY, type Loot } from './dishonest-maker.js';
import { nameOf, type IoAuthLie, type Misbehaviour } from './misbehaviour.js';
import type { RoundPlan } from './round-plan.js';
import { NETWORK } from './settings.js';
import type { SoakMaker } from './soak-maker.js';
import type { RoundRecord } from './summary.js';
import type { World } from './world.js';

/** Largest sweep, satoshi: makers must be able to fill it. */
const MOST_SWEPT = 60_000_000;
/** What makers want to see: a coin of this age, and the amount at most so many times its value. */
const PROOF = { age: 6, times: 4.9, tries: 3, rounds: 6 } as const;
/** With these lies a maker gives its equal output away: no taker can see it. */
const GIVING: ReadonlySet<IoAuthLie> = new Set(['address-foreign', 'address-legacy']);
const LEGACY_SCRIPT = addressScript(NETWORK, LEGACY) ?? '';
/** Most for one maker. */
const MAX_FEE = { abs: 50_000, rel: 0.001 } as const;
/** Blocks after a round: makers and taker need confirmed coins. */
const BLOCKS = 6;
/** Coins that the taker gets where no mixdepth has enough, so that it has proofs. */
const DEPOSIT = [9_000_000, 8_000_000, 7_000_000, 6_000_000, 5_000_000, 3_000_000] as const;
/** The least that a round is about, satoshi. */
const LEAST = 2_000_000;

/** Where the taker spends from, and how much makers would accept a proof for. */
interface Purse {
  readonly mixdepth: number;
  readonly available: number;
  readonly provable: number;
}

const provenOf = ({ available, provable }: Purse): number => Math.min(available, provable);

/** The mixdepths, those that have most first. */
function pursesOf({ taker }: World): readonly Purse[] {
  const wallet = taker.wallet.open;
  return wallet
    .summary()
    .mixdepths.map(({ mixdepth, available }): Purse => {
      const old = wallet
        .coins()
        .filter((coin) => coin.mixdepth === mixdepth && coin.hold === undefined)
        .filter(({ confirmations }) => confirmations >= PROOF.age);
      // Each round of a taker may use up a proof, and sometimes two.
      let tries = 0;
      const least = old
        .toSorted((a, b) => b.value - a.value)
        .find((coin) => {
          tries += wallet.commitments.left(coin, PROOF.tries);
          return tries >= PROOF.rounds;
        });
      const largest = least?.value ?? 0;
      return { mixdepth, available, provable: Math.floor(largest * PROOF.times) };
    })
    .toSorted((a, b) => provenOf(b) - provenOf(a));
}

/** The mixdepth that has most, and for a sweep the largest one that can be proven and that makers can fill. */
function fittingPurse(world: World, isSweep: boolean): Purse | undefined {
  return pursesOf(world)
    .filter((purse) => provenOf(purse) >= LEAST)
    .find(({ available, provable }) => !isSweep || available <= Math.min(MOST_SWEPT, provable));
}

/**
 * Where a round spends from. Pays the taker first where that is necessary: money leaves it, and proofs are
 * used up. A fixed amount takes the place of a sweep when each mixdepth has too much for one.
 */
async function choosePurse(world: World, wantsSweep: boolean): Promise<[Purse, boolean]> {
  const purse = fittingPurse(world, wantsSweep);
  if (purse !== undefined) return [purse, wantsSweep];
  const [poorest] = pursesOf(world).toSorted((a, b) => a.available - b.available);
  if (poorest === undefined) throw new Error('the taker has no mixdepth');
  await world.fund(world.taker.wallet, [poorest.mixdepth], DEPOSIT);
  await world.mine(PROOF.age);
  const paid = fittingPurse(world, wantsSweep);
  if (paid !== undefined) return [paid, wantsSweep];
  const rich = fittingPurse(world, false);
  if (rich === undefined) throw new Error('the taker has nothing to spend, also after a deposit');
  return [rich, false];
}

/** Things of other parties that a liar may name. */
function lootOf({ makers, source }: World, bad: ReadonlyMap<SoakMaker, Misbehaviour>): Loot {
  const victim = makers.find((maker) => !bad.has(maker));
  const coin = victim?.wallet.open.coins().find(({ hold }) => hold === undefined);
  const spent = source.lastSpent;
  if (coin === undefined || spent === undefined) throw new Error('no honest maker has a coin');
  const { txid, vout, script, value } = coin;
  const address = addressOf(victim?.wallet.open.coins()[0]?.script ?? '', NETWORK) ?? '';
  return { coin: { txid, vout, script, value }, spent, address };
}

async function misbehave(world: World, bad: ReadonlyMap<SoakMaker, Misbehaviour>): Promise<void> {
  const loot = lootOf(world, bad);
  for (const [maker, misbehaviour] of bad) {
    await maker.misbehave(misbehaviour, {
      loot,
      broadcast: (transaction) => world.broadcast(transaction),
      onOwnSpend: (transaction) => {
        const parsed = parseTransaction(transaction);
        if (parsed.ok) world.accountant.expectSpend(parsed.value.txid, maker.name);
      },
    });
  }
}

/** Why a coinjoin failed, with the makers that failed. */
function reasonOf(
  { fault, detail, failed }: Extract<CoinjoinOutcome, { readonly ok: false }>,
  wanted: number,
  honest: number,
): string {
  const makers = failed.map(({ failure }) =>
    failure === undefined ? '' : `${failure.step} ${failure.fault} (${failure.detail})`,
  );
  return `${fault}: ${detail}; ${wanted} wanted, ${honest} honest; ${makers.join(', ')}`;
}

export async function playRound(world: World, plan: RoundPlan, seed: number): Promise<RoundRecord> {
  const { makers, taker, accountant } = world;
  const [purse, isSweep] = await choosePurse(world, plan.isSweep);
  const { mixdepth, available, provable } = purse;
  const chance = createChance(Math.imul(seed + 7, 40_503) ^ plan.number);
  const offers = new Map<string, AgreedOffer>();
  for (const [n, maker] of makers.entries()) {
    const terms = plan.terms[n];
    if (terms === undefined) continue;
    maker.announce(terms);
    offers.set(maker.name, terms);
  }
  const bad = new Map<SoakMaker, Misbehaviour>();
  for (const [n, misbehaviour] of plan.misbehaviours) {
    const maker = makers[n];
    if (maker !== undefined) bad.set(maker, misbehaviour);
  }
  if (bad.size > 0) await misbehave(world, bad);
  const givers = [...bad].flatMap(([maker, it]) =>
    it.kind === 'ioauth' && GIVING.has(it.lie) ? [maker] : [],
  );

  const script = `0014${Buffer.from(chance.bytes(20)).toString('hex')}`;
  const destination: Destination = plan.isInternal
    ? { kind: 'internal' }
    : { kind: 'address', address: addressOf(script, NETWORK) ?? '', script };
  const request: CoinjoinRequest = {
    amount: isSweep ? 'sweep' : Math.min(provable, Math.floor(available * plan.share)),
    destination,
    mixdepth,
    makers: plan.makers,
    minimumMakers: plan.minimumMakers,
    maxFeeAbs: MAX_FEE.abs,
    maxFeeRel: MAX_FEE.rel,
    fee: { kind: 'rate', feePerKb: plan.feePerKb },
    // The other rules would ask the same makers again and again.
    choice: 'random',
    picks: [],
    broadcast: plan.broadcast,
  };
  const amount = request.amount === 'sweep' ? available : request.amount;
  const honest = makers.filter(
    (maker) => !bad.has(maker) && (maker.offer?.maxsize ?? 0) >= amount,
  ).length;
  const began = performance.now();
  const outcome = await taker.attempt({
    request,
    nicks: makers.flatMap(({ nick, offer }) => (offer === undefined ? [] : [nick])),
    random: chance.next,
    onPlan: ({ worst }) => {
      const agreement: Agreement = {
        round: plan.number,
        taker: taker.wallet.keys.name,
        amount: request.amount === 'sweep' ? undefined : request.amount,
        foreign: plan.isInternal ? undefined : script,
        offers,
        givers: new Set(givers.map(({ name }) => name)),
        givenTo: new Set([LEGACY_SCRIPT]),
        most: worst,
      };
      accountant.agree(agreement);
    },
  });
  const seconds = (performance.now() - began) / 1000;
  for (const maker of bad.keys()) await maker.behave();
  await world.mine(BLOCKS);
  return {
    number: plan.number,
    isSweep,
    hadEnough: honest >= plan.makers,
    txid: outcome.ok ? outcome.txid : undefined,
    reason: outcome.ok ? '' : reasonOf(outcome, plan.makers, honest),
    seconds,
    misbehaviours: [...bad.values()].map(nameOf),
    failed: outcome.failed.length,
  };
}
