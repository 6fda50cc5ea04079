/** Tables of the commands of `onionmc lethean`. */
import { textTable } from '../../kit/text-table.js';
import type { OfferView, QuoteView, SessionView, WalletView } from '../../lethean/page/views.js';

const OFFER_COLUMNS = [
  { heading: 'PROVIDER' },
  { heading: 'NAME' },
  { heading: 'TYPE' },
  { heading: 'COUNTRY' },
  { heading: 'LTHN A DAY', numeric: true },
  { heading: 'SPEED', numeric: true },
  { heading: 'LINK' },
];
const SESSION_COLUMNS = [
  { heading: 'SESSION' },
  { heading: 'STATE' },
  { heading: 'GATE' },
  { heading: 'EXPIRES' },
  { heading: 'LTHN', numeric: true },
  { heading: 'SENT/RECEIVED', numeric: true },
  { heading: 'WHY' },
];
const TRANSFER_COLUMNS = [
  { heading: 'WHEN' },
  { heading: 'KIND' },
  { heading: 'LTHN', numeric: true },
  { heading: 'FEE', numeric: true },
  { heading: 'BLOCKS', numeric: true },
  { heading: 'TRANSACTION' },
];

export const moment = (seconds: number): string =>
  seconds === 0 ? '' : new Date(seconds * 1_000).toISOString().slice(0, 16).replace('T', ' ');

function speed(kbps: number | undefined): string {
  if (kbps === undefined) return '';
  return kbps >= 1_000 ? `${Math.round(kbps / 1_000)} Mbit/s` : `${kbps} kbit/s`;
}

export function offerTable(offers: readonly OfferView[]): string {
  const rows = offers.map((offer) => [
    offer.provider,
    offer.name,
    offer.type,
    offer.country ?? '',
    offer.pricePerDay,
    speed(offer.downloadKbps),
    offer.usable ? offer.link : `${offer.link} (an old service: needs its VDP)`,
  ]);
  return textTable(OFFER_COLUMNS, rows).join('\n');
}

export function sessionTable(sessions: readonly SessionView[]): string {
  const rows = sessions.map((session) => [
    session.key,
    session.state,
    session.gate,
    moment(session.expires),
    session.spent ?? session.price,
    `${session.sent}/${session.received}`,
    session.cause ?? '',
  ]);
  return textTable(SESSION_COLUMNS, rows).join('\n');
}

export function walletText(view: WalletView): string {
  const head = [
    `wallet   ${view.name}, read up to block ${view.height}`,
    `address  ${view.address}`,
    `coins    ${view.total} LTHN, ${view.unlocked} can be spent${view.blocksToUnlock > 0 ? `, the rest within ${view.blocksToUnlock} blocks` : ''}`,
  ];
  if (view.transfers.length === 0) return head.join('\n');
  const rows = view.transfers.map((transfer) => [
    moment(transfer.timestamp),
    transfer.type,
    transfer.amount,
    transfer.fee,
    `${transfer.confirmations}`,
    transfer.txid,
  ]);
  return [...head, '', ...textTable(TRANSFER_COLUMNS, rows)].join('\n');
}

/** What a person is asked before a payment. */
export function quoteText({ provider, gate, days, cost, to }: QuoteView): string {
  const parts = to.map(({ address, amount }) => `  ${amount} LTHN to ${address}`);
  return [
    `${cost} LTHN for ${days} ${days === 1 ? 'day' : 'days'} of ${gate} (${provider}), and the fee of the network:`,
    ...parts,
  ].join('\n');
}
