/** Lines out of bytes: any cut gives the same lines, and the bound holds. */
import { createLineFramer } from '../../../src/protocol/line-framer.js';
import { MAX_LINE_BYTES } from '../../../src/protocol/constants.js';
import type { Seeds } from '../seeds.js';
import { must, mustEqual, pieces, type Target } from '../target.js';

const BOUNDS = [16, 200, MAX_LINE_BYTES];

interface Framed {
  readonly lines: readonly string[];
  readonly alive: boolean;
  readonly pending: number;
}

function framed(chunks: readonly Uint8Array[], max: number): Framed {
  const framer = createLineFramer(max);
  const lines: string[] = [];
  let alive = true;
  for (const chunk of chunks) {
    const fits = framer.push(chunk, (line) => {
      must(line.length <= max, 'no line above the bound');
      lines.push(Buffer.from(line).toString('latin1'));
    });
    must(alive || !fits, 'a framer that refused a line stays refused');
    alive = fits;
    must(framer.pendingBytes <= max + 1, 'no memory above the bound');
  }
  return { lines, alive, pending: framer.pendingBytes };
}

/** The same rules in the simplest form, on all bytes at once. */
function expected(bytes: Uint8Array, max: number): Framed {
  const parts = Buffer.from(bytes).toString('latin1').split('\n');
  const rest = parts.pop() ?? '';
  const lines: string[] = [];
  const tooLong = (part: string): boolean =>
    part.length > max + 1 || (part.length === max + 1 && !part.endsWith('\r'));
  for (const part of parts) {
    if (tooLong(part)) return { lines, alive: false, pending: 0 };
    lines.push(part.replace(/\r$/, ''));
  }
  if (tooLong(rest)) return { lines, alive: false, pending: 0 };
  return { lines, alive: true, pending: rest.length };
}

export function framerTarget({ streams }: Seeds): Target {
  return {
    name: 'framer',
    seeds: streams,
    words: ['\r\n', '\n', '\r\r\n', '\n\n'],
    maxBytes: 100_000,
    *run(input, random) {
      for (const max of BOUNDS) {
        const whole = framed([input], max);
        mustEqual(whole, expected(input, max), 'the lines are those between the LFs');
        mustEqual(framed(pieces(input, random), max), whole, 'split anywhere equals whole');
        if (!whole.alive) yield 'oversize';
        else yield whole.pending > 0 ? 'half-line' : 'whole-lines';
        if (whole.lines.includes('')) yield 'empty-line';
        if (whole.lines.some(({ length }) => length === max)) yield 'line-at-the-bound';
      }
    },
  };
}
