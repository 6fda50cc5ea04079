/** The texts and codes of errors, for logs. Pure. */
import { MAX_SHOWN_LINE, shownLine } from './shown-text.js';

/**
 * The message of an error on one line; also for thrown values that are not errors. Only message and
 * name are read, because libraries keep passwords and addresses in other properties.
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

/** The code of an error of the platform, such as `ENOENT`; undefined without one. */
export function errorCode(error: unknown): string | undefined {
  return rawCode(error)?.toString();
}

/** The code of an error, or its text without one: for a line that names the operation itself. */
export function errorCodeOrText(error: unknown): string {
  return shownLine(errorCode(error) ?? errorText(error));
}

/** The message and the code of an error. Its other properties are not read. */
export function errorFields(error: unknown): { error: string; code?: string | number } {
  const code = rawCode(error);
  return { error: errorText(error), ...(code === undefined ? {} : { code }) };
}

/**
 * Whether the fault of a failed dial is on this machine (`Dialer.dial`), so that it says nothing about
 * the peer.
 */
export function isOurs(error: unknown): boolean {
  return error instanceof Error && 'ours' in error && error.ours === true;
}
