/** Properties of the parsers of lists: they never throw, and every document has one text. */
import * as fc from 'fast-check';
import t from 'tap';
import { parseAnnouncement } from '../../src/directory-lists/announcement.js';
import { formatDocument, parseDocument } from '../../src/directory-lists/list-document.js';
import { ListDownload, offerDocument } from '../../src/directory-lists/served-list.js';
import { verifyDocument } from '../../src/directory-lists/verify.js';
import {
  formatListAnswer,
  formatListRequest,
  parseListAnswer,
  parseListRequest,
  type ListAnswer,
  type ListRequest,
} from '../../src/protocol/directory-list-message.js';
import { encodeEnvelope, fitsOneLine } from '../../src/protocol/envelope.js';
import { bytesOf, entryAt, newSigners, onionNumber, sampleList, trusting } from './sample-lists.js';

const signers = newSigners(3);
const LIST = sampleList({ keys: { threshold: 2, signers }, by: signers });
const BYTES = bytesOf(LIST);
const hash = fc.stringMatching(/^[0-9a-f]{64}$/);

t.test(
  'any bytes, and any document with some bytes changed, are parsed without an exception',
  async () => {
    const damaged = fc
      .array(fc.tuple(fc.nat(BYTES.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((changes) => {
        const copy = Uint8Array.from(BYTES);
        for (const [at, byte] of changes) copy[at] = byte;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged), (bytes) => {
        parseAnnouncement(bytes);
        const parsed = parseDocument(bytes);
        if (!parsed.ok) return;
        // What is parsed has exactly one text, and a change of a signed part makes it invalid.
        const text = Buffer.from(bytes).toString('latin1').replace(/\n$/, '');
        if (formatDocument(parsed.value) !== text) throw new Error('another text');
        const isSame = Buffer.from(bytes).equals(BYTES);
        if (!isSame && verifyDocument(parsed.value, trusting(LIST)).ok) throw new Error('forged');
      }),
      { numRuns: 500 },
    );
  },
);

t.test('a list of any entries is read back', async () => {
  const entry = fc
    .record({
      n: fc.nat(0xffff_ffff),
      since: fc.nat(),
      note: fc.stringMatching(/^[ -~]{0,200}$/),
      capabilities: fc.uniqueArray(fc.stringMatching(/^[a-z0-9_]{1,32}$/), { maxLength: 16 }),
    })
    .map(({ n, ...more }) => entryAt(onionNumber(n), more));
  const entries = fc.uniqueArray(entry, {
    maxLength: 20,
    selector: ({ location }) => location.host,
  });
  fc.assert(
    fc.property(entries, (each) => {
      const document = { ...LIST, list: { ...LIST.list, entries: each } };
      const parsed = parseDocument(bytesOf(document));
      if (!parsed.ok) throw new Error(parsed.reason);
      if (formatDocument(parsed.value) !== formatDocument(document))
        throw new Error('another text');
    }),
    { numRuns: 100 },
  );
});

t.test(
  'any text is parsed as a message without an exception; what is written is read back',
  async () => {
    const request: fc.Arbitrary<ListRequest> = fc.oneof(
      fc.record({
        kind: fc.constant('have' as const),
        sequence: fc
          .integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 1 })
          .map((n) => n % 1e15 || 1),
        hash,
      }),
      fc.constant({ kind: 'have' as const, sequence: 0, hash: undefined }),
      fc.record({ kind: fc.constant('chunk' as const), document: hash, index: fc.nat(21) }),
    );
    const answer: fc.Arbitrary<ListAnswer> = fc.oneof(
      fc.constantFrom({ kind: 'none' as const }, { kind: 'busy' as const }),
      fc.record({
        kind: fc.constant('chunk' as const),
        document: hash,
        index: fc.nat(21),
        bytes: fc.uint8Array({ minLength: 1, maxLength: 500 }),
      }),
      fc
        .record({
          bytes: fc.uint8Array({ minLength: 1, maxLength: 500 }),
          sequence: fc.integer({ min: 1 }),
          hash,
        })
        .map(({ bytes, ...list }) => ({
          kind: 'offer' as const,
          ...offerDocument(bytes, list).offer,
        })),
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        for (const start of ['', 'have ', 'chunk ', 'offer ']) {
          parseListRequest(start + text);
          parseListAnswer(start + text);
        }
      }),
    );
    fc.assert(
      fc.property(request, (sent) => {
        const read = parseListRequest(formatListRequest(sent));
        if (!read.ok) throw new Error(read.reason);
        if (formatListRequest(read.value) !== formatListRequest(sent)) throw new Error('another');
      }),
    );
    fc.assert(
      fc.property(answer, (sent) => {
        const read = parseListAnswer(formatListAnswer(sent));
        if (!read.ok) throw new Error(read.reason);
        if (formatListAnswer(read.value) !== formatListAnswer(sent)) throw new Error('another');
      }),
    );
  },
);

t.test('chunks of any document, in any order, make the document again', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), fc.nat(), (length, seed) => {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + seed) % 251);
      const { offer } = offerDocument(bytes, { sequence: 1, hash: 'ab'.repeat(32) });
      const download = new ListDownload(offer);
      const order = offer.chunks
        .map((_, i) => i)
        .toSorted((a, b) => ((a * 7 + seed) % 5) - ((b * 7 + seed) % 5));
      for (const index of order) {
        if (download.document() !== undefined) throw new Error('complete too early');
        if (download.add(index, Uint8Array.of(1, 2, 3))) throw new Error('took a wrong chunk');
        const chunk = bytes.subarray(index * 24_000, (index + 1) * 24_000);
        if (!download.add(index, chunk)) throw new Error('refused a chunk');
      }
      const whole = download.document();
      if (whole === undefined || !Buffer.from(whole).equals(bytes))
        throw new Error('another document');
    }),
    { numRuns: 50 },
  );
});

t.test('the longest offer and the longest chunk fit one line', async (t) => {
  const { offer } = offerDocument(new Uint8Array(524_288), {
    sequence: Number.MAX_SAFE_INTEGER,
    hash: 'ab'.repeat(32),
  });
  const longest = formatListAnswer({ kind: 'offer', ...offer });
  const chunk = formatListAnswer({
    kind: 'chunk',
    document: offer.document,
    index: 21,
    bytes: new Uint8Array(24_000).fill(255),
  });
  for (const line of [longest, chunk]) {
    t.ok(fitsOneLine(encodeEnvelope(843, line)));
    t.ok(parseListAnswer(line).ok);
  }
});
