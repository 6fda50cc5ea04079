/**
 * A maker's side of one coinjoin as a pure state machine (protocol document, section 9):
 *
 *   fill -> awaiting-auth -> checking-coin -> reserving -> claiming -> awaiting-tx -> signing
 *        -> awaiting-push -> ended
 *
 * Every event gives a new state and a list of effects for a runner to carry out. What does not belong
 * into the current state changes nothing: the first word of a private message is not signed (quirk
 * Q18), so anybody on the way may turn an `auth` into a `tx`, or send it again.
 */
import { hexToBytes } from '@noble/hashes/utils.js';
import { DUST_THRESHOLD, offerFee, type Offer } from '../protocol/offer.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import { parseRevelation, verifyPodle } from '../protocol/podle.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { verifyText } from '../protocol/signature.js';
import type {
  MakerEffect,
  MakerEvent,
  MakerFault,
  MakerOutcome,
  MakerState,
  MakerStep,
  MakerTerms,
  MakerTransition,
  Signing,
} from './maker-api.js';
import { checkPayout, sumOf, type Payout } from './payout.js';
import type { ChainCoin, OwnCoin, Reservation, ReservationRequest } from './ports.js';
import {
  formatIoAuth,
  formatSignatureText,
  MAX_COINS,
  parseTransactionText,
  shownText,
  type FillTerms,
} from './texts.js';
import {
  addressScript,
  coinKind,
  keyOwnsScript,
  parseUnsigned,
  signatureFits,
  signedIds,
  type InputSignature,
} from './transaction.js';

const NOTHING: readonly MakerEffect[] = [];

const error = (text: string): MakerEffect => ({
  kind: 'send',
  command: 'error',
  args: shownText(text),
});

export type FillRefusal = 'oid' | 'amount' | 'fee';

/** The offer that a fill takes, if its terms are met. */
export function offerFor(
  offers: readonly Offer[],
  { oid, amount }: FillTerms,
): Parsed<Offer, FillRefusal> {
  const offer = offers.find((candidate) => candidate.oid === oid);
  if (offer === undefined) return fail('oid');
  if (amount < offer.minsize || amount > offer.maxsize) return fail('amount');
  // A coinjoin that costs us more than it brings is nobody's offer (section 9.6).
  return offerFee(offer, amount) < offer.txfee ? fail('fee') : ok(offer);
}

/** A new session: says `pubkey` and waits for `auth`. */
export function openMakerSession(terms: MakerTerms): MakerTransition {
  const answer: MakerEffect = {
    kind: 'send',
    command: 'pubkey',
    args: terms.keys.publicKeyHex,
  };
  return {
    state: {
      state: 'awaiting-auth',
      terms,
      fee: offerFee(terms.offer, terms.fill.amount),
      attempts: 0,
      repeats: 0,
      taken: {},
      lastAnswer: [answer],
    },
    effects: [answer, { kind: 'deadline', ms: terms.policy.authWaitMs }],
  };
}

type Live = Exclude<MakerState, { readonly state: 'ended' }>;

const STEPS: Readonly<Record<Live['state'], MakerStep>> = {
  'awaiting-auth': 'auth',
  'checking-coin': 'checking-coin',
  reserving: 'reserving',
  claiming: 'claiming',
  'awaiting-tx': 'tx',
  signing: 'signing',
  'awaiting-push': 'push',
};

function ended(outcome: MakerOutcome, effects: readonly MakerEffect[] = []): MakerTransition {
  return { state: { state: 'ended', outcome }, effects: [...effects, { kind: 'end', outcome }] };
}

/** Ends a session without a signature; frees what was reserved. */
function failed(
  state: Live,
  by: 'taker' | 'us',
  fault: MakerFault,
  detail: string,
  tell?: string,
): MakerTransition {
  const effects: MakerEffect[] = tell === undefined ? [] : [error(tell)];
  if ('reserved' in state) {
    const { reservation } = state.reserved;
    effects.push({ kind: 'settle', reservation, settlement: 'unsigned' });
  }
  const outcome: MakerOutcome = {
    result: 'failed',
    by,
    step: STEPS[state.state],
    fault,
    detail: shownText(detail),
  };
  return ended(outcome, effects);
}

