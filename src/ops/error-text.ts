import type { LogFields } from '../channel/log.js';

const MAX_TEXT = 500;

/**
 * Makes text safe for one line of a log or a terminal: control characters are escaped (a stranger's
 * text must not forge a line or move a cursor), and it is shortened to 500 characters.
 */
export function oneLine(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text;
  // oxlint-disable-next-line no-control-regex -- control characters are what it replaces
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) => {
    if (c === '\n') return '\\n';
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/**
 * What a log says about an error: its message and its code, on one line. Nothing else of the error
 * is read, because libraries keep passwords and addresses in further properties.
 */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: oneLine(String(error)) };
  const code = 'code' in error ? error.code : undefined;
  const known = typeof code === 'string' || typeof code === 'number' ? { code } : {};
  return { error: oneLine(error.message === '' ? error.name : error.message), ...known };
}
