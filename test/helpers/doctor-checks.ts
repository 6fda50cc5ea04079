/** The checks of `onionmc doctor`, loaded at once, and a bitcoin node that is not there. */
import { ChainError } from '../../src/chain/chain-error.js';
import type { Check, DoctorRole } from '../../src/doctor/check.js';
import { checksOf } from '../../src/doctor/checks.js';

export async function loadChecks(role: DoctorRole): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for await (const check of checksOf(role)) checks.push(check);
  return checks;
}

/** For `Machine.openChain`: nothing answers. */
export const noNode = (): Promise<never> =>
  Promise.reject(
    new ChainError(
      'unreachable',
      'no bitcoin node answers at localhost:38332 (ECONNREFUSED): start it, or correct rpc_host and rpc_port in [BLOCKCHAIN]',
    ),
  );
