/** Figures, and their tables in Markdown, so that the output can be used in the documentation. */
import { cpus, loadavg, totalmem } from 'node:os';
import { markdownTable } from '../../src/kit/text-table.js';

/** The value below which this share of all lies, 0 to 1; NaN for no values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** `median (least to most)`; the median alone when there is one value. */
export function spread(values: readonly number[], digits: number): string {
  const text = (value: number): string =>
    value.toLocaleString('en-US', {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
  const median = text(quantile(values, 0.5));
  if (values.length < 2) return median;
  return `${median} (${text(Math.min(...values))} to ${text(Math.max(...values))})`;
}

export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  for (const line of markdownTable(head, rows)) console.log(line);
  console.log();
}

/** The machine and the software of the figures. */
export function printMachine(command: string): void {
  const all = cpus();
  console.log(`Command: \`${command}\`  `);
  console.log(
    `Machine: ${all[0]?.model.trim() ?? 'unknown'}, ${all.length} cores, ` +
      `${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}, node ${process.version}; ` +
      `load average at the start ${loadavg()[0]?.toFixed(1) ?? '?'}\n`,
  );
}
