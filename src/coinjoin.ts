/**
 * `onionmc/coinjoin`: coinjoins with a wallet of a data directory, as calls. `openWallet` opens the wallet,
 * `openWalletTaker` pays with it, `serveWalletMaker` earns with it. The settings are those of its
 * `joinmarket.cfg`.
 */

// The wallet
export {
  openWallet,
  type MixdepthBalance,
  type OpenedWallet,
  type OpenWalletOptions,
} from './roles/opened-wallet.js';

// A taker
export {
  openWalletTaker,
  type WalletRoleOptions,
  type WalletTakerRole,
} from './roles/library-coinjoin.js';
export type { CoinjoinRunOptions } from './roles/coinjoin.js';
export type { CoinjoinWish } from './roles/coinjoin-request.js';
export type {
  ChoiceRule,
  CoinjoinEvent,
  CoinjoinOutcome,
  CoinjoinPhase,
  CoinjoinPlan,
  CoinjoinRequest,
  CommitmentCoin,
  Destination,
  FeeChoice,
  Revealed,
} from './taker/api.js';

// A maker
export {
  serveWalletMaker,
  type RunningWalletMaker,
  type WalletMakerOptions,
} from './roles/library-coinjoin.js';
export type {
  MakerCoinjoin,
  MakerSessionView,
  MakerStatus,
  MixdepthFunds,
  OnMakerOutcome,
} from './maker/api.js';
