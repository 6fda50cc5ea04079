/**
 * Nick authentication at a directory (docs/protocol.md, section 7.6), over loopback sockets, with the
 * test's clock: which peers are asked, which peer gets a nick, and what is refused.
 */
import t, { type Test } from 'tap';
import {
  formatNickProof,
  parseNickChallenge,
  parseNickResult,
  proveNick,
  type NickAuthChallenge,
} from '../../src/protocol/nick-auth.js';
import { nickKey, type NickKey } from '../../src/protocol/nick.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import {
  CLUSTER_TIMERS,
  DN_LOCATION,
  hello,
  runDirectory,
  turn,
  until,
  type Client,
  type RunOptions,
  type Running,
} from './wire.js';

const OWNER = nickKey(new Uint8Array(32).fill(0x11));
const OTHER = nickKey(new Uint8Array(32).fill(0x22));
const PROVES = { features: { nick_auth: true, ping: true } };

interface Scene extends Running {
  readonly clock: TestClock;
}

/** A peer that was asked for a proof. */
interface Asked {
  readonly client: Client;
  readonly challenge: NickAuthChallenge;
  /** Its 793 payload. */
  readonly handshake: string;
}

async function scene(
  test: Test,
  options: RunOptions & { readonly required?: boolean } = {},
): Promise<Scene> {
  const clock = createTestClock();
  let drawn = 0;
  const running = await runDirectory({
    // At another node, the owner would be a second connection of the same peer.
    oneNode: true,
    clock,
    nickAuth: {
      required: options.required ?? false,
      // A different challenge each time, as with real randomness.
      randomBytes: (count) => new Uint8Array(count).fill(++drawn),
    },
    ...options,
    limits: { heartbeatIntervalMs: 0, ...options.limits },
  });
  test.teardown(() => running.stop());
  return { ...running, clock };
}

async function ask(s: Running, nick: string): Promise<Asked> {
  const client = await s.dial();
  const handshake = hello(nick, PROVES);
  client.send(793, handshake);
  const greeting = await client.next();
  t.match(greeting, { type: 795, line: /"accepted": true/ });
  t.match(greeting.line, /"nick_auth": true/);
  const { type, line } = await client.next();
  const parsed = parseNickChallenge(line);
  if (type !== 803 || !parsed.ok) throw new Error(`no challenge: ${type} ${line}`);
  return { client, challenge: parsed.value, handshake };
}

function answer({ client, challenge, handshake }: Asked, key: NickKey): void {
  client.send(805, formatNickProof(proveNick(key, challenge, handshake)));
}

async function resultOf(client: Client): Promise<string> {
  const { type, line } = await client.next();
  const code = parseNickResult(line);
  if (type !== 807 || !code.ok) throw new Error(`no result: ${type} ${line}`);
  return code.value;
}

/** Connects and proves the nick of a key. */
async function prove(s: Scene, key: NickKey): Promise<Client> {
  const asked = await ask(s, key.nick);
  answer(asked, key);
  // Checks are 10 ms apart.
  await until(() => {
    s.clock.advance(10);
    return asked.client.unread.length > 0;
  });
  t.equal(await resultOf(asked.client), 'ok');
  return asked.client;
}

t.test('a peer that offers the feature is asked for a proof before it is ready', async (t) => {
  const s = await scene(t);
  const watcher = await s.join('J5watcher');
  const asked = await ask(s, OWNER.nick);
  t.equal(asked.challenge.directoryId, DN_LOCATION, 'the challenge names this directory');
  t.match(s.directory.stats(), { peers: 1, unhandshaked: 1 }, 'not ready yet');
  watcher.send(687, 'J5watcher!PUBLIC!orderbook');
  watcher.send(685, `J5watcher!${OWNER.nick}!fill 0 1 a b k s`);
  t.match(await watcher.next(), { type: 789, line: `${OWNER.nick};NOT-SERVING-ONION;D` });
  t.strictSame(asked.client.unread, [], 'it receives nothing');

  answer(asked, OWNER);
  t.strictSame(await asked.client.next(), { type: 807, line: '{"code":"ok","verified":true}' });
  t.match(s.directory.stats(), {
    peers: 2,
    unhandshaked: 0,
    handshakesAccepted: 2,
    nickAuth: { ok: 1 },
  });
  watcher.send(687, 'J5watcher!PUBLIC!orderbook');
  t.strictSame(await asked.client.next(), { type: 687, line: 'J5watcher!PUBLIC!orderbook' });
  asked.client.send(687, `${OWNER.nick}!PUBLIC!orderbook`);
  t.strictSame(await watcher.next(), { type: 687, line: `${OWNER.nick}!PUBLIC!orderbook` });
});