function signed(
  { terms, fee, reserved, tx }: Extract<Live, { readonly state: 'awaiting-push' }>,
  pushed: boolean,
  effects: readonly MakerEffect[] = [],
): MakerTransition {
  return ended(
    {
      result: 'signed',
      txid: tx.txid,
      pushed,
      amount: terms.fill.amount,
      earned: fee - terms.offer.txfee,
    },
    [...effects, { kind: 'settle', reservation: reserved.reservation, settlement: 'signed' }],
  );
}

/** Refuses a message and goes on waiting, unless that was one too many. */
function refuse(
  state: Extract<Live, { readonly state: 'awaiting-auth' | 'awaiting-tx' }>,
  fault: MakerFault,
  detail: string,
): MakerTransition {
  const attempts = state.attempts + 1;
  if (attempts >= state.terms.policy.attempts) return failed(state, 'taker', fault, detail, detail);
  return { state: { ...state, attempts }, effects: [error(detail)] };
}

/** The same request again: the answer may have been lost. */
function repeat(state: Live): MakerTransition {
  if (state.repeats >= state.terms.policy.repeats) return { state, effects: NOTHING };
  return { state: { ...state, repeats: state.repeats + 1 }, effects: state.lastAnswer };
}

function onAuth(
  state: Extract<Live, { readonly state: 'awaiting-auth' }>,
  args: readonly string[],
) {
  const { fill, policy, box } = state.terms;
  const text = box.decrypt(args);
  // Not made for this session: an older one's, or nobody's. Bounded, for opening costs.
  if (!text.ok) {
    const attempts = state.attempts + 1;
    if (attempts >= policy.attempts) {
      return failed(state, 'taker', 'box', 'auth could not be decrypted', 'bad encryption');
    }
    return { state: { ...state, attempts }, effects: NOTHING };
  }
  const revelation = parseRevelation(text.value);
  if (!revelation.ok) return refuse(state, 'revelation', 'the revelation is malformed');
  const proof = verifyPodle(revelation.value, fill.commitment, policy.takerUtxoRetries);
  if (!proof.ok) return refuse(state, 'podle', `the proof does not hold: ${proof.reason}`);
  return {
    state: {
      ...state,
      state: 'checking-coin' as const,
      revelation: revelation.value,
      taken: { ...state.taken, auth: args.join('') },
      lastAnswer: NOTHING,
    },
    effects: [
      { kind: 'deadline' as const, ms: policy.portWaitMs },
      { kind: 'look-up' as const, coin: revelation.value.utxo },
    ],
  };
}

function coinFault(
  coin: ChainCoin | undefined,
  { terms: { policy, fill }, revelation }: Extract<Live, { readonly state: 'checking-coin' }>,
): readonly [MakerFault, string] | undefined {
  const name = formatOutpoint(revelation.utxo);
  if (coin === undefined) return ['coin-missing', `${name} does not exist or is spent`];
  if (coin.confirmations < policy.takerUtxoAge) {
    return ['coin-young', `${name} needs ${policy.takerUtxoAge} confirmations`];
  }
  const least = Math.floor((fill.amount * policy.takerUtxoAmtPercent) / 100);
  if (coin.value < least) return ['coin-small', `${name} must hold ${least} sat`];
  return keyOwnsScript(hexToBytes(revelation.p), coin.script)
    ? undefined
    : ['coin-key', `the key of the proof does not own ${name}`];
}

function onCoin(
  state: Extract<Live, { readonly state: 'checking-coin' }>,
  coin: ChainCoin | undefined,
): MakerTransition {
  const { terms, fee } = state;
  const fault = coinFault(coin, state);
  if (fault !== undefined) {
    const [name, detail] = fault;
    const back = { ...state, state: 'awaiting-auth' as const };
    const refused = refuse(back, name, detail);
    if (refused.state.state === 'ended') return refused;
    return {
      state: refused.state,
      effects: [...refused.effects, { kind: 'deadline', ms: terms.policy.authWaitMs }],
    };
  }
  const { amount } = terms.fill;
  const request: ReservationRequest = {
    offer: terms.offer,
    amount,
    least: amount + terms.offer.txfee - fee + DUST_THRESHOLD,
    boxPublicKey: terms.keys.publicKeyHex,
  };
  return {
    state: { ...state, state: 'reserving' },
    effects: [
      { kind: 'deadline', ms: terms.policy.portWaitMs },
      { kind: 'reserve', request },
    ],
  };
}

