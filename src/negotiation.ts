/**
 * `onionmc/negotiation`: coinjoins up to the wallet. `runCoinjoin` is the taker's side; the maker's side
 * is the option `coinjoins` of `startMaker` (`onionmc`). Wallet and chain are given through the ports.
 */

// Interfaces that the caller implements: a wallet, a chain, a store of used commitments
export type {
  ChainCoin,
  ChainView,
  CommitmentStore,
  Funding,
  FundingRefusal,
  FundingRequest,
  MakerWallet,
  OwnCoin,
  Reservation,
  ReservationRequest,
  Settlement,
  Signer,
  SigningRequest,
  TakerChain,
  TakerWallet,
} from './negotiation/ports.js';
export { openCommitmentFile, type CommitmentFile } from './ops/commitment-file.js';

// A taker's round
export {
  runCoinjoin,
  type CoinjoinOptions,
  type RoundProgress,
} from './negotiation/taker/coinjoin.js';
export {
  chooseMakers,
  DEFAULT_BONDLESS_MAKERS_ALLOWANCE,
  type ChoicePolicy,
  type MakerChoice,
  type OfferOfMaker,
} from './taker/choose.js';
export { DEFAULT_FEE_POLICY, makerCost, type FeePolicy } from './negotiation/taker/fees.js';
export { feeFor } from './bitcoin/fee.js';
export { TAKER_DUST } from './negotiation/taker/transaction.js';
export {
  DEFAULT_TAKER_POLICY,
  type Broadcast,
  type Candidate,
  type LegFailure,
  type LegFault,
  type LegStep,
  type MakerReport,
  type RoundFault,
  type RoundResult,
  type TakerPolicy,
} from './negotiation/taker/api.js';

// A maker's sessions
export {
  DEFAULT_MAKER_POLICY,
  type MakerFault,
  type MakerOutcome,
  type MakerPolicy,
  type MakerStep,
} from './negotiation/maker/api.js';
export { DEFAULT_REQUEST_LIMITS, type RequestLimits } from './negotiation/maker/request-limits.js';
export { DEFAULT_SESSION_LIMITS, type SessionLimits } from './negotiation/maker/sessions.js';

// Commitments that were used
export type { BlacklistOptions } from './negotiation/maker/blacklist.js';
export {
  createCommitmentRelay,
  DEFAULT_RELAY_LIMITS,
  type CommitmentRelay,
  type CommitmentRelayOptions,
  type RelayLimits,
} from './negotiation/maker/commitment-relay.js';
export { announceCommitment, type AnnounceOptions } from './roles/announce-commitment.js';

// Transactions
export { addressScript } from './bitcoin/address.js';
export type { TransactionInput, TransactionOutput } from './bitcoin/transaction.js';
export {
  parseUnsigned,
  signatureFits,
  type InputSignature,
  type SpentOutput,
  type TransactionFault,
  type UnsignedTransaction,
} from './negotiation/transaction.js';

// The policies of a joinmarket.cfg (`loadSettings` of `onionmc`)
export {
  blacklistOptions,
  bondFilePath,
  bondPolicy,
  choicePolicy,
  commitmentListPath,
  requestLimits,
  makerPolicy,
  sessionLimits,
  takerPolicy,
} from './roles/negotiation-settings.js';
