/** Steps 2 and 3 of section 4.1 up to the payment: the provider's own description, a session, its terms. */
import { SelectionError } from '../market/link.js';
import { ManagerError } from '../market/manager.js';
import type { Session, Vdp } from '../model.js';
import type { Amount, Manager, WireGuardKeys } from '../ports.js';
import { NotAgreedError } from './errors.js';
import { SessionLedger, type LedgerOptions } from './ledger.js';
import type { SessionSettings } from './settings.js';
import { IDLE, next, SessionStateError } from './state.js';
import { keyOf } from './store.js';
import {
  checkSession,
  checkUnchanged,
  costOf,
  selectedOf,
  TermsError,
  type Described,
} from './terms.js';

/** What a person is asked before a payment. */
export interface Quote {
  readonly described: Described;
  readonly days: number;
  /** Atomic units, for all days, without the fee of the coin's network. */
  readonly cost: Amount;
  readonly session: Session;
}

/** Whether to pay. */
export type Agree = (quote: Quote) => boolean | Promise<boolean>;

export interface AcquisitionOptions {
  readonly manager: Manager;
  readonly ledger: LedgerOptions;
  readonly settings: SessionSettings;
  readonly keys: WireGuardKeys | undefined;
  /** Keeps the identity of the provider before it is paid. */
  readonly adopt: (fresh: Described) => Promise<void>;
}

/** The gate and the space as the provider's own manager describes them now. Throws a SelectionError or a TermsError. */
export async function freshDescription(
  manager: Manager,
  chosen: Described,
  signal: AbortSignal,
): Promise<Described> {
  const fresh = describedIn(await manager.vdp(signal), chosen);
  if (fresh === undefined) {
    throw new SelectionError(
      'the provider no longer offers this gate with this space: nothing was paid',
    );
  }
  checkUnchanged(chosen, fresh);
  return fresh;
}

/** The objects with the ids of a selection; undefined where one is missing, or the gate has left the space. */
export function describedIn(
  vdp: Vdp,
  ids: {
    readonly provider: { readonly providerId: string };
    readonly gate: { readonly gateId: string };
    readonly space: { readonly spaceId: string };
  },
): Described | undefined {
  const provider = vdp.providers.find((p) => p.providerId === ids.provider.providerId);
  const gate = vdp.gates.find((g) => g.gateId === ids.gate.gateId);
  const space = vdp.spaces.find((s) => s.spaceId === ids.space.spaceId);
  if (provider === undefined || gate === undefined || space === undefined) return undefined;
  return gate.spaces.includes(space.spaceId) ? { provider, gate, space } : undefined;
}

/**
 * A session in UNPAID, or further where it is free, on disk. With `parent` it renews that session. Throws a
 * TermsError, a NotAgreedError, or the errors of the manager; nothing was paid then.
 */
export async function acquire(
  options: AcquisitionOptions,
  described: Described,
  request: { readonly days: number; readonly parent: string | undefined; readonly agree?: Agree },
  signal: AbortSignal,
): Promise<SessionLedger> {
  const { manager, settings, ledger, adopt } = options;
  const selected = selectedOf(described, request.days, request.parent);
  const key = await wireGuardKey(options, described);
  const session =
    request.parent === undefined
      ? await create(manager, described, request.days, key, signal)
      : await renewed(manager, described, { ...request, parent: request.parent, key }, signal);
  checkSession(session, selected, key);
  if (ledger.store.get(keyOf({ state: { selected, session } })) !== undefined) {
    throw new TermsError('session', 'the manager gave the new session the id of an earlier one');
  }
  // From now on, not from the answer: a provider forgets a session that waits too long.
  const payBy = Math.min(ledger.now() + settings.unpaidExpiry, session.expires);
  const cost = costOf(session);
  const { agree } = request;
  if (cost > 0n && agree !== undefined) {
    const isAgreed = await agree({ described, days: request.days, cost, session });
    if (!isAgreed) throw new NotAgreedError('the payment was not agreed to: nothing was paid');
  }
  signal.throwIfAborted();
  if (cost > 0n && ledger.now() >= payBy) {
    throw new NotAgreedError(
      'the answer came when the provider may have forgotten the session: nothing was paid; connect again',
    );
  }
  await adopt(described);
  const state = next(next(IDLE, { kind: 'select', selected }), { kind: 'create', session, payBy });
  if (state.state === 'IDLE' || state.state === 'DISCOVERING') {
    throw new SessionStateError('a new session has no state');
  }
  return SessionLedger.create(ledger, state, described);
}

async function wireGuardKey(
  { keys }: AcquisitionOptions,
  { gate }: Described,
): Promise<string | undefined> {
  if (!('wg' in gate)) return undefined;
  if (keys === undefined)
    throw new SelectionError('WireGuard is off: set enable-wg = 1, or choose another gate');
  return keys.publicKey(gate.gateId);
}

function create(
  manager: Manager,
  { gate, space }: Described,
  days: number,
  key: string | undefined,
  signal: AbortSignal,
): Promise<Session> {
  const wireGuard = key === undefined ? undefined : { publicKey: key, endpoint: 'dynamic' };
  return manager.create({ gateId: gate.gateId, spaceId: space.spaceId, days, wireGuard }, signal);
}

/** Statuses of managers that know no renewal, no longer know the session, or allow none. */
const NO_RENEWAL: ReadonlySet<number> = new Set([404, 405, 463, 464, 465]);

async function renewed(
  manager: Manager,
  described: Described,
  {
    days,
    parent,
    key,
  }: { readonly days: number; readonly parent: string; readonly key: string | undefined },
  signal: AbortSignal,
): Promise<Session> {
  try {
    return await manager.reuse(parent, days, signal);
  } catch (error) {
    if (!(error instanceof ManagerError) || !NO_RENEWAL.has(error.status)) throw error;
    return create(manager, described, days, key, signal);
  }
}
