/**
 * The first half of a taker's round, the makers' side: their `pubkey` and `ioauth`, our checks of them
 * (docs/protocol.md, sections 9.4 and 9.5), and the answer of the chain about their coins.
 */
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Network } from '../../protocol/constants.js';
import { type BoxSession, openBoxSession } from '../../protocol/encryption.js';
import { addressScript } from '../../bitcoin/address.js';
import { coinKind, keyOwnsScript } from '../../bitcoin/script.js';
import { COINBASE_MATURITY } from '../../bitcoin/transaction.js';
import { NEUTRINO_COMPAT, parseFeatures } from '../../protocol/features.js';
import { DUST_THRESHOLD, type Offer, offerFee } from '../../protocol/offer.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import { verifyText } from '../../protocol/signature.js';
import { metadataFault } from '../coin-metadata.js';
import { parseIoAuth } from '../payloads.js';
import { sumOf } from '../payout.js';
import type { ChainCoin, OwnCoin } from '../ports.js';
import type {
  DeclaredPart,
  LegBox,
  LegFault,
  MakerPart,
  RoundEffect,
  RoundEvent,
  RoundTransition,
} from './api.js';
import { authFor, proceed, releaseAuths, replaceLeg } from './asking.js';
import {
  dropLeg,
  type Gathering,
  type OpenLeg,
  openWith,
  preceded,
  type ReadyLeg,
  unchanged,
  withLeg,
  rivalsOf,
} from './legs.js';

type MessageEvent = Extract<RoundEvent, { readonly kind: 'message' }>;

/**
 * Most keys of one maker that are tried, of each route and of all. Signatures name no addressee: a relay may
 * have many old keys of a maker, and must not keep out the one that comes by another route.
 */
const MAX_KEYS_OF_ROUTE = 3;
const MAX_KEYS = 12;

export function onPubkey(
  state: Gathering,
  leg: OpenLeg,
  { args: [key = '', ...more], by }: MessageEvent,
): RoundTransition {
  const { terms } = state;
  const { nick } = leg.candidate;
  const known = leg.boxes.some(({ theirPublicKeyHex }) => theirPublicKeyHex === key.toLowerCase());
  const ofRoute = leg.boxes.filter((box) => box.by === by).length;
  if (known || ofRoute >= MAX_KEYS_OF_ROUTE || leg.boxes.length >= MAX_KEYS)
    return unchanged(state);
  const box = openBoxSession(terms.keys, key);
  if (!box.ok) {
    // A relay may have turned another signed message of the maker into a `pubkey`. Makers also sign hashes
    // that others choose (`hp2`), so a key that hides nothing need not be the maker's.
    if (box.reason === 'box-key-form' || leg.boxes.length > 0) return unchanged(state);
    const refusal = { fault: 'bad-key', detail: 'its key hides nothing' } as const;
    return proceed(withLeg(state, { ...leg, refusal }));
  }
  // Only the maker's own signature counts: a directory may report any features of a nick.
  const neutrinoCompat =
    terms.policy.neutrinoCompat && parseFeatures(more).includes(NEUTRINO_COMPAT);
  const keyed: LegBox = { ...box.value, by, neutrinoCompat };
  const boxes = [...leg.boxes, keyed];
  const step = leg.step === 'pubkey' ? 'auth' : leg.step;
  const next = withLeg(state, { ...leg, step, boxes, refusal: undefined });
  // A second key does not extend the deadline.
  if (leg.step === 'ioauth') {
    return { state: next, effects: [authFor(terms, leg, [keyed])] };
  }
  const isFirst = [...state.legs.values()].every((other) => other.step !== 'auth');
  const effects: RoundEffect[] = [{ kind: 'deadline', nick, ms: undefined }];
  if (isFirst) effects.push({ kind: 'hold', ms: terms.policy.authHoldMs });
  return preceded(effects, releaseAuths(next, false));
}

/** Coins and scripts of the other makers and of the proof. */
function takenBy(state: Gathering, nick: string): ReadonlySet<string> {
  const taken = new Set<string>();
  for (const [other, leg] of state.legs) {
    if (leg.step === 'failed') continue;
    taken.add(formatOutpoint(leg.podle.revelation.utxo));
    if (other === nick) continue;
    const part = 'part' in leg ? leg.part : 'declared' in leg ? leg.declared : undefined;
    if (part === undefined) continue;
    for (const coin of part.coins) taken.add(formatOutpoint(coin));
    taken.add(part.coinjoinScript);
    taken.add(part.changeScript);
  }
  return taken;
}

export function onIoAuth(state: Gathering, leg: OpenLeg, args: readonly string[]): RoundTransition {
  const opened = openWith(leg.boxes, args);
  if (opened === undefined) return unchanged(state);
  const { network, policy } = state.terms;
  const { nick } = leg.candidate;
  const { box, text } = opened;
  const taken = takenBy(state, nick);
  const declared = readDeclaredPart(text, box, { network, makerCoins: policy.makerCoins, taken });
  if (!declared.ok) return replaceLeg(state, leg, declared.fault, declared.detail);
  const { coins } = declared.value;
  return {
    state: withLeg(state, {
      ...leg,
      step: 'coins',
      declared: declared.value,
      box,
      taken: new Set([args.join('')]),
      refusal: undefined,
    }),
    effects: [
      { kind: 'deadline', nick, ms: policy.portWaitMs },
      // The box shows that our `auth` arrived. Deployed makers answer a second one with other coins.
      { kind: 'forget', nick },
      { kind: 'look-up', nick, coins },
    ],
  };
}

