/** What is told of an error: in a log, on one line, by its code. Pure. */
import { MAX_SHOWN_LINE, shownLine } from './shown-text.js';

/**
 * The message of an error on one line; also of a thrown value that is not an error. It reads only the
 * message and the name, because libraries keep passwords and addresses in further properties.
 */
export function errorText(error: unknown, maxLength: number = MAX_SHOWN_LINE): string {
  if (error instanceof Error) {
    return shownLine(error.message === '' ? error.name : error.message, maxLength);
  }
  return shownLine(typeof error === 'string' ? error : `thrown: ${typeof error}`, maxLength);
}

function rawCode(error: unknown): string | number | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' || typeof code === 'number' ? code : undefined;
}

/** The code of an error of the platform, such as `ENOENT`; undefined where it has none. */
export function errorCode(error: unknown): string | undefined {
  return rawCode(error)?.toString();
}

/** The code of an error, or its text where it has none: for a line that names the operation itself. */
export function errorCodeOrText(error: unknown): string {
  return shownLine(errorCode(error) ?? errorText(error));
}

/** The message and the code of an error. Its other properties are not read. */
export function errorFields(error: unknown): { error: string; code?: string | number } {
  const code = rawCode(error);
  return { error: errorText(error), ...(code === undefined ? {} : { code }) };
}

/** Whether a failed dial never left this machine (`Dialer.dial`), and so says nothing about the peer. */
export function isOurs(error: unknown): boolean {
  return error instanceof Error && 'ours' in error && error.ours === true;
}
