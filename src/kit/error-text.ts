/** What a log says about an error. Pure. */
import { errorText } from './shown-text.js';

/** The message and the code of an error. Its other properties are not read. */
export function errorFields(error: unknown): { error: string; code?: string | number } {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const known = typeof code === 'string' || typeof code === 'number' ? { code } : {};
  return { error: errorText(error), ...known };
}
