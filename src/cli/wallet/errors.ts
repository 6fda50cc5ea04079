/** The exit codes of what can go wrong with a wallet, its folder, and the chain. */
import { BroadcastError, ChainError, type ChainFault } from '../../chain/chain-error.js';
import { ExitCode, exitCodeOf } from '../../ops/exit.js';
import { WalletError, type WalletFault } from '../../wallet/api.js';
import { WalletStoreError, type WalletStoreFault } from '../../wallet/store/api.js';

const CHAIN_CODES: Readonly<Record<ChainFault, ExitCode>> = {
  unreachable: ExitCode.UNREACHABLE,
  starting: ExitCode.UNREACHABLE,
  timeout: ExitCode.UNREACHABLE,
  access: ExitCode.USAGE,
  network: ExitCode.USAGE,
  unable: ExitCode.FAILED,
  answer: ExitCode.FAILED,
};

const STORE_CODES: Readonly<Record<WalletStoreFault, ExitCode>> = {
  missing: ExitCode.USAGE,
  exists: ExitCode.USAGE,
  password: ExitCode.USAGE,
  locked: ExitCode.USAGE,
  damaged: ExitCode.FAILED,
  version: ExitCode.FAILED,
  disk: ExitCode.FAILED,
};

const WALLET_CODES: Readonly<Record<WalletFault, ExitCode>> = {
  amount: ExitCode.USAGE,
  coin: ExitCode.USAGE,
  mixdepth: ExitCode.USAGE,
  passphrase: ExitCode.USAGE,
  mainnet: ExitCode.USAGE,
  request: ExitCode.USAGE,
  fee: ExitCode.USAGE,
  funds: ExitCode.FAILED,
  frozen: ExitCode.FAILED,
  held: ExitCode.FAILED,
  chain: ExitCode.FAILED,
};

/** The error of a wallet command, with its exit code. */
export class WalletCommandError extends Error {
  override readonly name = 'WalletCommandError';
  constructor(
    message: string,
    readonly exitCode: ExitCode,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The exit code of an error of a wallet command. */
export function walletExitCode(error: unknown): ExitCode {
  if (error instanceof ChainError) return CHAIN_CODES[error.fault];
  if (error instanceof WalletStoreError) return STORE_CODES[error.fault];
  if (error instanceof WalletError) return WALLET_CODES[error.fault];
  if (error instanceof BroadcastError) return ExitCode.FAILED;
  return exitCodeOf(error);
}

/** Runs a command; its errors get the exit codes above. */
export async function withExitCodes<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const code = walletExitCode(error);
    if (!(error instanceof Error) || code === exitCodeOf(error)) throw error;
    throw new WalletCommandError(error.message, code, { cause: error });
  }
}