t.test('a peer that does not offer the feature sees no change', async (t) => {
  for (const nickAuth of [true, false]) {
    const s = nickAuth ? await scene(t) : await runDirectory();
    if (!nickAuth) t.teardown(() => s.stop());
    for (const features of [{}, { ping: true }, { nick_auth: false }, { nick_auth: 'true' }]) {
      const client = await s.dial();
      client.send(793, hello(OWNER.nick, { features }));
      const { line } = await client.next();
      const said: { features: unknown; accepted: boolean } = JSON.parse(line);
      t.strictSame(said.features, { peerlist_features: true, ping: true });
      t.equal(said.accepted, true);
      client.send(791, '');
      t.equal((await client.next()).type, 789, 'it is ready at once');
      client.socket.destroy();
      await until(() => s.directory.connectionCount === 0);
    }
  }
  const off = await runDirectory();
  t.teardown(() => off.stop());
  const client = await off.join(OWNER.nick, PROVES);
  client.send(798, '');
  t.equal((await client.next()).type, 799, 'a directory without the feature does not ask');
});

t.test('the owner of a nick gets it back at once', async (t) => {
  for (const proven of [false, true]) {
    const s = await scene(t);
    const watcher = await s.join('J5watcher');
    const holder = proven ? await prove(s, OWNER) : await s.join(OWNER.nick);
    // The holder is in a conversation, which protects its nick from all other peers.
    holder.send(685, `${OWNER.nick}!J5watcher!pubkey a k s`);
    t.equal((await watcher.next()).type, 685);
    t.equal((await watcher.next()).type, 789);
    watcher.send(685, `J5watcher!${OWNER.nick}!auth a k s`);
    t.equal((await holder.next()).type, 685);

    const owner = await prove(s, OWNER);
    await holder.closed;
    const leave = await watcher.next();
    t.match(leave.line, `${OWNER.nick};NOT-SERVING-ONION;D`, 'the leave is announced');
    watcher.send(685, `J5watcher!${OWNER.nick}!tx a k s`);
    for (let line = await owner.next(); line.type !== 685; line = await owner.next()) {
      t.equal(line.type, 789);
    }
    t.match(s.directory.stats(), {
      peers: 2,
      nickClaims: 0,
      nickProbes: 0,
      closed: { 'nick-displaced': 1 },
    });
  }
});

t.test('a proven holder stays', async (t) => {
  const s = await scene(t);
  const holder = await prove(s, OWNER);
  const newcomer = await s.dial();
  newcomer.send(793, hello(OWNER.nick));
  t.equal((await holder.next()).type, 798, 'it is pinged');
  holder.send(799, '');
  t.match(await newcomer.next(), { type: 795, line: /Rejected: nick is in use/ });
  await newcomer.closed;

  // A peer with another key does not get the nick either.
  const asked = await ask(s, OWNER.nick);
  answer(asked, OTHER);
  await until(() => {
    s.clock.advance(10);
    return asked.client.unread.length > 0;
  });
  t.equal(await resultOf(asked.client), 'invalid');
  await asked.client.closed;
  t.equal(holder.socket.closed, false);
  t.match(s.directory.stats(), { peers: 1, closed: { 'nick-auth': 1, 'nick-displaced': 0 } });
});

t.test('a waiting newcomer is refused when the owner comes', async (t) => {
  const s = await scene(t);
  const holder = await s.join(OWNER.nick);
  const waiting = await s.dial();
  waiting.send(793, hello(OWNER.nick));
  await until(() => s.directory.stats().nickClaims === 1);
  const owner = await prove(s, OWNER);
  t.match(await waiting.next(), { type: 795, line: /"accepted": false/ });
  await Promise.all([holder.closed, waiting.closed]);
  owner.send(798, '');
  t.equal((await owner.next()).type, 799);
  t.match(s.directory.stats(), { peers: 1, nickClaims: 0 });
});

