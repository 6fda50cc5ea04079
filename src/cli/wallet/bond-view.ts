/** Bonds as a person sees them, and as `--json` has them. Pure. */
import { formatBtc } from '../../bitcoin/amount.js';
import type { BondRow } from '../../bonds/bond-list.js';

/** A bond with its state, the next step, and what is wrong with it. */
function rowText(row: BondRow): string {
  const coin =
    row.outpoint === undefined ? 'no coin yet' : `${formatBtc(row.value)} BTC  ${row.outpoint}`;
  const until =
    row.certifiedUntil === undefined ? '' : `, certificate valid up to block ${row.certifiedUntil}`;
  return [
    `${row.month}  ${row.state}${until}  ${coin}`,
    `  ${row.address}${row.outside ? '  (its key is outside the wallet)' : ''}`,
    `  next: ${row.next}`,
    ...row.warnings.map((warning) => `  warning: ${warning}`),
  ].join('\n');
}

export function bondsText(rows: readonly BondRow[]): string {
  if (rows.length === 0)
    return 'no bonds; "onionmc wallet bond NAME address YYYY-MM" gives an address';
  return rows.map(rowText).join('\n');
}

/** The same for a program; the lock time in Unix seconds. */
export function bondRowJson(row: BondRow): Record<string, unknown> {
  const { lockTime, outpoint, certifiedUntil, ...rest } = row;
  return {
    ...rest,
    locktime: lockTime,
    outpoint: outpoint ?? null,
    certifiedUntil: certifiedUntil ?? null,
  };
}
