/** Lists of directories over loopback sockets: serving, fetching, keeping and choosing. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { openMessageChannel, type OnionMessageChannel } from '../../src/channel/message-channel.js';
import type { Connection } from '../../src/channel/ports.js';
import { createDirectory, DEFAULT_LIMITS, type ServedList } from '../../src/directory/directory.js';
import { fingerprintOf } from '../../src/directory-lists/key-set.js';
import type { ListDocument } from '../../src/directory-lists/list-document.js';
import { listHash } from '../../src/directory-lists/directory-list.js';
import { offerDocument } from '../../src/directory-lists/served-list.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { fetchList } from '../../src/probe/list-fetch.js';
import { formatLocation, type Location } from '../../src/protocol/location.js';
import { DirectoryChoice } from '../../src/roles/directories/directory-choice.js';
import { KeptList, LIST_FILE } from '../../src/roles/directories/kept-list.js';
import { ListServer } from '../../src/roles/directories/list-server.js';
import { bodyOf, pageOf, readSource } from '../../src/roles/directories/list-source.js';
import { bytesOf, entryAt, newSigners, NOW, sampleList } from '../directory-lists/sample-lists.js';
import { anyPort, keyOf } from '../helpers/test-channel.js';

const unixTime = (): number => NOW + 60;
const signal = new AbortController().signal;
const TOOLS = { clock: systemClock, random: Math.random, log: silentLog, unixTime };
const TIMINGS = { dialMs: 5_000, handshakeMs: 5_000 };
const signers = newSigners(3);
const KEYS = { threshold: 2, signers };
const pinOf = ({ keySets }: ListDocument): string => fingerprintOf(keySets[0].keySet);

const servedOf = (document: ListDocument): ServedList => {
  const bytes = bytesOf(document);
  const { list } = document;
  return offerDocument(bytes, { sequence: list.sequence, hash: listHash(list) });
};

interface TestDirectory {
  readonly location: Location;
  /** Lines of type 841 that arrived, over all connections. */
  readonly requests: () => number;
  readonly peers: () => number;
  readonly stop: () => Promise<void>;
}

let nicks = 10;

/** A directory of this package; `list` is asked at each request. */
async function startDirectory(
  t: Test,
  list?: () => ServedList | undefined,
): Promise<TestDirectory> {
  const overlay = anyPort();
  const directory: ReturnType<typeof createDirectory> = createDirectory({
    network: 'signet',
    nick: keyOf(nicks++).nick,
    location: () => served.locations[0],
    reachable: overlay.reachable,
    motd: () => 'a test',
    limits: DEFAULT_LIMITS,
    ...TOOLS,
    ...(list && { directoryList: list }),
  });
  const served = await overlay.serve((connection) => directory.accept(connection), { signal });
  const stop = async (): Promise<void> => {
    await served.close();
    await directory.close();
    await overlay.close();
  };
  t.teardown(stop);
  return {
    location: served.locations[0],
    requests: () => directory.stats().messagesIn.getdirlist,
    peers: () => directory.peerCount,
    stop,
  };
}

/** Locations at which connections are accepted, and no handshake is ever answered. */
async function deadLocations(t: Test, count: number): Promise<readonly Location[]> {
  const dead: Location[] = [];
  for (let i = 0; i < count; i++) {
    const overlay = anyPort();
    const open = new Set<Connection>();
    // oxlint-disable-next-line no-await-in-loop
    const served = await overlay.serve(
      (connection) => {
        connection.attach({ data() {}, closed: () => open.delete(connection) });
        open.add(connection);
      },
      { signal },
    );
    t.teardown(async () => {
      for (const connection of open) connection.destroy();
      await served.close();
      await overlay.close();
    });
    dead.push(served.locations[0]);
  }
  return dead;
}

interface World {
  readonly datadir: string;
  readonly choice: DirectoryChoice;
}

async function openChoice(
  t: Test,
  document: ListDocument,
  shipped: readonly Location[],
  more: { readonly datadir?: string; readonly listSource?: string } = {},
): Promise<World> {
  const overlay = anyPort();
  const { datadir = t.testdir(), listSource = '' } = more;
  const choice = await DirectoryChoice.open({
    datadir,
    network: 'signet',
    listKeys: pinOf(document),
    listSource,
    shipped,
    dialer: overlay,
    reachable: overlay.reachable,
    timings: TIMINGS,
    ...TOOLS,
  });
  t.teardown(() => choice.close());
  return { datadir, choice };
}

