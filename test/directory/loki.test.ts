/**
 * A directory in Tor and Lokinet at once, byte for byte: no `.loki` location leaves over Tor, where deployed
 * peers refuse it, and no onion leaves over Lokinet. A `.loki` location is the one that the peer connects from.
 */
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { Connection, ConnectionHandler } from '../../src/channel/ports.js';
import { createDirectory, DEFAULT_LIMITS, type Directory } from '../../src/directory/directory.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { onionHost, type Location } from '../../src/protocol/location.js';
import { lokiHost } from '../../src/protocol/loki-address.js';
import { createTestClock } from '../helpers/test-clock.js';
import { openDirectory } from './three-nodes.js';
import { hello, NO_RATES, parseLine } from './wire.js';

const NICK = 'J5DirectoryOOOOO';
const key = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const ONION: Location = { kind: 'onion', host: onionHost(key(1)), port: 5222 };
const LOKI: Location = { kind: 'loki', host: lokiHost(key(2)), port: 5222 };
const OWN = { onion: `${NICK};${ONION.host}:5222`, loki: `${NICK};${LOKI.host}:5222` };
const TOR_MAKER = `${onionHost(key(3))}:5222`;
const LOKI_MAKER = `${lokiHost(key(4))}:5222`;

/** A peer's end of a connection in memory. */
class Peer implements Connection {
  readonly remote = 'test';
  readonly queuedBytes = 0;
  closed = false;
  #handler: ConnectionHandler | undefined;
  #received = '';

  constructor(
    readonly via: 'onion' | 'loki',
    readonly peerHost: string | null | undefined,
  ) {}

  attach(handler: ConnectionHandler): void {
    this.#handler = handler;
  }

  write(bytes: Uint8Array, done?: () => void): void {
    this.#received += Buffer.from(bytes).toString('latin1');
    if (done) queueMicrotask(done);
  }

  pause(): void {}
  resume(): void {}
  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    queueMicrotask(() => this.#handler?.closed());
  }

  send(type: number, line: string): void {
    this.#handler?.data(Buffer.from(encodeEnvelope(type, line), 'latin1'));
  }

  /** The bytes received since the last call. */
  async taken(): Promise<string> {
    await new Promise((resolve) => setImmediate(resolve));
    const text = this.#received;
    this.#received = '';
    return text;
  }
}

const clock = createTestClock();

async function directoryFor(): Promise<Directory> {
  const directory = await openDirectory(
    (given) =>
      createDirectory({
        network: 'signet',
        nick: NICK,
        location: (via) => (via === 'loki' ? LOKI : ONION),
        reachable: new Set(['onion', 'loki'] as const),
        motd: () => '',
        limits: { ...DEFAULT_LIMITS, ...NO_RATES },
        random: () => 0,
        log: silentLog,
        ...given,
      }),
    clock,
  );
  t.teardown(() => {
    const closing = directory.close();
    clock.advance(10_000);
    return closing;
  });
  return directory;
}

/** A peer whose handshake was sent; its answer is left. */
function join(
  directory: Directory,
  nick: string,
  via: Peer['via'],
  location: string,
  peerHost: string | null | undefined = via === 'loki' ? location.replace(/:\d+$/, '') : undefined,
): Peer {
  const peer = new Peer(via, peerHost);
  directory.accept(peer);
  peer.send(793, hello(nick, { location }));
  return peer;
}

/** The entries of a list, which has no order and may come in several lines. */
function entriesOf(text: string): readonly string[] {
  const lines = text.trimEnd().split('\r\n').map(parseLine);
  if (lines.some(({ type }) => type !== 789)) throw new Error(`not a list: ${text}`);
  return lines.flatMap(({ line }) => line.split(',')).toSorted();
}

