/**
 * Between the two halves of a taker's round: the wallet pays, and the transaction is built. A maker with which
 * no transaction is possible is left out, as long as enough others are ready.
 */
import { addressScript } from '../../bitcoin/address.js';
import type { Network } from '../../protocol/constants.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import { formatTransactionText } from '../payloads.js';
import type { Funding } from '../ports.js';
import type {
  LegFailure,
  RoundEffect,
  RoundEvent,
  RoundFault,
  RoundState,
  RoundTransition,
} from './api.js';
import { fund } from './asking.js';
import { finish } from './broadcast.js';
import { EXPECTED_COINS } from './fees.js';
import { isReady, preceded, withLeg, type ReadyLeg } from './legs.js';
import { buildTransaction } from './transaction.js';

type FundingState = Extract<RoundState, { readonly phase: 'funding' }>;

interface Ending {
  readonly fault: RoundFault;
  readonly detail: string;
}

const readyLegs = ({ legs }: FundingState): readonly ReadyLeg[] =>
  [...legs.values()].filter(isReady);

/** Asks the wallet again without this maker. Ends the round when the others do not suffice. */
function withoutMaker(
  state: FundingState,
  { candidate, step }: ReadyLeg,
  failure: Omit<LegFailure, 'step'>,
  end?: Ending,
): RoundTransition {
  const next = withLeg(state, { step: 'failed', candidate, failure: { step, ...failure } });
  const { length } = readyLegs(next);
  if (length < Math.max(1, state.terms.policy.minimumMakers)) {
    const { fault, detail } = end ?? {
      fault: 'too-few-makers',
      detail: `${length} makers are ready`,
    };
    return finish(next, fault, detail);
  }
  return preceded([{ kind: 'forget', nick: candidate.nick }], fund(next));
}

const countOf = ({ part }: ReadyLeg): number => part.coins.length;

/**
 * The miners would get too little for the size: leaves out the maker that brings most coins, where that is
 * more than expected.
 */
function withFewerCoins(state: FundingState, end: Ending): RoundTransition {
  const [most] = readyLegs(state).toSorted((a, b) => countOf(b) - countOf(a));
  if (most === undefined || countOf(most) <= EXPECTED_COINS) {
    return finish(state, end.fault, end.detail);
  }
  const detail = `it brings ${countOf(most)} coins, and the miners would get too little for them`;
  return withoutMaker(state, most, { fault: 'many-coins', detail }, end);
}

/** Scripts of our outputs. A maker may know them from an earlier round that failed. */
function scriptsOf(
  network: Network,
  { coinjoinAddress, changeAddress }: Funding,
): ReadonlySet<string | undefined> {
  const addresses = [coinjoinAddress, ...(changeAddress === undefined ? [] : [changeAddress])];
  return new Set(addresses.map((address) => addressScript(network, address)));
}

export function onFunded(
  state: FundingState,
  { funding }: Extract<RoundEvent, { readonly kind: 'funded' }>,
): RoundTransition {
  const { terms } = state;
  if (funding === undefined)
    return finish(state, 'no-funds', 'the wallet cannot pay for the round');
  if ('refused' in funding) {
    const fault = terms.sweep ? 'sweep-fee' : 'miner-fee';
    return withFewerCoins(state, { fault, detail: funding.detail });
  }
  const giveBack: RoundEffect = { kind: 'settle', funding, settlement: 'unsigned' };
  const ownCoins = new Set(funding.coins.map(formatOutpoint));
  const ready = readyLegs(state);
  const ownScripts = scriptsOf(terms.network, funding);
  const sharer = ready.find(
    ({ part }) =>
      part.coins.some((coin) => ownCoins.has(formatOutpoint(coin))) ||
      ownScripts.has(part.coinjoinScript) ||
      ownScripts.has(part.changeScript),
  );
  if (sharer !== undefined) {
    const detail = 'one of its coins or addresses belongs to us';
    return preceded([giveBack], withoutMaker(state, sharer, { fault: 'shared', detail }));
  }
  const built = buildTransaction(terms, ready, funding);
  if (!built.ok) {
    const { fault, detail, isShort } = built;
    const next = isShort ? withFewerCoins(state, { fault, detail }) : finish(state, fault, detail);
    return preceded([giveBack], next);
  }
  const { tx, own } = built;
  const text = formatTransactionText(tx.bytes);
  const legs = new Map(state.legs);
  const effects: RoundEffect[] = [{ kind: 'step-deadline', ms: undefined }];
  for (const leg of ready) {
    const { nick } = leg.candidate;
    legs.set(nick, { ...leg, step: 'sig', signatures: new Map(), refusal: undefined });
    effects.push(
      { kind: 'send', to: nick, command: 'tx', args: [leg.box.encrypt(text, terms.randomBytes)] },
      { kind: 'deadline', nick, ms: terms.policy.makerWaitMs },
    );
  }
  const revealed = { ...state.revealed, transaction: true };
  return { state: { phase: 'collecting', terms, legs, revealed, funding, tx, own }, effects };
}
