import type { LogFields } from '../channel/log.js';
import { errorText } from '../kit/shown-text.js';

/** What a log says about an error: its message and its code, and nothing else of it. */
export function errorFields(error: unknown): LogFields {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const known = typeof code === 'string' || typeof code === 'number' ? { code } : {};
  return { error: errorText(error), ...known };
}
