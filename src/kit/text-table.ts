/** Columns of text: for a terminal, and as Markdown. Pure. */

export type Row = readonly string[];

export interface Column {
  /** Absent in a table without headings. */
  readonly heading?: string;
  /** Numbers stand to the right. */
  readonly numeric?: boolean;
}

function widthsOf(rows: readonly Row[]): readonly number[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  }
  return widths;
}

function padded(row: Row, widths: readonly number[], columns: readonly Column[]): Row {
  return widths.map((width, i) => {
    const cell = row[i] ?? '';
    return columns[i]?.numeric === true ? cell.padStart(width) : cell.padEnd(width);
  });
}

/** Lines of a table for a terminal: columns padded, two blanks between them, the headings first if there are any. */
export function textTable(columns: readonly Column[], rows: readonly Row[]): readonly string[] {
  const headings = columns.map(({ heading = '' }) => heading);
  const all = headings.some((heading) => heading !== '') ? [headings, ...rows] : rows;
  const widths = widthsOf(all);
  return all.map((row) => padded(row, widths, columns).join('  ').trimEnd());
}

/** Lines of a Markdown table. */
export function markdownTable(headings: Row, rows: readonly Row[]): readonly string[] {
  const widths = widthsOf([headings, ...rows]);
  const line = (row: Row): string => `| ${padded(row, widths, []).join(' | ')} |`;
  const rule = widths.map((width) => '-'.repeat(width));
  return [headings, rule, ...rows].map(line);
}