function openChannel(
  t: Test,
  choice: DirectoryChoice,
  wanted: number,
  more: { readonly key?: number; readonly serve?: boolean } = {},
): OnionMessageChannel {
  const { key = nicks++, serve = false } = more;
  const overlay = anyPort();
  const channel = openMessageChannel({
    network: 'signet',
    ...choice.channelOptions(wanted),
    overlay,
    nickKey: keyOf(key),
    serve,
    ...TOOLS,
    timings: { directoryDialMs: 2_000, directoryHandshakeMs: 2_000 },
  });
  choice.follow(channel, wanted);
  t.teardown(async () => {
    await channel.close();
    await overlay.close();
  });
  return channel;
}

const once = <T>(listen: (done: (value: T) => void) => void): Promise<T> => new Promise(listen);

/** Resolves when so many different directories are up. */
function connected(channel: OnionMessageChannel, count: number): Promise<void> {
  const upNow = (): number => channel.directories().filter(({ state }) => state === 'up').length;
  return once((done) => {
    const look = (): void => {
      if (upNow() >= count) done();
    };
    channel.on('directory-up', look);
    look();
  });
}

/** Resolves when the file has the list with this number. */
function keptSequence(datadir: string, sequence: number): Promise<void> {
  const look = (): boolean => {
    try {
      return readFileSync(join(datadir, LIST_FILE), 'latin1').includes(`"sequence":${sequence}}`);
    } catch {
      return false;
    }
  };
  return once((done) => {
    const timer = setInterval(() => {
      if (!look()) return;
      clearInterval(timer);
      done();
    }, 20);
  });
}

t.test(
  'a list goes from a directory to a peer, in chunks, and only when it is newer',
  async (t) => {
    const entries = Array.from({ length: 300 }, (_, i) =>
      entryAt({ kind: 'loopback', host: '127.0.0.1', port: 1_000 + i }, { note: 'n'.repeat(200) }),
    );
    const document = sampleList({ keys: KEYS, by: signers, entries });
    const served = servedOf(document);
    const directory = await startDirectory(t, () => served);
    const overlay = anyPort();
    const options = {
      ...TOOLS,
      ...TIMINGS,
      dialer: overlay,
      location: directory.location,
      network: 'signet' as const,
      signal,
    };
    const first = await fetchList({ ...options, nickKey: keyOf(1), held: undefined });
    t.equal(first.outcome, 'document');
    if (first.outcome !== 'document') return;
    t.ok(Buffer.from(first.bytes).equals(served.bytes));
    const chunks = served.offer.chunks.length;
    t.ok(chunks > 3);
    t.equal(directory.requests(), 1 + chunks, 'one request for each chunk');
    const { sequence, hash } = served.offer;
    const again = await fetchList({ ...options, nickKey: keyOf(2), held: { sequence, hash } });
    t.equal(again.outcome, 'none');
    t.equal(directory.requests(), 2 + chunks, 'nothing is sent twice');
  },
);

t.test('a directory without lists never sees or sends the messages', async (t) => {
  const directory = await startDirectory(t);
  const overlay = anyPort();
  const result = await fetchList({
    ...TOOLS,
    ...TIMINGS,
    dialer: overlay,
    location: directory.location,
    network: 'signet',
    signal,
    nickKey: keyOf(1),
    held: undefined,
  });
  t.equal(result.outcome, 'unsupported');
  t.equal(directory.requests(), 0);
});

t.test(
  'four of five shipped directories are dead: welcome at the first one, and all of the list follow',
  async (t) => {
    const listed: TestDirectory[] = [];
    let document: ListDocument | undefined;
    const list = (): ServedList | undefined => document && servedOf(document);
    for (let i = 0; i < 5; i++) {
      // oxlint-disable-next-line no-await-in-loop
      listed.push(await startDirectory(t, list));
    }
    document = sampleList({
      keys: KEYS,
      by: signers,
      entries: listed.map(({ location }) => entryAt(location)),
    });
    const [alive] = listed;
    if (!alive) throw new Error('a directory');
    const shipped = [...(await deadLocations(t, 4)), alive.location];
    const { choice, datadir } = await openChoice(t, document, shipped);

    const taker = openChannel(t, choice, 5);
    const welcome = await once<{ readonly directories: number }>((done) =>
      taker.on('welcome', done),
    );
    t.equal(welcome.directories, 1, 'without a wait for the dead ones');
    await connected(taker, 5);
    t.equal(statSync(join(datadir, LIST_FILE)).mode & 0o777, 0o600);

    t.test('no maker is missed', async (t) => {
      const makers = Array.from({ length: 3 }, () => openChannel(t, choice, 64, { serve: true }));
      await Promise.all(makers.map((maker) => connected(maker, 5)));
      const heard = new Set<string>();
      const all = once<void>((done) =>
        taker.on('pubmsg', ({ from }) => {
          heard.add(from);
          if (makers.every(({ nick }) => heard.has(nick))) done();
        }),
      );
      // Each maker through another directory only: the taker hears it wherever it speaks.
      for (const [i, maker] of makers.entries())
        maker.publish('orderbook', listed[i + 1]?.location);
      await all;
    });
  },
);

