/**
 * The door of a page: the code comes in an Authorization header, `Bearer CODE`, or Basic with any user name
 * and the code as password. Never in a URL, which logs and histories keep.
 */
import type { AdmissionEngine } from './engine.js';
import { MAX_CODE_BYTES } from './code-text.js';

const MAX_HEADER_CHARS = 1_024;

/** The code in a header; undefined for a header that has none. Never throws. */
export function codeInHeader(header: string | undefined): Uint8Array | undefined {
  if (header === undefined || header.length > MAX_HEADER_CHARS) return undefined;
  const [, scheme = '', value = ''] = /^([A-Za-z]+) +([\x21-\x7e]+) *$/.exec(header) ?? [];
  if (scheme.toLowerCase() === 'bearer') return fitting(Buffer.from(value));
  if (scheme.toLowerCase() !== 'basic' || !/^[A-Za-z0-9+/]+={0,2}$/.test(value)) return undefined;
  const pair = Buffer.from(value, 'base64');
  const colon = pair.indexOf(0x3a);
  return colon === -1 ? undefined : fitting(pair.subarray(colon + 1));
}

function fitting(code: Uint8Array): Uint8Array | undefined {
  return code.length > 0 && code.length <= MAX_CODE_BYTES ? code : undefined;
}

/** Whether a request with this header may read the page. */
export type PageDoor = (header: string | undefined, remote: string) => boolean | Promise<boolean>;

/** @param now Unix milliseconds */
export function pageDoor(engine: Pick<AdmissionEngine, 'decide'>, now: () => number): PageDoor {
  return (header, remote) => {
    const code = codeInHeader(header);
    if (code === undefined) return false;
    const decision = engine.decide({ door: 'page', address: remote, code, now: now() });
    return decision instanceof Promise
      ? decision.then(({ verdict }) => verdict === 'OKAY')
      : decision.verdict === 'OKAY';
  };
}
