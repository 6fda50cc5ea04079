/**
 * `onionmc/lethean`: the client of Lethean's RFC-0005, an optional module that the message channel does not use. It
 * was tried against no live network: docs/lethean.md says what that leaves unproven.
 */

// The client
export {
  LetheanClient,
  type ConnectRequest,
  type LetheanClientOptions,
  type LetheanFolders,
} from './lethean/client.js';
export { readSessions } from './lethean/session/store.js';

// Its parts
export { createTransports } from './lethean/transport/transports.js';
export { OrderBook } from './lethean/payment/order-book.js';
export { WalletPayer } from './lethean/payment/payer.js';
export { WalletRpc } from './lethean/payment/wallet-rpc.js';
export { Wallet } from './lethean/payment/wallet.js';

// Units
export { formatAmount, parseAmount } from './lethean/amount.js';
export { parseSpeed } from './lethean/market/units.js';

// Errors
export { CallError, type CallFault } from './lethean/market/https-call.js';
export { DescriptionError } from './lethean/market/fields.js';
export { SelectionError } from './lethean/market/link.js';
export { ManagerError } from './lethean/market/manager.js';
export { SearchError } from './lethean/market/market.js';
export { PaymentError, WalletError } from './lethean/payment/wallet-error.js';
export {
  NotAgreedError,
  NotRecognisedError,
  SessionInUseError,
  SessionOverError,
} from './lethean/session/errors.js';
export { SessionStateError } from './lethean/session/state.js';
export { TermsError } from './lethean/session/terms.js';
export { TransportError } from './lethean/transport/transport-error.js';
