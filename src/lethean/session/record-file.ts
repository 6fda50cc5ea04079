/** The file of a session: its state as JSON, with amounts as text. Written and read here only. Pure. */
import { formatAmount, parseAmount } from '../amount.js';
import { Fields, readFields } from '../market/fields.js';
import { formatGate, formatProvider, formatSpace } from '../market/format.js';
import { parseGate } from '../market/parse-gate.js';
import { parseProvider, parseSpace } from '../market/parse-provider.js';
import { formatSession, sessionOf } from '../market/parse-session.js';
import type { PaymentOrder, PaymentReceipt } from '../ports.js';
import type { Payment, Selected, SessionState } from './state.js';
import type { Described } from './terms.js';

/** A state that is worth a file: there is a session. */
export type StoredState = Exclude<SessionState, { state: 'IDLE' | 'DISCOVERING' }>;

export interface SessionRecord {
  readonly state: StoredState;
  /** Seconds since 1970 at which the state began. */
  readonly since: number;
  /**
   * The provider, the gate and the space as the provider's manager described them before the order: the session's
   * credentials go there, and nowhere else. Undefined in a file of version 1, which has no description.
   */
  readonly described: Described | undefined;
}

const VERSION = 2;
/** Longest description of a provider, a gate or a space in the file, in UTF-16 units. */
const MAX_DESCRIPTION_TEXT = 1_048_576;
const MAX_BYTES_USED = Number.MAX_SAFE_INTEGER;

export function formatRecord({ state, since, described }: SessionRecord): string {
  const { selected, session, state: name, ...more } = state;
  return `${JSON.stringify(
    {
      version: described === undefined ? 1 : VERSION,
      state: name,
      since,
      selected: { ...selected, pricePerDay: formatAmount(selected.pricePerDay) },
      session: formatSession(session),
      ...(described === undefined ? {} : { described: describedForm(described) }),
      ...more,
      ...('payment' in more ? { payment: paymentForm(more.payment) } : {}),
    },
    undefined,
    2,
  )}\n`;
}

/** Throws a DescriptionError: the file was changed, or is of a later version. */
export function parseRecord(text: string): SessionRecord {
  const fields = readFields(text);
  const version = fields.integer('version', 1, 1_000);
  if (version > VERSION) {
    throw fields.fault(
      'version',
      `must be at most ${VERSION}: the file is of a later version of this program`,
    );
  }
  const state = stateOf(fields);
  const described =
    version === 1 ? undefined : describedOf(fields.object('described'), state.selected);
  return { state, since: fields.time('since'), described };
}

/** Each description is the text of its file: so its amounts stay exact. */
function describedForm({ provider, gate, space }: Described): object {
  return {
    provider: formatProvider(provider),
    gate: formatGate(gate),
    space: formatSpace(space),
  };
}

function describedOf(fields: Fields, { providerId, gateId, spaceId }: Selected): Described {
  const read = (name: string): Fields => readFields(fields.text(name, MAX_DESCRIPTION_TEXT));
  const provider = parseProvider(read('provider'));
  const gate = parseGate(read('gate'));
  const space = parseSpace(read('space'));
  if (provider.providerId !== providerId)
    throw fields.fault('provider', 'must be that of the session');
  if (gate.gateId !== gateId) throw fields.fault('gate', 'must be that of the session');
  if (space.spaceId !== spaceId) throw fields.fault('space', 'must be that of the session');
  return { provider, gate, space };
}

function stateOf(fields: Fields): StoredState {
  const selected = selectedOf(fields.object('selected'));
  const session = sessionOf(fields.object('session'));
  const name = fields.text('state');
  if (name === 'UNPAID') return { state: name, selected, session, payBy: fields.time('payBy') };
  const used = fields.object('usage');
  const base = {
    selected,
    session,
    payment: paymentOf(fields),
    usage: {
      sent: used.integer('sent', 0, MAX_BYTES_USED),
      received: used.integer('received', 0, MAX_BYTES_USED),
    },
  };
  switch (name) {
    case 'CONFIRMING':
    case 'CONNECTING':
    case 'ACTIVE':
      return { state: name, ...base };
    case 'EXPIRED':
      return { state: name, cause: oneOf(fields, ['time', 'data', 'unpaid', 'renewed']), ...base };
    case 'DISCONNECTED':
      return {
        state: name,
        cause: oneOf(fields, ['user', 'refused', 'failed']),
        reason: fields.text('reason', 4_096),
        granted: fields.flag('granted', false),
        ...base,
      };
    default:
      throw fields.fault('state', 'must be a state of a session');
  }
}

function oneOf<T extends string>(fields: Fields, causes: readonly T[]): T {
  const text = fields.text('cause');
  const cause = causes.find((known) => known === text);
  if (cause === undefined) throw fields.fault('cause', `must be one of ${causes.join(', ')}`);
  return cause;
}

function selectedOf(fields: Fields): Selected {
  return {
    providerId: fields.text('providerId'),
    gateId: fields.text('gateId'),
    spaceId: fields.text('spaceId'),
    days: fields.integer('days', 1, 1_000_000),
    pricePerDay: exactAmount(fields, 'pricePerDay'),
    wallet: fields.optionalText('wallet'),
    parent: fields.optionalText('parent'),
  };
}

function exactAmount(fields: Fields, name: string): bigint {
  const amount = parseAmount(fields.text(name));
  if (amount === undefined) throw fields.fault(name, 'must be an amount');
  return amount;
}

function paymentForm(payment: Payment | undefined): object | undefined {
  if (payment === undefined) return undefined;
  const { order, receipt } = payment;
  return {
    order: { ...order, destinations: order.destinations.map(destinationForm) },
    ...(receipt === undefined
      ? {}
      : {
          receipt: {
            txids: receipt.txids,
            spent: formatAmount(receipt.spent),
            proofs: receipt.proofs,
          },
        }),
  };
}

const destinationForm = ({ address, amount }: PaymentOrder['destinations'][number]): object => ({
  address,
  amount: formatAmount(amount),
});

function paymentOf(fields: Fields): Payment | undefined {
  const payment = fields.optionalObject('payment');
  if (payment === undefined) return undefined;
  const order = orderOf(payment.object('order'));
  const receipt = payment.optionalObject('receipt');
  return { order, receipt: receipt === undefined ? undefined : receiptOf(receipt, order) };
}

function orderOf(fields: Fields): PaymentOrder {
  const payBy = fields.optionalTime('payBy');
  return {
    ...(payBy === undefined ? {} : { payBy }),
    sessionId: fields.text('sessionId'),
    paymentId: fields.text('paymentId'),
    days: fields.integer('days', 1, 1_000_000),
    destinations: fields.list('destinations').map(({ value, path }) => {
      const destination = Fields.of(value, path);
      return { address: destination.text('address'), amount: exactAmount(destination, 'amount') };
    }),
  };
}

function receiptOf(fields: Fields, order: PaymentOrder): PaymentReceipt {
  return {
    order,
    txids: fields.texts('txids'),
    spent: exactAmount(fields, 'spent'),
    proofs: fields.list('proofs').map(({ value, path }) => {
      const proof = Fields.of(value, path);
      return { txid: proof.text('txid'), signature: proof.text('signature', 16_384) };
    }),
  };
}
