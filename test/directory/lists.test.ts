/** A directory that serves a list of directories, line by line (docs/protocol.md, section 5.4). */
import t from 'tap';
import { offerDocument } from '../../src/directory-lists/served-list.js';
import {
  formatListAnswer,
  parseListAnswer,
  type ListAnswer,
} from '../../src/protocol/directory-list-message.js';
import { createTestClock } from '../helpers/test-clock.js';
import { hello, startDirectory, type Client } from './wire.js';

const BYTES = new Uint8Array(60_000).fill(65);
const HASH = 'ab'.repeat(32);
const LIST = offerDocument(BYTES, { sequence: 7, hash: HASH });
const DOCUMENT = LIST.offer.document;
const OFFER = formatListAnswer({ kind: 'offer', ...LIST.offer });
const WITH_LISTS = { features: { directory_list: true, ping: true } };
const PING = [798, ''] as const;

/** The answer to a request. */
async function ask(peer: Client, payload: string): Promise<ListAnswer | string> {
  peer.send(841, payload);
  const { type, line } = await peer.next();
  if (type !== 843) return `${type}`;
  const answer = parseListAnswer(line);
  return answer.ok ? answer.value : answer.reason;
}

t.test('the feature is offered only by a directory that has keys of lists', async (t) => {
  for (const [list, offered] of [
    [undefined, false],
    [() => undefined, true],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop
    const { dial } = await startDirectory(t, list && { directoryList: list });
    // oxlint-disable-next-line no-await-in-loop
    const peer = await dial();
    peer.send(793, hello('J5a'));
    // oxlint-disable-next-line no-await-in-loop
    const { line } = await peer.next();
    t.equal(line.includes('directory_list'), offered);
  }
});

t.test('an offer, each chunk, and nothing that the peer has', async (t) => {
  const { join, directory } = await startDirectory(t, { directoryList: () => LIST });
  const peer = await join('J5a', WITH_LISTS);
  for (const have of ['have 0 -', `have 6 ${HASH}`, `have 7 ${'cd'.repeat(32)}`]) {
    // oxlint-disable-next-line no-await-in-loop
    const offer = await ask(peer, have);
    t.equal(typeof offer === 'string' ? offer : formatListAnswer(offer), OFFER, have);
  }
  t.same(await ask(peer, `have 7 ${HASH}`), { kind: 'none' });
  t.same(await ask(peer, `have 8 ${HASH}`), { kind: 'none' });
  const sizes: number[] = [];
  for (const index of [0, 1, 2]) {
    // oxlint-disable-next-line no-await-in-loop
    const answer = await ask(peer, `chunk ${DOCUMENT} ${index}`);
    if (typeof answer !== 'string' && answer.kind === 'chunk') sizes.push(answer.bytes.length);
  }
  t.same(sizes, [24_000, 24_000, 12_000]);
  t.same(await ask(peer, `chunk ${DOCUMENT} 3`), { kind: 'busy' }, 'there are three chunks');
  t.same(await ask(peer, `chunk ${HASH} 0`), { kind: 'busy' }, 'no such document');
  const { messagesIn, messagesOut, dropped } = directory.stats();
  t.equal(messagesIn.getdirlist, 10);
  t.equal(messagesOut.dirlist, 10);
  t.equal(dropped['getdirlist-busy'], 2);
});

t.test('a directory without a list says so', async (t) => {
  const { join } = await startDirectory(t, { directoryList: () => undefined });
  const peer = await join('J5a', WITH_LISTS);
  t.same(await ask(peer, 'have 0 -'), { kind: 'none' });
});

t.test('a peer that did not list the feature never gets a line of this type', async (t) => {
  const { join, directory } = await startDirectory(t, { directoryList: () => LIST });
  const other = await join('J5b', WITH_LISTS);
  const peer = await join('J5a', { features: { ping: true } });
  peer.send(841, 'have 0 -');
  peer.send(...PING);
  t.equal((await peer.next()).type, 799);
  t.equal(directory.stats().dropped['unknown-type'], 1);
  other.send(...PING);
  t.equal((await other.next()).type, 799, 'nothing is sent without a request');
});

t.test('before the handshake a request ends the connection, as every other line', async (t) => {
  const { dial, directory } = await startDirectory(t, { directoryList: () => LIST });
  const peer = await dial();
  peer.send(841, 'have 0 -');
  await peer.closed;
  t.equal(directory.stats().closed['not-a-handshake'], 1);
});

t.test('malformed requests are junk', async (t) => {
  const { join, directory } = await startDirectory(t, { directoryList: () => LIST });
  const peer = await join('J5a', WITH_LISTS);
  const wrong = ['', 'have', 'have 1 -', 'have -1 x', `chunk ${HASH} 22`, 'x 0 -', 'y'.repeat(300)];
  for (const payload of wrong) peer.send(841, payload);
  peer.send(...PING);
  t.equal((await peer.next()).type, 799);
  t.equal(directory.stats().dropped.malformed, wrong.length);
});

t.test(
  'above 48 requests a minute a peer is not answered, and far above it is disconnected',
  async (t) => {
    const clock = createTestClock();
    const { join, directory } = await startDirectory(t, {
      clock,
      directoryList: () => LIST,
      limits: { heartbeatIntervalMs: 0 },
    });
    const peer = await join('J5a', WITH_LISTS);
    for (let i = 0; i < 50; i++) peer.send(841, `have 7 ${HASH}`);
    peer.send(...PING);
    for (let i = 0; i < 48; i++) {
      // oxlint-disable-next-line no-await-in-loop
      t.equal((await peer.next()).type, 843);
    }
    t.equal((await peer.next()).type, 799);
    t.equal(directory.stats().dropped['rate-getdirlist'], 2);
    for (let i = 0; i < 500; i++) peer.send(841, `have 7 ${HASH}`);
    await peer.closed;
    t.equal(directory.stats().closed.rate, 1);
  },
);

t.test('all peers together get 128 chunks at once and 32 a second', async (t) => {
  const clock = createTestClock();
  // Of each machine, whose link they pass.
  const { join } = await startDirectory(t, { clock, directoryList: () => LIST, oneNode: true });
  let chunks = 0;
  for (let i = 0; i < 4; i++) {
    // oxlint-disable-next-line no-await-in-loop
    const peer = await join(`J5${i}`, WITH_LISTS);
    for (let n = 0; n < 40; n++) {
      // oxlint-disable-next-line no-await-in-loop
      const answer = await ask(peer, `chunk ${DOCUMENT} 2`);
      if (typeof answer !== 'string' && answer.kind === 'chunk') chunks++;
    }
  }
  t.equal(chunks, 128);
});