/** What a reservation pays us; undefined when the wallet gave something that cannot be used. */
function payoutOf(state: Live, reservation: Reservation): Payout | undefined {
  const { terms, fee } = state;
  const { coins, coinjoinAddress, changeAddress, authPublicKey, authSignature } = reservation;
  const { amount } = terms.fill;
  const coinjoinScript = addressScript(terms.network, coinjoinAddress);
  const changeScript = addressScript(terms.network, changeAddress);
  const change = sumOf(coins) - amount - terms.offer.txfee + fee;
  const names = new Set(coins.map(formatOutpoint));
  const usable =
    coins.length > 0 &&
    coins.length <= MAX_COINS &&
    names.size === coins.length &&
    coins.every(({ script }) => coinKind(script) !== undefined) &&
    change >= DUST_THRESHOLD &&
    coinjoinScript !== changeScript &&
    verifyText(terms.keys.publicKeyHex, authPublicKey, authSignature) &&
    coins.some(({ script }) => keyOwnsScript(hexToBytes(authPublicKey), script));
  if (!usable || coinjoinScript === undefined || changeScript === undefined) return undefined;
  return { coins, amount, coinjoinScript, changeScript, change };
}

function onReserved(
  state: Extract<Live, { readonly state: 'reserving' }>,
  reservation: Reservation | undefined,
): MakerTransition {
  if (reservation === undefined) {
    return failed(state, 'us', 'no-coins', 'no coins fit the amount', 'amount out of range');
  }
  const payout = payoutOf(state, reservation);
  if (payout === undefined) {
    const end = failed(state, 'us', 'bad-reservation', 'the wallet gave unusable coins', 'sorry');
    const settle: MakerEffect = { kind: 'settle', reservation, settlement: 'unsigned' };
    return { state: end.state, effects: [settle, ...end.effects] };
  }
  const { commitment } = state.terms.fill;
  return {
    state: { ...state, state: 'claiming', reserved: { reservation, payout } },
    // On disk before anybody learns our coins: a restart must not let it be used again.
    effects: [{ kind: 'claim', commitment }],
  };
}

function onClaimed(state: Extract<Live, { readonly state: 'claiming' }>): MakerTransition {
  const { terms, reserved } = state;
  const { coins, authPublicKey, coinjoinAddress, changeAddress, authSignature } =
    reserved.reservation;
  const text = formatIoAuth({
    coins,
    authPublicKey,
    coinjoinAddress,
    changeAddress,
    signature: authSignature,
  });
  const answer: MakerEffect = {
    kind: 'send',
    command: 'ioauth',
    args: terms.box.encrypt(text, terms.randomBytes),
  };
  return {
    state: { ...state, state: 'awaiting-tx', attempts: 0, repeats: 0, lastAnswer: [answer] },
    effects: [answer, { kind: 'deadline', ms: terms.policy.txWaitMs }],
  };
}

function onTx(
  state: Extract<Live, { readonly state: 'awaiting-tx' }>,
  args: readonly string[],
): MakerTransition {
  const { terms, reserved } = state;
  const text = terms.box.decrypt(args);
  if (!text.ok) return { state, effects: NOTHING };
  const bytes = parseTransactionText(text.value);
  if (bytes === undefined) return refuse(state, 'transaction', 'bad base64 tx');
  const tx = parseUnsigned(bytes);
  if (!tx.ok) return refuse(state, 'transaction', `the transaction is unusable: ${tx.reason}`);
  const inputs = checkPayout(tx.value, reserved.payout);
  if (!inputs.ok) return refuse(state, 'payment', `the transaction does not pay: ${inputs.reason}`);
  const signing: Signing = { tx: tx.value, inputs: inputs.value };
  return {
    state: {
      ...state,
      state: 'signing',
      signing,
      taken: { ...state.taken, tx: args.join('') },
      lastAnswer: NOTHING,
    },
    effects: [
      { kind: 'deadline', ms: terms.policy.portWaitMs },
      {
        kind: 'sign',
        request: { transaction: bytes, txid: tx.value.txid, inputs: inputs.value },
      },
    ],
  };
}

