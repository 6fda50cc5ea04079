/** The second half of a taker's round: the signatures of all sides. */
import { formatOutpoint } from '../../protocol/outpoint.js';
import type { Leg, LegFault, RoundEffect, RoundEvent, RoundTransition } from './api.js';
import { finish, keep } from './broadcast.js';
import { nameCoin } from '../coin-metadata.js';
import { dropLeg, preceded, unchanged, withLeg, type ActiveLeg, type Collecting } from './legs.js';
import { parseIoAuth, parseSignatureText } from '../payloads.js';
import { assemble, signatureFits, type InputSignature } from '../transaction.js';

/** Without every signature there is no transaction: the round ends. */
export function endForLeg(
  state: Collecting,
  leg: ActiveLeg,
  fault: LegFault,
  detail: string,
): RoundTransition {
  const dropped = dropLeg(state, leg, fault, detail);
  const { nick } = leg.candidate;
  return preceded(
    dropped.effects,
    finish(dropped.state, 'unsigned', `${nick} did not sign: ${fault}`),
  );
}

export function onSig(
  state: Collecting,
  leg: Extract<Leg, { readonly step: 'sig' | 'signed' }>,
  args: readonly string[],
): RoundTransition {
  const ciphertext = args.join('');
  if (leg.step !== 'sig' || leg.taken.has(ciphertext)) return unchanged(state);
  const text = leg.box.decrypt(args);
  if (!text.ok) return unchanged(state);
  // Another `ioauth` of it, to a repeated `auth`: any relay can turn it into a `sig`.
  if (parseIoAuth(text.value).ok) return unchanged(state);
  const signature = parseSignatureText(text.value);
  if (!signature.ok) return endForLeg(state, leg, 'bad-signature', 'sig is malformed');
  const { tx } = state;
  const { nick } = leg.candidate;
  const index = tx.inputs.findIndex((input, n) => {
    const coin = leg.part.coins.find(
      ({ txid, vout }) => txid === input.txid && vout === input.vout,
    );
    return (
      coin !== undefined && !leg.signatures.has(n) && signatureFits(tx, n, coin, signature.value)
    );
  });
  // A signature that was received before fits no open input, and is not a fault.
  if (index === -1 && !repeats(leg, signature.value)) {
    return endForLeg(state, leg, 'bad-signature', 'a signature fits none of its inputs');
  }
  if (index === -1) return unchanged(state);
  const signatures = new Map(leg.signatures).set(index, signature.value);
  const taken = new Set(leg.taken).add(ciphertext);
  const complete = signatures.size === leg.part.coins.length;
  const next = withLeg(state, { ...leg, step: complete ? 'signed' : 'sig', signatures, taken });
  if (!complete) return unchanged(next);
  const effects: RoundEffect[] = [
    { kind: 'deadline', nick, ms: undefined },
    { kind: 'forget', nick },
  ];
  return preceded(effects, checkWhenComplete(next));
}

function repeats(leg: Extract<Leg, { readonly step: 'sig' | 'signed' }>, again: InputSignature) {
  const text = again.signature.join(',');
  return [...leg.signatures.values()].some(({ signature }) => signature.join(',') === text);
}

type SignedLeg = Extract<Leg, { readonly step: 'sig' | 'signed' }>;

const signedLegs = ({ legs }: Collecting): readonly SignedLeg[] =>
  [...legs.values()].filter((leg): leg is SignedLeg => leg.step === 'signed');

/**
 * Our own signatures come last: before that no other party can use the transaction. The coins of the makers
 * are looked up once more, since a maker may have spent one meanwhile.
 */
function checkWhenComplete(state: Collecting): RoundTransition {
  if ([...state.legs.values()].some(({ step }) => step === 'sig')) return unchanged(state);
  const coins = signedLegs(state).flatMap(({ part }) =>
    part.coins.map((coin) => nameCoin(coin, coin.script, coin.height)),
  );
  return {
    state: { ...state, phase: 'checking' },
    effects: [
      { kind: 'step-deadline', ms: state.terms.policy.portWaitMs },
      { kind: 'recheck', coins },
    ],
  };
}

export function onRechecked(
  state: Collecting,
  { coins }: Extract<RoundEvent, { readonly kind: 'rechecked' }>,
): RoundTransition {
  const { tx, own, terms } = state;
  let at = 0;
  for (const leg of signedLegs(state)) {
    for (const coin of leg.part.coins) {
      const found = coins[at];
      at += 1;
      if (found?.script === coin.script && found.value === coin.value) continue;
      return endForLeg(state, leg, 'coin-missing', `${formatOutpoint(coin)} was spent meanwhile`);
    }
  }
  return {
    state: { ...state, phase: 'signing' },
    effects: [
      { kind: 'step-deadline', ms: terms.policy.portWaitMs },
      { kind: 'sign', request: { transaction: tx.bytes, txid: tx.txid, inputs: own } },
    ],
  };
}

export function onSignatures(
  state: Collecting,
  { signatures }: Extract<RoundEvent, { readonly kind: 'signatures' }>,
): RoundTransition {
  const { tx, own, funding, terms, legs, revealed } = state;
  const parts = new Map<number, Parameters<typeof assemble>[1][number]>();
  for (const [n, { index, coin }] of own.entries()) {
    const signature = signatures[n];
    if (signature === undefined || !signatureFits(tx, index, coin, signature)) {
      return finish(state, 'bad-signature', `the wallet's signature ${n} does not fit`);
    }
    parts.set(index, { spent: coin, signature });
  }
  for (const leg of legs.values()) {
    if (leg.step !== 'signed') continue;
    for (const [index, signature] of leg.signatures) {
      const input = tx.inputs[index];
      const spent = leg.part.coins.find(
        ({ txid, vout }) => txid === input?.txid && vout === input.vout,
      );
      if (spent !== undefined) parts.set(index, { spent, signature });
    }
  }
  const inOrder = tx.inputs.flatMap((_, index) => parts.get(index) ?? []);
  if (inOrder.length < tx.inputs.length) {
    return finish(state, 'bad-signature', 'an input is left without signature');
  }
  return keep({ terms, legs, revealed, funding, final: assemble(tx, inOrder) });
}
