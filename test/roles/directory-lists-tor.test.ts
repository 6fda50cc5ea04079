/** Lists of directories end to end, on a private Tor network. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog, type Log } from '../../src/channel/log.js';
import { openMessageChannel, type OnionMessageChannel } from '../../src/channel/message-channel.js';
import type { Overlay } from '../../src/channel/ports.js';
import type { ServedList } from '../../src/directory/directory.js';
import { listHash } from '../../src/directory-lists/directory-list.js';
import { fingerprintOf } from '../../src/directory-lists/key-set.js';
import { formatDocument, type ListDocument } from '../../src/directory-lists/list-document.js';
import { offerDocument } from '../../src/directory-lists/served-list.js';
import { deferred } from '../../src/kit/deferred.js';
import { parseRecord, recordOf } from '../../src/kit/json-record.js';
import { keepAlive } from '../../src/kit/keep-alive.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { fetchList } from '../../src/probe/list-fetch.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { formatLocation, onionHost, type Location } from '../../src/protocol/location.js';
import { DirectoryChoice } from '../../src/roles/directories/directory-choice.js';
import { KeptList, LIST_FILE } from '../../src/roles/directories/kept-list.js';
import { fetchPage } from '../../src/roles/directories/list-source.js';
import { bytesOf, entryAt, newSigners, NOW, sampleList } from '../directory-lists/sample-lists.js';
import { runCli, startCli } from '../helpers/cli.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { torOverlaysFor } from '../helpers/tor-network.js';

// The timers of the clock do not keep a process alive.
t.teardown(keepAlive());

const signal = new AbortController().signal;
const unixTime = (): number => NOW + 60;
const newNickKey = (): ReturnType<typeof createNickKey> => createNickKey(randomBytes);
const TOOLS = { clock: systemClock, random: Math.random, log: silentLog };
const TIMINGS = { dialMs: 60_000, handshakeMs: 30_000 };
const pinOf = ({ keySets }: ListDocument): string => fingerprintOf(keySets[0].keySet);

function servedOf(document: ListDocument): ServedList {
  const { list } = document;
  return offerDocument(bytesOf(document), { sequence: list.sequence, hash: listHash(list) });
}

/** An onion that no service has. */
function deadOnion(): Location {
  return { kind: 'onion', host: onionHost(randomBytes(32)), port: 5222 };
}

interface Peer {
  readonly channel: OnionMessageChannel;
  readonly choice: DirectoryChoice;
  /** Milliseconds from the start to `welcome`. */
  readonly welcomeMs: number;
  /** Resolves with the next line of the log that begins so. */
  close(): Promise<void>;
}

/** A log that reports when a newer list was kept. */
function listLog(): { readonly log: Log; readonly newer: Promise<void> } {
  const kept = deferred<void>();
  const info = (text: string): void => {
    if (text.startsWith('a newer list')) kept.resolve();
  };
  return { log: { ...silentLog, info }, newer: kept.promise };
}

async function startPeer(
  t: Test,
  overlay: Overlay,
  options: { datadir: string; listKeys: string; shipped: readonly Location[]; log: Log },
): Promise<Peer> {
  const startedAt = systemClock.now();
  const choice = await DirectoryChoice.open({
    ...TOOLS,
    ...options,
    network: 'signet',
    listSource: '',
    dialer: overlay,
    reachable: overlay.reachable,
    unixTime,
    timings: TIMINGS,
  });
  const channel = openMessageChannel({
    ...TOOLS,
    network: 'signet',
    ...choice.channelOptions(5),
    overlay,
    nickKey: newNickKey(),
    serve: false,
  });
  choice.follow(channel, 5);
  const close = async (): Promise<void> => {
    await channel.close();
    await choice.close();
  };
  t.teardown(close);
  await new Promise((resolve) => channel.on('welcome', resolve));
  return { channel, choice, welcomeMs: systemClock.now() - startedAt, close };
}

function isUp(channel: OnionMessageChannel, count: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      const up = channel.directories().filter(({ state }) => state === 'up');
      if (up.length >= count) resolve();
    };
    channel.on('directory-up', look);
    look();
  });
}