t.test('answers that are not a valid proof', async (t) => {
  const s = await scene(t, { limits: { handshakeTimeoutMs: 20_000 } });
  const replayed = await ask(s, OWNER.nick);
  const recorded = formatNickProof(proveNick(OWNER, replayed.challenge, replayed.handshake));
  const rows: readonly [string, string, (asked: Asked) => void][] = [
    ['the key of another nick', 'invalid', (asked) => answer(asked, OTHER)],
    ['a recorded proof', 'invalid', ({ client }) => client.send(805, recorded)],
    [
      "another directory's challenge",
      'invalid',
      ({ client, challenge, handshake }) => {
        const elsewhere = { ...challenge, directoryId: '127.0.0.1:5223' };
        client.send(805, formatNickProof(proveNick(OWNER, elsewhere, handshake)));
      },
    ],
    [
      'a proof over another handshake',
      'invalid',
      ({ client, challenge, handshake }) => {
        const other = handshake.replace('"ping":true', '"ping":false');
        client.send(805, formatNickProof(proveNick(OWNER, challenge, other)));
      },
    ],
    ['one member too many', 'malformed', ({ client }) => client.send(805, '{"pubkey":1,"x":2}')],
    ['not JSON', 'malformed', ({ client }) => client.send(805, 'x')],
    ['not an envelope', 'malformed', ({ client }) => client.write('x\r\n')],
    ['a message first', 'malformed', ({ client }) => client.send(687, 'a!PUBLIC!orderbook')],
    ['a second handshake', 'malformed', ({ client, handshake }) => client.send(793, handshake)],
    ['the result', 'malformed', ({ client }) => client.send(807, '{"code":"ok","verified":true}')],
  ];
  for (const [name, code, say] of rows) {
    const asked = await ask(s, OWNER.nick);
    say(asked);
    if (code === 'invalid') {
      await until(() => {
        s.clock.advance(1);
        return asked.client.unread.length > 0;
      });
    }
    t.equal(await resultOf(asked.client), code, name);
    await asked.client.closed;
  }
  // One proof is checked at once, so the next one waits; its peer may send nothing meanwhile.
  s.clock.advance(10);
  const [first, next] = [await ask(s, OWNER.nick), await ask(s, OWNER.nick)];
  answer(first, OTHER);
  t.equal(await resultOf(first.client), 'invalid');
  answer(next, OWNER);
  next.client.send(687, `${OWNER.nick}!PUBLIC!orderbook`);
  t.equal(await resultOf(next.client), 'malformed', 'a proof and a line after it');
  await Promise.all([first.client.closed, next.client.closed]);

  const binary = await ask(s, OWNER.nick);
  binary.client.write(Uint8Array.of(0xff, 13, 10));
  await binary.client.closed;
  t.strictSame(binary.client.unread, [], 'bytes that are not text get no answer');

  const slow = await ask(s, OWNER.nick);
  replayed.client.socket.destroy();
  await until(() => s.directory.connectionCount === 1);
  s.clock.advance(25_000);
  t.equal(await resultOf(slow.client), 'expired', 'a slow answer');
  await slow.client.closed;
  await until(() => s.directory.connectionCount === 0);
  const { nickAuth, peers, handshakesAccepted } = s.directory.stats();
  t.match(
    { peers, handshakesAccepted, expired: nickAuth.expired, ok: nickAuth.ok },
    {
      peers: 0,
      handshakesAccepted: 0,
      expired: 1,
      ok: 0,
    },
  );
  t.equal(s.clock.pending, CLUSTER_TIMERS, 'no timer is left');
});

t.test('a directory on which every peer must prove its nick', async (t) => {
  const s = await scene(t, { required: true });
  const legacy = await s.dial();
  legacy.send(793, hello('J5legacy', { features: { ping: true } }));
  t.match(await legacy.next(), { type: 795, line: /Rejected: .*prove their nick/ });
  await legacy.closed;
  const owner = await prove(s, OWNER);
  owner.send(791, '');
  t.equal((await owner.next()).type, 789);
  t.match(s.directory.stats(), { peers: 1, handshakesRejected: { 'nick-auth': 1 } });
});

t.test('a full directory asks only a peer that replaces another one', async (t) => {
  const s = await scene(t, { limits: { maxPeers: 1 } });
  const early = await ask(s, OTHER.nick);
  const holder = await s.join(OWNER.nick);
  const late = await s.dial();
  late.send(793, hello('J5late', PROVES));
  t.match(await late.next(), { type: 795, line: /Rejected: directory is full/ });
  answer(early, OTHER);
  t.equal(await resultOf(early.client), 'policy', 'the directory became full after the challenge');
  const owner = await prove(s, OWNER);
  await holder.closed;
  owner.send(798, '');
  t.equal((await owner.next()).type, 799);
});

t.test('a flood of challenges and proofs', async (t) => {
  const s = await scene(t, { limits: { maxUnhandshaked: 20 } });
  const honest = await s.join('J5honest');
  const flood: Asked[] = [];
  for (let i = 0; i < 30; i++) flood.push(await ask(s, OWNER.nick));
  t.equal(s.directory.stats().unhandshaked, 30, 'more than the limit, since all are young');
  for (const asked of flood) answer(asked, OTHER);
  // When this is answered, the proofs of all of them have been read.
  await Promise.all(
    flood.slice(1).map(async ({ client }) => {
      while (client.socket.writableLength > 0) await turn();
    }),
  );
  honest.send(791, '');
  t.equal((await honest.next()).type, 789);
  await until(() => s.directory.stats().messagesIn.handshake === 31 + 30);
  t.equal(s.directory.stats().nickAuth.invalid, 1, 'one is checked at once');
  s.clock.advance(9);
  t.equal(s.directory.stats().nickAuth.invalid, 1, 'the next one 10 ms later');
  s.clock.advance(1);
  t.equal(s.directory.stats().nickAuth.invalid, 2);
  const [, , gone] = flood;
  gone?.client.socket.destroy();
  await until(() => s.directory.stats().closed['closed-by-peer'] === 1);
  s.clock.advance(100);
  t.equal(s.directory.stats().nickAuth.invalid, 12);
  s.clock.advance(1_000);
  t.equal(s.directory.stats().nickAuth.invalid, 29, 'all except the one that left');
  await until(() => s.directory.connectionCount === 1);

  // Peers that never answer are ended like peers that send no handshake.
  for (let i = 0; i < 25; i++) await ask(s, OWNER.nick);
  s.clock.advance(7_500);
  await until(() => s.directory.connectionCount === 21);
  t.equal(s.directory.stats().closed['unhandshaked-limit'], 5);
  s.clock.advance(30_000);
  await until(() => s.directory.connectionCount === 1);
  t.equal(s.directory.stats().nickAuth.expired, 20);
});