export function onCoins(
  state: Gathering,
  { nick, coins }: Extract<RoundEvent, { readonly kind: 'coins' }>,
): RoundTransition {
  const leg = state.legs.get(nick);
  if (leg?.step !== 'coins') return unchanged(state);
  const part = judgeCoins(leg.declared, coins, leg.candidate.offer, state.terms.amount);
  if (!part.ok) return replaceLeg(state, leg, part.fault, part.detail);
  const { candidate, seat, podle, taken, boxes, box } = leg;
  const ready: ReadyLeg = {
    step: 'ready',
    candidate,
    seat,
    podle,
    taken,
    boxes,
    box,
    refusal: undefined,
    part: part.value,
  };
  const seated = dropRivals(withLeg(state, ready), ready);
  const effects: RoundEffect[] = [{ kind: 'deadline', nick, ms: undefined }, ...seated.effects];
  return preceded(effects, proceed(seated.state));
}

/**
 * Of all makers asked for a seat, one has it: the others are released, and those still waiting become
 * spare again.
 */
function dropRivals(
  state: Gathering,
  ready: ReadyLeg,
): { readonly state: Gathering; readonly effects: readonly RoundEffect[] } {
  const returned = state.waiting.filter(({ seat }) => seat === ready.seat);
  const waiting = state.waiting.filter(({ seat }) => seat !== ready.seat);
  const spare = [...returned.map(({ candidate }) => candidate), ...state.spare];
  let next: Gathering = { ...state, waiting, spare };
  const effects: RoundEffect[] = [];
  for (const rival of rivalsOf(state, ready)) {
    const { refusal } = rival;
    const dropped =
      refusal === undefined
        ? dropLeg(next, rival, 'unused', 'another maker was ready first')
        : dropLeg(next, rival, refusal.fault, refusal.detail);
    next = dropped.state;
    effects.push(...dropped.effects);
  }
  return { state: next, effects };
}

export interface Refused {
  readonly ok: false;
  readonly fault: LegFault;
  readonly detail: string;
}

type Judged<T> = { readonly ok: true; readonly value: T } | Refused;

const refused = (fault: LegFault, detail: string): Refused => ({ ok: false, fault, detail });

export interface DeclaredPartTerms {
  readonly network: Network;
  /** Most coins of one maker. */
  readonly makerCoins: number;
  /** Scripts and coins of all other sides of the round, including our own. */
  readonly taken: ReadonlySet<string>;
}

/**
 * The checks without the chain: form, the signature that binds the maker's coins to its box, addresses
 * of our network, no coin or address of another side.
 */
export function readDeclaredPart(
  text: string,
  box: BoxSession,
  terms: DeclaredPartTerms,
): Judged<DeclaredPart> {
  const io = parseIoAuth(text);
  if (!io.ok) return refused('bad-ioauth', `ioauth is malformed: ${io.reason}`);
  const { coins, authPublicKey, coinjoinAddress, changeAddress, signature } = io.value;
  if (coins.length > terms.makerCoins) {
    return refused('bad-ioauth', `${coins.length} coins; ${terms.makerCoins} are the most`);
  }
  if (!verifyText(box.theirPublicKeyHex, authPublicKey, signature)) {
    return refused('bad-auth-signature', 'the signature over the session key does not fit');
  }
  const coinjoinScript = addressScript(terms.network, coinjoinAddress);
  const changeScript = addressScript(terms.network, changeAddress);
  if (coinjoinScript === undefined || changeScript === undefined) {
    return refused('bad-address', `an address does not belong to ${terms.network}`);
  }
  const names = [...coins.map(formatOutpoint), coinjoinScript, changeScript];
  if (coinjoinScript === changeScript || names.some((name) => terms.taken.has(name))) {
    return refused('shared', 'a coin or an address is used twice in this round');
  }
  return { ok: true, value: { coins, authPublicKey, coinjoinScript, changeScript } };
}

/** The checks with the chain: the coins exist, belong to the maker, and suffice. */
export function judgeCoins(
  declared: DeclaredPart,
  found: readonly (ChainCoin | undefined)[],
  offer: Offer,
  amount: number,
): Judged<MakerPart> {
  const coins: OwnCoin[] = [];
  for (const [n, named] of declared.coins.entries()) {
    const { txid, vout } = named;
    const coin = found[n];
    const name = formatOutpoint({ txid, vout });
    if (coin === undefined) return refused('coin-missing', `${name} does not exist or is spent`);
    if (coin.confirmations < 1) return refused('coin-unconfirmed', `${name} is not confirmed`);
    if (coin.coinbase === true && coin.confirmations < COINBASE_MATURITY) {
      return refused('coin-unconfirmed', `${name} needs ${COINBASE_MATURITY} confirmations`);
    }
    if (coinKind(coin.script) === undefined) {
      return refused('coin-kind', `${name} is not a segwit coin of a single key`);
    }
    const detail = metadataFault(named, coin);
    if (detail !== undefined) return refused('coin-metadata', detail);
    const { script, value, height } = coin;
    coins.push({ txid, vout, script, value, ...(height === undefined ? {} : { height }) });
  }
  const key = hexToBytes(declared.authPublicKey);
  if (!coins.some(({ script }) => keyOwnsScript(key, script))) {
    return refused('coin-key', 'the key that signed owns none of the coins');
  }
  const fee = offerFee(offer, amount);
  const change = sumOf(coins) - amount - offer.txfee + fee;
  if (change < DUST_THRESHOLD) {
    return refused('coins-small', `the coins leave ${change} sat of change`);
  }
  const { coinjoinScript, changeScript } = declared;
  return {
    ok: true,
    value: { coins, coinjoinScript, changeScript, change, fee, txfee: offer.txfee },
  };
}
