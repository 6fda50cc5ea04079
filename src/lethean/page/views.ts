/** What programs and pages get to see of offers, sessions and payments: no password, key, bearer or metadata. Pure. */
import { formatAmount } from '../amount.js';
import { linkOf, type Offer } from '../market/offers.js';
import type { Balance } from '../payment/wallet.js';
import type { Transfer } from '../payment/transfer.js';
import type { Quote } from '../session/acquisition.js';
import type { SessionRecord } from '../session/record-file.js';
import { keyOf } from '../session/store.js';
import { costOf } from '../session/terms.js';

export interface OfferView {
  readonly link: string;
  readonly provider: string;
  readonly providerId: string;
  readonly name: string;
  readonly type: string;
  readonly country?: string | undefined;
  /** LTHN. */
  readonly pricePerDay: string;
  /** kbit/s */
  readonly downloadKbps?: number | undefined;
  /** Whether this client can connect to it as it is. */
  readonly usable: boolean;
}

export function offerView(offer: Offer): OfferView {
  return {
    link: linkOf(offer),
    provider: offer.providerName,
    providerId: offer.providerId,
    name: offer.name,
    type: offer.type,
    country: offer.country,
    pricePerDay: formatAmount(offer.pricePerDay),
    downloadKbps: offer.downloadKbps,
    usable: offer.way.kind === 'gate',
  };
}

export interface SessionView {
  /** What `disconnect` takes. */
  readonly key: string;
  readonly state: string;
  readonly gate: string;
  readonly space: string;
  readonly days: number;
  /** Seconds since 1970. */
  readonly since: number;
  readonly expires: number;
  /** LTHN, for all days. */
  readonly price: string;
  /** LTHN with fees; absent until it was paid. */
  readonly spent?: string | undefined;
  readonly sent: number;
  readonly received: number;
  /** Why it is over or stands still. */
  readonly cause?: string | undefined;
  readonly parent?: string | undefined;
}

export function sessionView(record: SessionRecord): SessionView {
  const { state, since } = record;
  const { selected, session } = state;
  const usage = 'usage' in state ? state.usage : { sent: 0, received: 0 };
  const receipt = 'payment' in state ? state.payment?.receipt : undefined;
  const cause =
    state.state === 'DISCONNECTED' && state.reason !== ''
      ? `${state.cause}: ${state.reason}`
      : 'cause' in state
        ? state.cause
        : undefined;
  return {
    key: keyOf(record),
    state: state.state,
    gate: selected.gateId,
    space: selected.spaceId,
    days: selected.days,
    since,
    expires: session.expires,
    price: formatAmount(costOf(session)),
    spent: receipt === undefined ? undefined : formatAmount(receipt.spent),
    sent: usage.sent,
    received: usage.received,
    cause,
    parent: selected.parent,
  };
}

export interface QuoteView {
  readonly provider: string;
  readonly gate: string;
  readonly days: number;
  /** LTHN, without the fee of the network. */
  readonly cost: string;
  readonly to: readonly { readonly address: string; readonly amount: string }[];
}

export function quoteView({ described, days, cost, session }: Quote): QuoteView {
  return {
    provider: described.provider.name,
    gate: described.gate.gateId,
    days,
    cost: formatAmount(cost),
    to: [session, ...session.contributions]
      .filter(({ price }) => price > 0n)
      .map(({ wallet, price }) => ({ address: wallet, amount: formatAmount(price) })),
  };
}

export interface WalletView {
  readonly name: string;
  readonly address: string;
  readonly height: number;
  /** LTHN. */
  readonly total: string;
  readonly unlocked: string;
  readonly blocksToUnlock: number;
  readonly transfers: readonly TransferView[];
}

export interface TransferView {
  readonly type: string;
  readonly amount: string;
  readonly fee: string;
  readonly confirmations: number;
  readonly timestamp: number;
  readonly txid: string;
}

/** Transfers that are shown; the wallet has all. */
const MAX_TRANSFERS = 50;

export function walletView(wallet: {
  readonly name: string;
  readonly address: string;
  readonly height: number;
  readonly balance: Balance;
  readonly transfers: readonly Transfer[];
}): WalletView {
  const { name, address, height, balance, transfers } = wallet;
  return {
    name,
    address,
    height,
    total: formatAmount(balance.total),
    unlocked: formatAmount(balance.unlocked),
    blocksToUnlock: balance.blocksToUnlock,
    transfers: transfers.slice(0, MAX_TRANSFERS).map(transferView),
  };
}

function transferView(transfer: Transfer): TransferView {
  const { type, amount, fee, confirmations, timestamp, txid } = transfer;
  return {
    type,
    amount: formatAmount(amount),
    fee: formatAmount(fee),
    confirmations,
    timestamp,
    txid,
  };
}