t.test('789, ;D and gone notices name locations of the own network only', async (t) => {
  const directory = await directoryFor();
  const torMaker = join(directory, 'J5torMaker', 'onion', TOR_MAKER);
  const lokiMaker = join(directory, 'J5lokiMaker', 'loki', LOKI_MAKER);
  const torTaker = join(directory, 'J5torTaker', 'onion', 'NOT-SERVING-ONION');
  const lokiTaker = join(directory, 'J5lokiTaker', 'loki', 'NOT-SERVING-ONION');
  const all = [torMaker, lokiMaker, torTaker, lokiTaker];
  for (const peer of all) {
    // oxlint-disable-next-line no-await-in-loop
    t.match(await peer.taken(), /"type": 795.*\\"accepted\\": true/);
  }

  torTaker.send(791, '');
  t.strictSame(entriesOf(await torTaker.taken()), [
    'J5lokiMaker;NOT-SERVING-ONION',
    'J5lokiTaker;NOT-SERVING-ONION',
    `J5torMaker;${TOR_MAKER}`,
    'J5torTaker;NOT-SERVING-ONION',
  ]);
  lokiTaker.send(791, '');
  t.strictSame(entriesOf(await lokiTaker.taken()), [
    `J5lokiMaker;${LOKI_MAKER}`,
    'J5lokiTaker;NOT-SERVING-ONION',
    'J5torMaker;NOT-SERVING-ONION',
    'J5torTaker;NOT-SERVING-ONION',
  ]);

  // The 789 after a private message, in all four directions.
  for (const [from, sender, to, receiver, pushed] of [
    ['J5lokiMaker', lokiMaker, 'J5torTaker', torTaker, OWN.onion],
    ['J5torMaker', torMaker, 'J5lokiTaker', lokiTaker, OWN.loki],
    ['J5torMaker', torMaker, 'J5torTaker', torTaker, `J5torMaker;${TOR_MAKER},${OWN.onion}`],
    ['J5lokiMaker', lokiMaker, 'J5lokiTaker', lokiTaker, `J5lokiMaker;${LOKI_MAKER},${OWN.loki}`],
  ] as const) {
    const line = `${from}!${to}!pubkey 00 aa bb`;
    sender.send(685, line);
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await receiver.taken(), encodeEnvelope(685, line) + encodeEnvelope(789, pushed));
  }
  await Promise.all(all.map((peer) => peer.taken()));

  // The addressee is not there.
  for (const peer of [torTaker, lokiTaker]) {
    const nick = peer === torTaker ? 'J5torTaker' : 'J5lokiTaker';
    peer.send(685, `${nick}!J5absent!pubkey 00 aa bb`);
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await peer.taken(), encodeEnvelope(789, 'J5absent;NOT-SERVING-ONION;D'));
  }

  // Both makers leave.
  for (const [leaver, nick, seenByTor, seenByLoki] of [
    [lokiMaker, 'J5lokiMaker', 'NOT-SERVING-ONION', LOKI_MAKER],
    [torMaker, 'J5torMaker', TOR_MAKER, 'NOT-SERVING-ONION'],
  ] as const) {
    leaver.destroy();
    // oxlint-disable-next-line no-await-in-loop
    await torTaker.taken();
    clock.advance(1_000);
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await torTaker.taken(), encodeEnvelope(789, `${nick};${seenByTor};D`));
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await lokiTaker.taken(), encodeEnvelope(789, `${nick};${seenByLoki};D`));
  }
});

t.test('a location of the other network is refused', async (t) => {
  const directory = await directoryFor();
  for (const [via, location] of [
    ['onion', LOKI_MAKER],
    ['loki', TOR_MAKER],
    ['loki', 'probably.loki:5222'],
    ['loki', `a.${LOKI_MAKER}`],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop
    t.match(await join(directory, 'J5other', via, location).taken(), /Rejected: location-string/);
  }
  t.equal(directory.stats().handshakesRejected.location, 4);
});

t.test('over Lokinet a peer is where it connects from', async (t) => {
  const directory = await directoryFor();
  const [host] = LOKI_MAKER.split(':');
  const thief = join(directory, 'J5thief', 'loki', LOKI_MAKER, lokiHost(key(9)));
  t.match(await thief.taken(), /Rejected: location-string is not the address that this connection/);
  t.ok(thief.closed);
  t.equal(directory.stats().handshakesRejected['foreign-location'], 1);

  const unknown = join(directory, 'J5unknown', 'loki', LOKI_MAKER, null);
  t.match(await unknown.taken(), /\\"accepted\\": true/, 'Lokinet did not name its host');
  const owner = join(directory, 'J5owner', 'loki', LOKI_MAKER, host);
  t.match(await owner.taken(), /\\"accepted\\": true/);
  owner.send(791, '');
  t.strictSame(
    entriesOf(await owner.taken()),
    [`J5owner;${LOKI_MAKER}`, 'J5unknown;NOT-SERVING-ONION'],
    'what could not be checked is not passed on',
  );
});
