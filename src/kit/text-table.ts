/** Columns of text for a terminal. */

export interface Column {
  readonly heading: string;
  /** Numbers are aligned to the right. */
  readonly numeric?: boolean;
}

/** Heading and rows, columns padded, two blanks between columns. */
export function textTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const widths = columns.map(({ heading }, i) =>
    Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ numeric }, i) => {
        const cell = cells[i] ?? '';
        const width = widths[i] ?? 0;
        return numeric === true ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [line(columns.map(({ heading }) => heading)), ...rows.map(line)];
}
