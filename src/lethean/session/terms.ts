/** What a manager's session must keep to, before anything is paid. Pure. */
import { formatAmount } from '../amount.js';
import type { Gate, Provider, Session, Space } from '../model.js';
import type { Amount, PaymentOrder } from '../ports.js';
import { pricePerDay } from '../market/offers.js';
import type { Selected } from './state.js';

/** The provider asks for something else than it described. Nothing was paid. */
export class TermsError extends Error {
  /** Stable, for programs. */
  override readonly name = 'TermsError';
  constructor(
    /** What differs. */
    readonly what:
      'price' | 'wallet' | 'days' | 'gate' | 'space' | 'certificates' | 'key' | 'session',
    message: string,
  ) {
    super(`${message}: nothing was paid`);
  }
}

export interface Described {
  readonly provider: Provider;
  readonly gate: Gate;
  readonly space: Space;
}

export function selectedOf(
  { provider, gate, space }: Described,
  days: number,
  parent: string | undefined,
): Selected {
  return {
    providerId: provider.providerId,
    gateId: gate.gateId,
    spaceId: space.spaceId,
    days,
    pricePerDay: pricePerDay(gate, space),
    wallet: provider.wallet,
    parent,
  };
}

/**
 * Compares the description that was chosen with the manager's own. A lower price is taken; another wallet, other
 * certificates or a higher price are not. Throws a TermsError.
 */
export function checkUnchanged(chosen: Described, fresh: Described): void {
  if (fresh.provider.wallet !== chosen.provider.wallet) {
    throw new TermsError(
      'wallet',
      'the provider has another wallet than in the description that was chosen',
    );
  }
  if (certificatesOf(fresh.provider) !== certificatesOf(chosen.provider)) {
    throw new TermsError(
      'certificates',
      'the provider has other certificates than in the description that was chosen',
    );
  }
  const [before, now] = [
    pricePerDay(chosen.gate, chosen.space),
    pricePerDay(fresh.gate, fresh.space),
  ];
  if (now > before) {
    throw new TermsError(
      'price',
      `the price for a day rose from ${formatAmount(before)} to ${formatAmount(now)} LTHN`,
    );
  }
}

/** Whether wallet and certificates are the same. */
export function hasSameIdentity(one: Provider, two: Provider): boolean {
  return one.wallet === two.wallet && certificatesOf(one) === certificatesOf(two);
}

const certificatesOf = ({ ca }: Provider): string => ca.toSorted().join('');

/** All that a session costs: the price and the contributions. Atomic units. */
export function costOf(session: Session): Amount {
  return session.contributions.reduce((sum, { price }) => sum + price, session.price);
}

/** Compares a new session with what was chosen. Throws a TermsError. */
export function checkSession(
  session: Session,
  selected: Selected,
  wireGuardKey: string | undefined,
): void {
  const most = selected.pricePerDay * BigInt(selected.days);
  const cost = costOf(session);
  if (cost > most) {
    throw new TermsError(
      'price',
      `the manager asks for ${formatAmount(cost)} LTHN; ${selected.days} days cost ${formatAmount(most)} LTHN by the description`,
    );
  }
  if (cost > 0n && selected.wallet !== undefined && session.wallet !== selected.wallet) {
    throw new TermsError('wallet', 'the manager names another wallet than the description');
  }
  if (session.days !== selected.days) {
    throw new TermsError(
      'days',
      `the manager made a session of ${session.days} days instead of ${selected.days}`,
    );
  }
  if ((session.gateId ?? selected.gateId) !== selected.gateId) {
    throw new TermsError('gate', 'the manager made a session for another gate');
  }
  if ((session.spaceId ?? selected.spaceId) !== selected.spaceId) {
    throw new TermsError('space', 'the manager made a session for another space');
  }
  if (
    wireGuardKey !== undefined &&
    session.wg !== undefined &&
    session.wg.clientPublicKey !== wireGuardKey
  ) {
    throw new TermsError('key', 'the manager made a session for another WireGuard key');
  }
}

/**
 * The payment of a session: its price to the provider, and the contributions; no empty parts.
 * @param payBy seconds since 1970
 */
export function orderOf(session: Session, payBy: number): PaymentOrder {
  return {
    sessionId: session.sessionId,
    paymentId: session.paymentId,
    days: session.days,
    payBy,
    destinations: [
      { address: session.wallet, amount: session.price },
      ...session.contributions.map(({ wallet, price }) => ({ address: wallet, amount: price })),
    ].filter(({ amount }) => amount > 0n),
  };
}
