import { readFileSync } from 'node:fs';

/** The version in package.json; `src/roles` and `dist/roles` are both two levels below it. */
export const VERSION = readVersion();

function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const value: unknown = JSON.parse(text);
  const isManifest = typeof value === 'object' && value !== null && 'version' in value;
  return isManifest && typeof value.version === 'string' ? value.version : '0.0.0';
}
