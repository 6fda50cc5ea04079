/** What others can fill in a signed list of directories: each list, text and buffer, with its bound, filled and refused. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { formatAnnouncement, parseAnnouncement } from '../../src/directory-lists/announcement.js';
import type { DirectoryList, ListEntry } from '../../src/directory-lists/directory-list.js';
import { LIST_BOUNDS } from '../../src/directory-lists/limits.js';
import {
  formatDocument,
  parseDocument,
  type ListDocument,
} from '../../src/directory-lists/list-document.js';
import { combineDocuments, signDocument } from '../../src/directory-lists/making.js';
import { ListDownload, offerDocument } from '../../src/directory-lists/served-list.js';
import { verifyDocument } from '../../src/directory-lists/verify.js';
import {
  formatListAnswer,
  LIST_CHUNK_BYTES,
  MAX_LIST_DOCUMENT_BYTES,
  parseListAnswer,
} from '../../src/protocol/directory-list-message.js';
import { entryAt, newSigner, NOW, onionNumber, sampleList, trusting } from './sample-lists.js';

const SIGNER = newSigner();
const FIRST = sampleList({ keys: { threshold: 1, signers: [SIGNER] }, by: [SIGNER] });
const SIGNATURE = '0'.repeat(128);

const range = (length: number): readonly number[] => Array.from({ length }, (_, i) => i);
const keyNumber = (n: number): string => n.toString(16).padStart(64, '0');
const signaturesOf = (count: number) =>
  range(count).map((n) => ({ key: keyNumber(n), signature: SIGNATURE }));

/** The reason, or `ok`. */
function verdict(document: ListDocument): string {
  const parsed = parseDocument(Buffer.from(formatDocument(document), 'latin1'));
  return parsed.ok ? 'ok' : parsed.reason;
}

const withList = (more: Partial<DirectoryList>): ListDocument => ({
  ...FIRST,
  list: { ...FIRST.list, ...more },
});

const withEntry = (more: Partial<ListEntry>): ListDocument =>
  withList({ entries: [entryAt(onionNumber(1), more)] });

const withKeys = (count: number): ListDocument => {
  const [{ keySet }] = FIRST.keySets;
  const keys = range(count).map(keyNumber);
  return { ...FIRST, keySets: [{ keySet: { ...keySet, keys }, signatures: [] }] };
};

const withKeySets = (count: number): ListDocument => {
  const [first] = FIRST.keySets;
  const later = range(count - 1).map((n) => ({
    keySet: { ...first.keySet, sequence: n + 2, previous: keyNumber(n) },
    signatures: [],
  }));
  return { ...FIRST, keySets: [first, ...later] };
};

/** So many bytes that are not JSON. */
const spaces = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(0x20);

function reasonOf(result: { readonly ok: boolean; readonly reason?: string }): string {
  return result.reason ?? 'ok';
}

const capabilities = (count: number): string[] => range(count).map((n) => `name_${n}`);
const verdictAt = (now: number): string =>
  reasonOf(verifyDocument(FIRST, trusting(FIRST, { now })));
const offerOf = (bytes: number) =>
  offerDocument(
    new Uint8Array(bytes).map((_, i) => i),
    { sequence: 1, hash: keyNumber(1) },
  );

