/** The checks of `onionmc doctor`, loaded at once. */
import type { Check, DoctorRole } from '../../src/doctor/check.js';
import { checksOf } from '../../src/doctor/checks.js';

export async function loadChecks(role: DoctorRole): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for await (const check of checksOf(role)) checks.push(check);
  return checks;
}