t.test(
  'what was kept is used at the next start, when every shipped directory is dead',
  async (t) => {
    const directory = await startDirectory(t);
    const document = sampleList({
      keys: KEYS,
      by: signers,
      entries: [entryAt(directory.location)],
    });
    const datadir = t.testdir();
    writeFileSync(join(datadir, 'given.json'), bytesOf(document));
    const shipped = await deadLocations(t, 2);
    const first = await openChoice(t, document, [], {
      datadir,
      listSource: join(datadir, 'given.json'),
    });
    await first.choice.close();
    const { choice } = await openChoice(t, document, shipped, { datadir });
    await connected(openChannel(t, choice, 5), 1);
    t.pass('connected');
  },
);

t.test('a directory that serves wrong lists', async (t) => {
  const document = sampleList({ keys: KEYS, by: signers, entries: [] });
  const second = sampleList({ before: document, by: signers, entries: [] });
  const fork = sampleList({ before: document, by: signers, issued: NOW + 1, entries: [] });
  const strangers = newSigners(2);
  const forged = sampleList({ keys: { threshold: 1, signers: strangers }, by: strangers });
  const path = join(t.testdir(), LIST_FILE);
  const trust = { network: 'signet' as const, pinned: pinOf(document) };
  const { list: kept } = await KeptList.open({ path, trust, unixTime });
  t.same(await kept.take(bytesOf(second)), { outcome: 'newer' });
  const served = servedOf(second);

  const bad: readonly (readonly [string, ServedList])[] = [
    ['old', servedOf(document)],
    ['forked', servedOf(fork)],
    ['signed by strangers', servedOf({ ...forged, list: { ...forged.list, sequence: 9 } })],
    ['huge', { ...served, offer: { ...served.offer, sequence: 9, bytes: 524_289 } }],
    [
      'other bytes',
      { offer: { ...served.offer, sequence: 9 }, bytes: new Uint8Array(served.bytes.length) },
    ],
    ['shorter', { offer: { ...served.offer, sequence: 9 }, bytes: served.bytes.subarray(0, 20) }],
  ];
  for (const [name, wrong] of bad) {
    // oxlint-disable-next-line no-await-in-loop
    const directory = await startDirectory(t, () => wrong);
    // oxlint-disable-next-line no-await-in-loop
    const result = await fetchList({
      ...TOOLS,
      ...TIMINGS,
      dialer: anyPort(),
      location: directory.location,
      network: 'signet',
      signal,
      nickKey: keyOf(1),
      held: kept.accepted,
    });
    // oxlint-disable-next-line no-await-in-loop
    const taken = result.outcome === 'document' ? await kept.take(result.bytes) : undefined;
    t.notMatch(taken, { outcome: 'newer' }, name);
    t.same(readFileSync(path), Buffer.from(bytesOf(second)), `${name}: the kept list stays`);
  }
});

t.test(
  'a directory serves what its operator gave it, and what other directories have',
  async (t) => {
    const newest = sampleList({ keys: KEYS, by: signers, entries: [] });
    const datadir = t.testdir();
    const overlay = anyPort();
    writeFileSync(join(datadir, 'list.json'), bytesOf(newest));
    mkdirSync(join(datadir, 'state'));
    const server = await ListServer.open({
      ...TOOLS,
      datadir: join(datadir, 'state'),
      network: 'signet',
      listKeys: pinOf(newest),
      listSource: join(datadir, 'list.json'),
      dialer: overlay,
      reachable: overlay.reachable,
    });
    t.teardown(() => server.close());
    t.equal(server.served(), undefined);
    await server.start([]);
    t.equal(server.served()?.offer.sequence, 1);
    await keptSequence(join(datadir, 'state'), 1);
    t.pass('kept');
  },
);

const answer = (text: string): Buffer => Buffer.from(text, 'latin1');

t.test('sources of lists', async (t) => {
  t.equal(pageOf('/etc/list.json'), undefined);
  t.equal(pageOf('http://example.org/list'), undefined, 'no name is ever resolved');
  const page = pageOf('http://127.0.0.1:8000/a/list.json');
  t.same(page && [formatLocation(page.location), page.path], ['127.0.0.1:8000', '/a/list.json']);
  t.equal(Buffer.from(bodyOf(answer('HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody'))).toString(), 'body');
  t.equal(
    Buffer.from(bodyOf(answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nbody'))).toString(),
    'bo',
  );
  for (const wrong of [
    'nothing',
    'HTTP/1.1 404 Not Found\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody',
  ]) {
    t.throws(() => bodyOf(answer(wrong)), wrong);
  }
  const options = {
    dialer: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
    signal,
    ...TOOLS,
  };
  await t.rejects(readSource(join(t.testdir(), 'none'), options), { message: /no such file/ });
});