/** Each row: the files that hold it, what is bounded, the names in LIST_BOUNDS, and the proof. */
const TABLE: readonly {
  readonly holds: readonly string[];
  readonly names: readonly (keyof typeof LIST_BOUNDS)[];
  readonly bound: string;
  readonly show: (t: Test) => void;
}[] = [
  {
    holds: ['list-document.ts'],
    names: ['documentBytes', 'keySets'],
    bound: 'a document of 524,288 bytes, with 32 key sets',
    show(t) {
      t.equal(reasonOf(parseDocument(spaces(524_288))), 'not-json');
      t.equal(reasonOf(parseDocument(spaces(524_289))), 'oversize');
      t.equal(verdict(withKeySets(32)), 'ok');
      t.equal(verdict(withKeySets(33)), 'too-many');
    },
  },
  {
    holds: ['announcement.ts'],
    names: [],
    bound: 'an announcement has the bounds of a document and of an entry',
    show(t) {
      t.equal(reasonOf(parseAnnouncement(spaces(524_288))), 'not-json');
      t.equal(reasonOf(parseAnnouncement(spaces(524_289))), 'oversize');
      const announced = (note: string): string => {
        const entry = entryAt(onionNumber(1), { note });
        const statement = { network: 'signet', issued: NOW, entry } as const;
        const text = formatAnnouncement({ statement, signature: SIGNATURE });
        return reasonOf(parseAnnouncement(Buffer.from(text, 'latin1')));
      };
      t.equal(announced('x'.repeat(200)), 'bad-signature', 'it is read, and its signature checked');
      t.equal(announced('x'.repeat(201)), 'malformed');
    },
  },
  {
    holds: ['directory-list.ts'],
    names: ['entries', 'noteLength', 'capabilities', 'capabilityLength', 'lifetimeSeconds'],
    bound: '1,000 entries; a note of 200 characters; 16 capabilities of 32; a life of two years',
    show(t) {
      const entries = (count: number): ListDocument =>
        withList({ entries: range(count).map((n) => entryAt(onionNumber(n))) });
      t.equal(verdict(entries(1_000)), 'ok');
      t.equal(verdict(entries(1_001)), 'too-many');
      t.equal(verdict(withEntry({ note: 'x'.repeat(200) })), 'ok');
      t.equal(verdict(withEntry({ note: 'x'.repeat(201) })), 'malformed');
      t.equal(verdict(withEntry({ capabilities: capabilities(16) })), 'ok');
      t.equal(verdict(withEntry({ capabilities: capabilities(17) })), 'too-many');
      t.equal(verdict(withEntry({ capabilities: ['x'.repeat(32)] })), 'ok');
      t.equal(verdict(withEntry({ capabilities: ['x'.repeat(33)] })), 'malformed');
      const life = 2 * 366 * 86_400;
      t.equal(verdict(withList({ issued: NOW, expires: NOW + life })), 'ok');
      t.equal(verdict(withList({ issued: NOW, expires: NOW + life + 1 })), 'malformed');
    },
  },
  {
    holds: ['key-set.ts', 'members.ts'],
    names: ['keys'],
    bound: '16 keys of a key set, and 16 signatures of a list or of a key set',
    show(t) {
      t.equal(verdict(withKeys(16)), 'ok');
      t.equal(verdict(withKeys(17)), 'too-many');
      t.equal(verdict({ ...FIRST, signatures: signaturesOf(16) }), 'ok');
      t.equal(verdict({ ...FIRST, signatures: signaturesOf(17) }), 'too-many');
      const [{ keySet }] = FIRST.keySets;
      const signed = (count: number): ListDocument => ({
        ...FIRST,
        keySets: [{ keySet, signatures: signaturesOf(count) }],
      });
      t.equal(verdict(signed(16)), 'ok');
      t.equal(verdict(signed(17)), 'too-many');
    },
  },
  {
    holds: ['verify.ts'],
    names: ['clockSlackSeconds'],
    bound: 'a list may be issued two hours later than the clock says',
    show(t) {
      t.equal(verdictAt(NOW - 7_200), 'ok');
      t.equal(verdictAt(NOW - 7_201), 'not-yet-valid');
    },
  },
  {
    holds: ['making.ts'],
    names: [],
    bound: 'one signature for each key, however often it signs',
    show(t) {
      let document = FIRST;
      for (const _ of range(20)) {
        const signed = signDocument(document, SIGNER.seed);
        if (!signed.ok) throw new Error(signed.reason);
        document = signed.value;
      }
      t.equal(document.signatures.length, 1);
      const combined = combineDocuments(FIRST, Array<ListDocument>(20).fill(FIRST));
      if (!combined.ok) throw new Error(combined.reason);
      t.equal(combined.value.signatures.length, 1);
      t.same(reasonOf(signDocument(FIRST, newSigner().seed)), 'not-a-signer');
    },
  },
  {
    holds: ['served-list.ts'],
    names: [],
    bound: 'a download holds the chunks of its offer, each once, and nothing that was not offered',
    show(t) {
      t.equal(MAX_LIST_DOCUMENT_BYTES, LIST_BOUNDS.documentBytes);
      const answer = (bytes: number): string =>
        reasonOf(parseListAnswer(formatListAnswer({ kind: 'offer', ...offerOf(bytes).offer })));
      t.equal(answer(524_288), 'ok');
      t.equal(answer(524_289), 'list-message-values');

      const { offer, bytes } = offerOf(2 * LIST_CHUNK_BYTES + 1);
      const download = new ListDownload(offer);
      const chunk = (i: number): Uint8Array =>
        bytes.subarray(i * LIST_CHUNK_BYTES, (i + 1) * LIST_CHUNK_BYTES);
      t.notOk(download.add(3, new Uint8Array()), 'a chunk behind the last one');
      t.notOk(download.add(-1, chunk(0)), 'a chunk before the first one');
      t.notOk(download.add(0, new Uint8Array(LIST_CHUNK_BYTES)), 'other bytes');
      t.notOk(download.add(0, bytes.subarray(0, LIST_CHUNK_BYTES + 1)), 'a longer chunk');
      t.equal(download.missing, 0);
      t.equal(download.document(), undefined);
      for (const i of [0, 0, 0, 1, 2]) t.ok(download.add(i, chunk(i)));
      t.equal(download.missing, undefined);
      t.notOk(download.add(3, chunk(0)));
      t.equal(download.document()?.length, bytes.length);
    },
  },
];

/** These hold nothing and set no timer of their own. */
const STATELESS = ['difference.ts', 'ed25519.ts', 'limits.ts', 'refusal.ts'];

t.test('every file is in the table, or holds nothing', async (t) => {
  const folder = fileURLToPath(new URL('../../src/directory-lists', import.meta.url));
  const files = await readdir(folder);
  const named = [...TABLE.flatMap(({ holds }) => holds), ...STATELESS];
  t.same(files.toSorted(), named.toSorted());
  for (const file of files) {
    // oxlint-disable-next-line no-await-in-loop -- few small files
    const text = await readFile(join(folder, file), 'utf8');
    t.notMatch(text, /\.after\(|setTimeout|setInterval/, `${file} sets no timer`);
    if (!STATELESS.includes(file)) continue;
    t.notMatch(text, /^ {2}(?:readonly )?#\w+/m, `${file} has no state`);
    t.notMatch(text, /^(?:const|let) \w+[^\n]*new (?:Map|Set|Bounded)/m, `${file} keeps no map`);
  }
});

t.test('every bound of LIST_BOUNDS is in the table', (t) => {
  const named = TABLE.flatMap(({ names }) => names);
  t.same(named.toSorted(), Object.keys(LIST_BOUNDS).toSorted());
  t.end();
});

for (const { holds, bound, show } of TABLE) {
  t.test(`${holds.join(', ')}: ${bound}`, (t) => {
    show(t);
    t.end();
  });
}