function onSignatures(
  state: Extract<Live, { readonly state: 'signing' }>,
  signatures: readonly InputSignature[],
): MakerTransition {
  const { terms, signing, reserved } = state;
  const texts: string[] = [];
  for (const [n, { index, coin }] of signing.inputs.entries()) {
    const signature = signatures[n];
    if (signature === undefined || !signatureFits(signing.tx, index, coin, signature)) {
      return failed(
        state,
        'us',
        'bad-signature',
        `the wallet's signature ${n} does not fit`,
        'sorry',
      );
    }
    texts.push(formatSignatureText(signature, coin));
  }
  const answers = texts.map((text): MakerEffect => ({
    kind: 'send',
    command: 'sig',
    args: terms.box.encrypt(text, terms.randomBytes),
  }));
  return {
    state: {
      ...state,
      state: 'awaiting-push',
      reserved,
      tx: signing.tx,
      repeats: 0,
      lastAnswer: answers,
    },
    effects: [...answers, { kind: 'deadline', ms: terms.policy.pushWaitMs }],
  };
}

function onPush(
  state: Extract<Live, { readonly state: 'awaiting-push' }>,
  args: readonly string[],
): MakerTransition {
  const transaction = parseTransactionText(args.join(''));
  // Only what this session signed: others' transactions are not ours to spread (section 9.8).
  if (transaction === undefined || signedIds(transaction)?.unsignedTxid !== state.tx.txid) {
    return { state, effects: NOTHING };
  }
  return signed(state, true, [{ kind: 'broadcast', transaction }]);
}

function onMessage(
  state: Live,
  { command, args }: Extract<MakerEvent, { readonly kind: 'message' }>,
): MakerTransition {
  const same = command !== 'fill' && command !== 'push' && state.taken[command] === args.join('');
  if (command === 'fill' && state.state === 'awaiting-auth') return repeat(state);
  if (command === 'auth' && state.state === 'awaiting-auth' && !same) return onAuth(state, args);
  if (command === 'auth' && state.state === 'awaiting-tx' && same) return repeat(state);
  if (command === 'tx' && state.state === 'awaiting-tx') {
    // An `auth` that somebody on the way made a `tx` of.
    return state.taken.auth === args.join('') ? { state, effects: NOTHING } : onTx(state, args);
  }
  if (command === 'tx' && state.state === 'awaiting-push' && same) return repeat(state);
  if (command === 'push' && state.state === 'awaiting-push') return onPush(state, args);
  return { state, effects: NOTHING };
}

function onDeadline(state: Live): MakerTransition {
  switch (state.state) {
    case 'awaiting-push':
      return signed(state, false);
    case 'awaiting-auth':
    case 'awaiting-tx':
      return failed(state, 'taker', 'silent', `no ${STEPS[state.state]} came in time`);
    case 'checking-coin':
    case 'reserving':
    case 'claiming':
    case 'signing':
      return failed(state, 'us', 'port', `${STEPS[state.state]} took too long`, 'sorry, try later');
  }
}

/** The whole machine. Never throws on what a peer said. */
export function makerTransition(state: MakerState, event: MakerEvent): MakerTransition {
  if (state.state === 'ended') {
    // Coins that came too late must not stay reserved.
    if (event.kind !== 'reserved' || event.reservation === undefined) {
      return { state, effects: NOTHING };
    }
    const { reservation } = event;
    return { state, effects: [{ kind: 'settle', reservation, settlement: 'unsigned' }] };
  }
  switch (event.kind) {
    case 'message':
      return onMessage(state, event);
    case 'coin':
      return state.state === 'checking-coin' ? onCoin(state, event.coin) : { state, effects: [] };
    case 'reserved':
      return state.state === 'reserving'
        ? onReserved(state, event.reservation)
        : { state, effects: NOTHING };
    case 'claimed':
      return state.state === 'claiming' ? onClaimed(state) : { state, effects: NOTHING };
    case 'signatures':
      return state.state === 'signing'
        ? onSignatures(state, event.signatures)
        : { state, effects: NOTHING };
    case 'port-failed':
      if (state.state === 'awaiting-push') return { state, effects: NOTHING };
      return failed(state, 'us', 'port', `${event.port}: ${event.detail}`, 'sorry, try later');
    case 'deadline':
      return onDeadline(state);
    case 'end':
      if (state.state === 'awaiting-push') return signed(state, false);
      return failed(
        state,
        event.fault === 'commitment-used' || event.fault === 'replaced' ? 'taker' : 'us',
        event.fault,
        `the session was ${event.fault}`,
      );
  }
}

/** Coins of our own that a state holds; for tests of leaks. */
export function reservedCoins(state: MakerState): readonly OwnCoin[] {
  return 'reserved' in state ? state.reserved.reservation.coins : [];
}