t.test('lists over Tor', { timeout: 170_000 }, async (t) => {
  const overlays = await torOverlaysFor(t);
  let current: ListDocument | undefined;
  const list = (): ServedList | undefined => current && servedOf(current);
  const [first, second] = await Promise.all(
    [1, 2].map((byte) =>
      serveDirectory(t, overlays.server(), systemClock, `J5aaaaaaaaaaaaa${byte}`, 'signet', {
        directoryList: list,
      }),
    ),
  );
  if (!first || !second) throw new Error('two directories');
  const entries = [entryAt(first.location), entryAt(second.location)];
  const [a, b, c, d, e] = newSigners(5);
  if (!a || !b || !c || !d || !e) throw new Error('five signers');
  const one = sampleList({ keys: { threshold: 2, signers: [a, b, c] }, by: [a, b], entries });
  current = one;
  const datadir = t.testdir();
  const options = { datadir, listKeys: pinOf(one) };
  const kept = (): string => readFileSync(join(datadir, LIST_FILE), 'latin1').trim();

  await t.test(
    'four of five shipped are dead: a fresh peer is in within the dial time',
    async (t) => {
      const dead = Array.from({ length: 4 }, deadOnion);
      const { log, newer } = listLog();
      const shipped = [...dead, first.location];
      const peer = await startPeer(t, overlays.dialer(), { ...options, shipped, log });
      t.comment(`welcome after ${Math.round(peer.welcomeMs)} ms`);
      t.ok(peer.welcomeMs < 60_000, 'before any wait of the channel ends');
      await newer;
      t.equal(kept(), formatDocument(one));
      await isUp(peer.channel, 2);
      await peer.close();
    },
  );

  await t.test('keys rotate twice while the peer is off: two of three are replaced', async (t) => {
    const rotated = sampleList({
      before: one,
      keys: { threshold: 2, signers: [b, c, d] },
      by: [b, c],
      entries,
    });
    const twice = sampleList({
      before: rotated,
      keys: { threshold: 2, signers: [c, d, e] },
      by: [c, d],
      entries,
    });
    current = twice;
    const { log, newer } = listLog();
    // Every shipped directory is dead now: the kept list leads to the directories.
    const peer = await startPeer(t, overlays.dialer(), { ...options, shipped: [deadOnion()], log });
    await newer;
    t.equal(kept(), formatDocument(twice));
    await peer.close();
  });

  await t.test('a malicious directory', async (t) => {
    const trust = { network: 'signet' as const, pinned: pinOf(one) };
    const path = join(datadir, LIST_FILE);
    const { list: keptList } = await KeptList.open({ path, trust, unixTime });
    const before = kept();
    const newest = keptList.document;
    if (!newest || !keptList.accepted) throw new Error('a kept list');
    t.equal(keptList.accepted.keysSequence, 3);
    const fork = sampleList({ before: newest, by: [c, e], entries: [] });
    const strangers = newSigners(3);
    const forged = sampleList({ keys: { threshold: 2, signers: strangers }, by: strangers });
    const served = servedOf(newest);
    const lies: readonly (readonly [string, ServedList])[] = [
      ['old', servedOf(one)],
      [
        'old, under a new number',
        { ...servedOf(one), offer: { ...servedOf(one).offer, sequence: 9 } },
      ],
      ['forked', servedOf({ ...fork, list: { ...fork.list, sequence: newest.list.sequence } })],
      ['signed by strangers', servedOf({ ...forged, list: { ...forged.list, sequence: 9 } })],
      ['huge', { ...served, offer: { ...served.offer, sequence: 9, bytes: 524_289 } }],
      [
        'other chunks',
        { offer: { ...served.offer, sequence: 9 }, bytes: new Uint8Array(served.bytes.length) },
      ],
    ];
    let lie: ServedList | undefined;
    const evil = await serveDirectory(
      t,
      overlays.server(),
      systemClock,
      'J5eeeeeeeeeeeee1',
      'signet',
      { directoryList: () => lie },
    );
    const dialer = overlays.dialer();
    for (const [name, wrong] of lies) {
      lie = wrong;
      // oxlint-disable-next-line no-await-in-loop
      const result = await fetchList({
        ...TIMINGS,
        dialer,
        location: evil.location,
        network: 'signet',
        nickKey: newNickKey(),
        clock: systemClock,
        signal,
        held: keptList.accepted,
      });
      t.not(result.outcome, 'failed', `${name}: an answer came`);
      // oxlint-disable-next-line no-await-in-loop
      const taken = result.outcome === 'document' ? await keptList.take(result.bytes) : undefined;
      t.notMatch(taken, { outcome: 'newer' }, name);
      t.equal(kept(), before, `${name}: the kept list stays`);
    }
  });

  await t.test('onionmc directories check: two answer, one is dead', async (t) => {
    const dead = deadOnion();
    const all = [...entries, entryAt(dead)];
    const checked = sampleList({
      keys: { threshold: 2, signers: [a, b, c] },
      by: [a, b],
      entries: all,
    });
    const file = join(datadir, 'checked.json');
    writeFileSync(file, formatDocument(checked));
    const folder = t.testdir();
    const where = ['--datadir', folder, '--network', 'signet', '--socks', overlays.socks];
    const check = (...more: string[]) =>
      runCli(['directories', 'check', '--list', file, ...where, ...more]);
    const { code, stdout, stderr } = await check('--json');
    t.equal(code, 1, stderr);
    const result = parseRecord(stdout) ?? {};
    t.match(result, { network: 'signet', ok: false });
    const probed = Array.isArray(result['directories']) ? result['directories'].map(recordOf) : [];
    t.same(
      new Map(probed.map(({ location, outcome }) => [location, outcome])),
      new Map([
        [formatLocation(first.location), 'accepted'],
        [formatLocation(second.location), 'accepted'],
        [formatLocation(dead), 'unreachable'],
      ]),
    );
    const other = await check('--network', 'mainnet');
    t.match([other.code, other.stderr], [2, /the list is of signet: give --network signet/]);
    const watch = ['--watch', '--interval', '10'];
    const watching = startCli(['directories', 'check', '--list', file, ...where, ...watch]);
    await watching.shows('stdout', /100\.0 % {2}100\.0 %\n/);
    const history = readFileSync(join(folder, 'directories-history.jsonl'), 'latin1');
    t.equal(history.trim().split('\n').length, 6, 'a line for each directory of both runs');
    watching.child.kill('SIGTERM');
    t.equal((await watching.ended).code, 0);
  });

  await t.test('a page of an onion service as a source', async (t) => {
    const overlay = overlays.server();
    const body = Buffer.from(bytesOf(one));
    const head = Buffer.from(`HTTP/1.0 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
    const reachable = deferred<void>();
    const served = await overlay.serve(
      (connection) => {
        connection.attach({
          data() {
            connection.write(Buffer.concat([head, body]));
            connection.end();
          },
          closed() {},
        });
      },
      {
        signal,
        onState: ({ state }) => {
          if (state === 'reachable') reachable.resolve();
        },
      },
    );
    t.teardown(async () => {
      await served.close();
      await overlay.close();
    });
    await reachable.promise;
    const page = { location: served.locations[0], path: '/list.json' };
    const dialer = overlays.dialer();
    const fetched = await fetchPage(page, { dialer, clock: systemClock, signal });
    t.ok(Buffer.from(fetched).equals(body));
  });
});
