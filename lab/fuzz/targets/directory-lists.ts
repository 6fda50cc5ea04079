/** Signed lists of directories, announcements, key files aside; messages 841 and 843; the history of contacts. */
import {
  parseAnnouncement,
  formatAnnouncement,
} from '../../../src/directory-lists/announcement.js';
import type { DirectoryList } from '../../../src/directory-lists/directory-list.js';
import { fingerprintOf, type KeySet } from '../../../src/directory-lists/key-set.js';
import { formatDocument, parseDocument } from '../../../src/directory-lists/list-document.js';
import { LIST_BOUNDS } from '../../../src/directory-lists/limits.js';
import { offerDocument } from '../../../src/directory-lists/served-list.js';
import { verifyDocument } from '../../../src/directory-lists/verify.js';
import {
  formatListAnswer,
  formatListRequest,
  parseListAnswer,
  parseListRequest,
} from '../../../src/protocol/directory-list-message.js';
import { onionHost } from '../../../src/protocol/location.js';
import { ContactHistory, parseContacts } from '../../../src/roles/directories/contact-history.js';
import { must, mustEqual, payloadOf, type Target } from '../target.js';

const KEY = 'ab'.repeat(32);
const SIGNATURE = '0'.repeat(128);
const LOCATION = {
  kind: 'onion',
  host: onionHost(new Uint8Array(32).fill(1)),
  port: 5222,
} as const;
const ENTRY = { location: LOCATION, since: 1, note: 'a "note"', capabilities: ['ping'] };
const FIRST: KeySet = { network: 'signet', sequence: 1, threshold: 1, keys: [KEY], previous: '' };
const NEXT: KeySet = { ...FIRST, sequence: 2, previous: fingerprintOf(FIRST) };
const LIST: DirectoryList = {
  network: 'signet',
  sequence: 1,
  issued: 1,
  expires: 2,
  keys: fingerprintOf(NEXT),
  entries: [ENTRY],
};
const SIGNED = [{ key: KEY, signature: SIGNATURE }];
// Nobody has this key, so no document of the fuzzer is ever valid.
const DOCUMENT = formatDocument({
  keySets: [
    { keySet: FIRST, signatures: [] },
    { keySet: NEXT, signatures: SIGNED },
  ],
  list: LIST,
  signatures: SIGNED,
});
const ANNOUNCEMENT = formatAnnouncement({
  statement: { network: 'signet', issued: 1, entry: ENTRY },
  signature: SIGNATURE,
});
const { offer } = offerDocument(Buffer.from(DOCUMENT), { sequence: 1, hash: KEY });
const CONTACTS = new ContactHistory();
CONTACTS.failed(LOCATION, 7);

const SEEDS: readonly string[] = [
  DOCUMENT,
  ANNOUNCEMENT,
  formatListAnswer({ kind: 'offer', ...offer }),
  formatListAnswer({ kind: 'chunk', document: KEY, index: 1, bytes: Uint8Array.of(1, 2) }),
  formatListRequest({ kind: 'have', sequence: 3, hash: KEY }),
  formatListRequest({ kind: 'chunk', document: KEY, index: 2 }),
  CONTACTS.format(),
];

function* documents(input: Uint8Array): Iterable<string> {
  const text = Buffer.from(input).toString('latin1').replace(/\n$/, '');
  const parsed = parseDocument(input);
  if (parsed.ok) {
    mustEqual(formatDocument(parsed.value), text, 'one text');
    must(parsed.value.list.entries.length <= LIST_BOUNDS.entries, 'a bounded list');
    const { network } = parsed.value.list;
    const pinned = fingerprintOf(parsed.value.keySets[0].keySet);
    const verified = verifyDocument(parsed.value, { network, pinned, now: undefined });
    must(!verified.ok, 'a signature without its key is never right');
    yield verified.ok ? 'valid' : `document-${verified.reason}`;
  } else yield `document-${parsed.reason}`;
  const announced = parseAnnouncement(input);
  must(!announced.ok, 'an announcement without the key of its onion is never right');
  yield announced.ok ? 'announced' : `announcement-${announced.reason}`;
}

function* messages(text: string): Iterable<string> {
  const request = parseListRequest(text);
  if (request.ok) mustEqual(formatListRequest(request.value), text, 'one request');
  yield request.ok ? `request-${request.value.kind}` : `request-${request.reason}`;
  const answer = parseListAnswer(text);
  if (answer.ok) mustEqual(formatListAnswer(answer.value), text, 'one answer');
  yield answer.ok ? `answer-${answer.value.kind}` : `answer-${answer.reason}`;
}

export function directoryListsTarget(): Target {
  return {
    name: 'directory-lists',
    seeds: SEEDS.map((seed) => Buffer.from(seed)),
    words: [
      'have ',
      'chunk ',
      'offer ',
      KEY,
      SIGNATURE,
      '"version":1',
      '"sequence":',
      'none',
      'busy',
    ],
    maxBytes: 4_000,
    *run(input) {
      yield* documents(input);
      const text = payloadOf(input);
      yield* messages(text);
      const contacts = new ContactHistory(parseContacts(text));
      const again = new ContactHistory(parseContacts(contacts.format()));
      mustEqual(again.format(), contacts.format(), 'contacts are read back');
      yield contacts.size === 0 ? 'no-contacts' : 'contacts';
    },
  };
}
