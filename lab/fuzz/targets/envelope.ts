/** One line to an envelope and back: the written line is canonical, bounded, and means the same. */
import { MAX_LINE_BYTES } from '../../../src/protocol/constants.js';
import { decodeEnvelope, encodeEnvelope, fitsOneLine } from '../../../src/protocol/envelope.js';
import type { Seeds } from '../seeds.js';
import { must, mustEqual, type Target } from '../target.js';

const CANONICAL = /^\{"type": -?\d+, "line": "[ -~]*"\}\r\n$/;

export function envelopeTarget({ lines }: Seeds): Target {
  return {
    name: 'envelope',
    seeds: lines,
    words: ['"type"', '"line"', '{"type": 687, "line": "', '"}', '\\u00e9', '\\n', '\\"', '1e2'],
    maxBytes: MAX_LINE_BYTES,
    *run(input) {
      const decoded = decodeEnvelope(input);
      if (!decoded.ok) {
        yield decoded.reason;
        return;
      }
      const { type, line } = decoded.value;
      const written = encodeEnvelope(type, line);
      must(CANONICAL.test(written), 'a written envelope is one line of ASCII');
      const again = decodeEnvelope(Buffer.from(written.slice(0, -2), 'latin1'));
      must(again.ok, 'a written envelope can be read');
      mustEqual(again.value, { type: type + 0, line }, 'a written envelope means the same');
      must(
        encodeEnvelope(again.value.type, again.value.line) === written,
        'canonical is canonical',
      );
      if (fitsOneLine(written)) {
        must(
          Buffer.byteLength(written) <= MAX_LINE_BYTES,
          'a line that may be sent has at most 40,000 bytes',
        );
        yield written.length - 2 > input.length ? 'grown' : 'ok';
      } else {
        yield 'too-long-to-leave';
      }
    },
  };
}
