/** `onionmc llarp inspect`: what a file of LLARP v0 holds. */
import { readFile, stat } from 'node:fs/promises';
import { errorText } from '../../kit/error-text.js';
import { quotedLine, shownLine } from '../../kit/shown-text.js';
import { inspectLlarp, MAX_FILE_BYTES, type Inspection, type Shown } from '../../llarp/inspect.js';
import { ExitCode } from '../../ops/exit.js';
import { UsageError } from '../errors.js';
import { print, printJson, printNote } from '../print.js';

/** A value as indented lines: `port: 1234`. */
function linesOf(value: Shown, indent: string): readonly string[] {
  if (typeof value !== 'object') return [`${indent}${shownLine(String(value), 4_096)}`];
  return Object.entries(value).flatMap(([name, item]) => {
    const label = `${indent}${shownLine(name)}:`;
    if (typeof item !== 'object') return [`${label} ${shownLine(String(item), 4_096)}`];
    return [label, ...linesOf(item, `${indent}  `)];
  });
}

function textOf({ structure, value, remarks }: Inspection): string {
  return [structure, ...linesOf(value, '  '), ...remarks.map((each) => `  (${each})`)].join('\n');
}

async function contentOf(file: string): Promise<Uint8Array> {
  let fault = `is larger than ${MAX_FILE_BYTES} bytes`;
  try {
    const { size } = await stat(file);
    if (size <= MAX_FILE_BYTES) return await readFile(file);
  } catch (error) {
    fault = errorText(error);
  }
  throw new UsageError(`cannot read ${quotedLine(file)}: ${fault}`);
}

/** Prints the structures of a file. Exit code 1 when it holds anything else. */
export async function runInspect(file: string, options: { readonly json?: true }): Promise<void> {
  const bytes = await contentOf(file);
  const inspected = inspectLlarp(bytes);
  if (!inspected.ok) {
    printNote(`${quotedLine(file)}: ${shownLine(inspected.reason)}`);
    process.exitCode = ExitCode.FAILED;
    return;
  }
  if (options.json === true) printJson(inspected.value);
  else for (const each of inspected.value) print(textOf(each));
}
