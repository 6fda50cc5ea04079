/** IWP version 1: packets, messages, and links over a network that loses, repeats and reorders packets. */
import { createHash, randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import { newSigningKeys, type RandomBytes } from '../../src/llarp/crypto.js';
import type { ConnectFault } from '../../src/llarp/iwp/attempts.js';
import { Endpoint } from '../../src/llarp/iwp/endpoint.js';
import type { Link } from '../../src/llarp/iwp/links.js';
import { readInner, writeInner, type InnerMessage } from '../../src/llarp/iwp/messages.js';
import { deobfuscate, obfuscate } from '../../src/llarp/iwp/obfuscation.js';
import { isSigned, readPacket, writeSigned } from '../../src/llarp/iwp/packet.js';
import { ReplayWindow } from '../../src/llarp/iwp/replay-window.js';
import { KEY_LIFETIME_MS, type SessionEnd } from '../../src/llarp/iwp/session.js';
import { MAX_QUEUED_BYTES } from '../../src/llarp/iwp/transmission.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';

const NETWORK = Uint8Array.from(Buffer.from('lab\0\0\0\0\0'));
const DELAY_MS = 10;

function seeded(seed: string): RandomBytes {
  let counter = 0;
  return (length) =>
    Uint8Array.from(
      createHash('shake256', { outputLength: length }).update(`${seed} ${counter++}`).digest(),
    );
}

/** What happens to a packet on its way. */
type Fate = 'arrives' | 'lost' | 'twice' | 'late';

interface Node {
  readonly endpoint: Endpoint;
  readonly identity: Uint8Array;
  readonly links: Link[];
  readonly messages: string[];
  readonly ends: SessionEnd[];
  readonly faults: ConnectFault[];
  readonly sent: Uint8Array[];
}

class Net {
  readonly clock: TestClock = createTestClock();
  readonly nodes = new Map<string, Node>();
  fate: (packet: number) => Fate = () => 'arrives';
  #packets = 0;

  add(address: string, options: { network?: Uint8Array; obfuscates?: boolean } = {}): Node {
    const random = seeded(address);
    const identity = newSigningKeys(random);
    const node: Node = {
      identity: identity.publicKey,
      links: [],
      messages: [],
      ends: [],
      faults: [],
      sent: [],
      endpoint: new Endpoint({
        clock: this.clock,
        wallClock: () => BigInt(this.clock.now()),
        randomBytes: random,
        identity,
        network: options.network ?? NETWORK,
        obfuscates: options.obfuscates ?? false,
        send: (packet, to) => {
          node.sent.push(packet);
          this.#carry(packet, address, to);
        },
        onLink: (link) => node.links.push(link),
        onMessage: (_, bytes) => node.messages.push(Buffer.from(bytes).toString('latin1')),
        onEnd: (_, reason) => node.ends.push(reason),
        onFailed: (_, fault) => node.faults.push(fault),
      }),
    };
    this.nodes.set(address, node);
    return node;
  }

  #carry(packet: Uint8Array, from: string, to: string): void {
    const fate = this.fate(this.#packets++);
    const copies = fate === 'lost' ? 0 : fate === 'twice' ? 2 : 1;
    const delay = fate === 'late' ? 20 * DELAY_MS : DELAY_MS;
    for (let copy = 0; copy < copies; copy++) {
      this.clock.after(delay * (copy + 1), () => {
        this.nodes.get(to)?.endpoint.receive(packet, from);
      });
    }
  }
}

function linked(options: { obfuscates?: boolean } = {}): {
  net: Net;
  a: Node;
  b: Node;
  link: Link;
  back: Link;
} {
  const net = new Net();
  const a = net.add('a', options);
  const b = net.add('b', options);
  a.endpoint.connect({ address: 'b', identity: b.identity });
  net.clock.advance(100);
  const [link] = a.links;
  const [back] = b.links;
  if (!link || !back) throw new Error('no link');
  return { net, a, b, link, back };
}

t.test('a link is made in four packets, and both sides know each other', (t) => {
  const { a, b, link, back } = linked();
  t.same(link.identity, b.identity);
  t.same(back.identity, a.identity);
  t.equal(link.isInitiator, true);
  t.equal(back.isInitiator, false);
  t.equal(a.sent.length + b.sent.length, 4);
  t.same(
    [a.sent, b.sent].map((sent) =>
      sent.map((packet) => String.fromCharCode(packet[0] ?? 0)).join(''),
    ),
    ['OE', 'GE'],
  );
  t.end();
});

t.test('messages of every size arrive once, in both directions', (t) => {
  const { net, a, b, link, back } = linked();
  const sizes = [1, 2, 15, 16, 17, 1_279, 1_280, 1_281, 2_560, 40_000, 65_535];
  for (const size of sizes) {
    t.ok(link.sendMessage(randomBytes(size).fill(size & 0x7f)));
    t.ok(back.sendMessage(randomBytes(size).fill(size & 0x3f)));
  }
  net.clock.advance(1_000);
  t.same(
    b.messages.map(({ length }) => length).toSorted((x, y) => x - y),
    sizes,
  );
  t.same(
    a.messages.map(({ length }) => length).toSorted((x, y) => x - y),
    sizes,
  );
  t.equal(link.queuedBytes, 0);
  t.notOk(link.sendMessage(new Uint8Array(0)), 'an empty message');
  t.notOk(link.sendMessage(new Uint8Array(65_536)), 'a message that is too long');
  t.end();
});

t.test('no packet of an obfuscated link shows its form', (t) => {
  const { net, a, b, link } = linked({ obfuscates: true });
  t.ok(link.sendMessage(Buffer.from('hello')));
  net.clock.advance(100);
  t.same(b.messages, ['hello']);
  for (const packet of [...a.sent, ...b.sent])
    t.not(packet[1] === 0x3d && readPacket(packet).ok, true);
  const [first] = a.sent;
  const clear = first && deobfuscate(first, b.identity);
  t.match(clear && readPacket(clear), { ok: true, value: { packet: { kind: 'obtain' } } });
  t.equal(deobfuscate(new Uint8Array(16), b.identity), undefined);
  const one = obfuscate(Uint8Array.of(1), b.identity, randomBytes);
  t.same(deobfuscate(one, b.identity), Uint8Array.of(1));
  t.end();
});

t.test('a network that loses, repeats and delays packets delivers every message once', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom<Fate>('arrives', 'arrives', 'lost', 'twice', 'late'), {
        minLength: 50,
        maxLength: 400,
      }),
      fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1, maxLength: 12 }),
      (fates, sizes) => {
        const { net, a, b, link, back } = linked();
        net.fate = (packet) => fates[packet] ?? 'arrives';
        const texts = sizes.map((size, i) => String.fromCharCode(97 + i).repeat(size));
        for (const text of texts) {
          link.sendMessage(Buffer.from(text));
          back.sendMessage(Buffer.from(text));
        }
        net.clock.advance(20_000);
        t.strictSame(b.messages.toSorted(), texts);
        t.strictSame(a.messages.toSorted(), texts);
      },
    ),
    { numRuns: 40 },
  );
  t.end();
});

t.test('keys change, and no message is lost meanwhile', (t) => {
  const { net, b, link } = linked();
  const texts: string[] = [];
  for (let i = 0; i < 40; i++) {
    net.clock.advance(KEY_LIFETIME_MS / 8);
    const text = `message ${i}`;
    texts.push(text);
    link.sendMessage(Buffer.from(text));
    net.fate = (packet) => (packet % 3 === 0 ? 'lost' : 'arrives');
  }
  net.clock.advance(20_000);
  t.same(b.messages.toSorted(), texts.toSorted());
  t.same(b.ends, []);
  t.end();
});

t.test('a repeated packet is dropped, and a changed or foreign one is not read', (t) => {
  const { net, a, b, link } = linked();
  link.sendMessage(Buffer.from('once'));
  net.clock.advance(100);
  for (const packet of a.sent) b.endpoint.receive(packet, 'a');
  net.clock.advance(100);
  t.same(b.messages, ['once']);
  t.equal(b.links.length, 1);
  const data = a.sent.find((packet) => packet[0] === 0x44) ?? new Uint8Array(0);
  for (let at = 0; at < data.length; at++) {
    const changed = data.slice();
    changed[at] = (changed[at] ?? 0) ^ 4;
    b.endpoint.receive(changed, 'a');
  }
  b.endpoint.receive(data, 'somewhere else');
  net.clock.advance(100);
  t.same(b.messages, ['once']);
  t.equal(link.isEnded, false);
  t.end();
});

t.test('the wrong network is refused, and the wrong identity has no answer', (t) => {
  const net = new Net();
  const a = net.add('a');
  const b = net.add('b', { network: Uint8Array.from(Buffer.from('other\0\0\0')) });
  a.endpoint.connect({ address: 'b', identity: b.identity });
  net.clock.advance(1_000);
  t.same(a.faults, ['refused: wrong netid']);
  const c = net.add('c');
  a.endpoint.connect({ address: 'c', identity: b.identity });
  a.endpoint.connect({ address: 'nowhere', identity: b.identity });
  net.clock.advance(20_000);
  t.same(a.faults.slice(1), ['no-answer', 'no-answer']);
  t.same([a.links, b.links, c.links], [[], [], []]);
  t.equal(a.endpoint.attempts, 0);
  t.end();
});

t.test('the words of a refusal are cleaned', (t) => {
  const net = new Net();
  const a = net.add('a');
  const hostile = newSigningKeys(seeded('hostile'));
  a.endpoint.connect({ address: 'x', identity: hostile.publicKey });
  const reason = '\u001b[2Jno\n';
  const reject = { kind: 'reject', reason, time: 0n, identity: hostile.publicKey } as const;
  a.endpoint.receive(writeSigned(reject, hostile.seed), 'x');
  t.same(a.faults, [String.raw`refused: \u001b[2Jno\n`]);
  t.end();
});

t.test('a side that is gone is noticed, with and without messages', (t) => {
  const quiet = linked();
  quiet.net.nodes.delete('b');
  quiet.net.clock.advance(60_000);
  t.same(quiet.a.ends, ['silent']);
  const busy = linked();
  busy.net.nodes.delete('b');
  busy.link.sendMessage(Buffer.from('hello'));
  busy.net.clock.advance(20_000);
  t.same(busy.a.ends, ['lost']);
  t.notOk(busy.link.sendMessage(Buffer.from('late')));
  t.equal(busy.a.endpoint.links, 0);
  const idle = linked();
  idle.net.clock.advance(3_600_000);
  t.same([idle.a.ends, idle.b.ends], [[], []], 'an idle link stays');
  t.end();
});

t.test('queues and tables are bounded', (t) => {
  const { net, a, b, link } = linked();
  net.fate = () => 'lost';
  let taken = 0;
  while (link.sendMessage(new Uint8Array(60_000))) taken += 60_000;
  t.ok(taken <= MAX_QUEUED_BYTES && taken > MAX_QUEUED_BYTES - 60_000);
  const before = b.sent.length;
  for (let i = 0; i < 2_000; i++) {
    const keys = newSigningKeys(seeded(`flood ${i % 20}`));
    const packet = {
      kind: 'obtain',
      network: NETWORK,
      time: 0n,
      identity: keys.publicKey,
    } as const;
    b.endpoint.receive(writeSigned(packet, keys.seed), `flood ${i}`);
  }
  t.ok(b.sent.length - before <= 200, 'a flood of O gets a bounded number of answers');
  t.ok(b.endpoint.dropped.rate >= 1_800);
  a.endpoint.close();
  b.endpoint.close();
  net.clock.advance(1_000);
  t.equal(net.clock.pending, 0, 'no timer is left');
  t.same([a.endpoint.links, b.endpoint.links], [0, 0]);
  t.end();
});

t.test('a counter is new once', (t) => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 20_000n }), { maxLength: 300 }), (counters) => {
      const window = new ReplayWindow();
      const seen = new Set<bigint>();
      for (const counter of counters) {
        const isNew = window.accept(counter);
        if (seen.has(counter)) t.notOk(isNew);
        seen.add(counter);
      }
    }),
  );
  const window = new ReplayWindow();
  for (let i = 0n; i < 100_000n; i++) if (!window.accept(i)) t.fail(`counter ${i}`);
  t.notOk(window.accept(5n), 'too old');
  t.end();
});

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const u16 = fc.integer({ min: 0, max: 65_535 });
/** Objects as a parser makes them. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const INNER: fc.Arbitrary<InnerMessage> = fc.oneof(
  record({
    kind: fc.constantFrom('keepAlive' as const, 'keepAliveAck' as const),
    attempt: u16,
    timeoutMs: u16,
    transmitLimit: u64,
    receiveUse: u64,
    now: u64,
  }),
  record({
    kind: fc.constantFrom('slower' as const, 'faster' as const),
    rate: u16,
    lifetimeMs: fc.nat(),
  }),
  record({ kind: fc.constant('rotate' as const), lifetimeMs: u16, nonce: key, nextKey: key }),
  record({
    kind: fc.constantFrom('upgrade' as const, 'upgradeAck' as const),
    least: fc.nat(255),
    most: fc.nat(255),
  }),
  record({
    kind: fc.constant('acknowledge' as const),
    sequence: fc.nat(),
    fragments: fc.uint8Array({ maxLength: 7 }),
  }),
  record({
    kind: fc.constant('neighbours' as const),
    routes: fc.array(
      record({
        flags: fc.nat(255),
        latencyMs: u16,
        backpressure: u16,
        peers: u16,
        published: u64,
        neighbour: key,
        source: key,
        signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
      }),
      { maxLength: 8 },
    ),
  }),
);

t.test('every message is read back from its bytes, and any bytes are read or refused', (t) => {
  fc.assert(
    fc.property(INNER, (message) => {
      t.strictSame(readInner(writeInner(message)), { ok: true, value: message });
    }),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...'klcdstqrnuv'.split('')),
      fc.uint8Array({ maxLength: 1_500 }),
      (command, bytes) => {
        const read = readInner(Uint8Array.of(1, command.charCodeAt(0), ...bytes));
        if (read.ok) t.strictSame(readInner(writeInner(read.value)), read);
      },
    ),
    { numRuns: 500 },
  );
  t.end();
});

t.test('every packet is read back, and any bytes are read or refused', (t) => {
  const keys = newSigningKeys(seeded('packets'));
  const own = keys.publicKey;
  const flowId = new Uint8Array(16).fill(3);
  const packets = [
    { kind: 'obtain', network: NETWORK, time: 5n, identity: own },
    { kind: 'give', flowId, identity: own },
    { kind: 'reject', reason: 'fourteen chars', time: 6n, identity: own },
    { kind: 'reject', reason: '', time: 6n, identity: own },
    { kind: 'establish', flowId, ephemeralKey: own, counter: 0n },
    { kind: 'establish', flowId, ephemeralKey: own, counter: 1n, credential: own },
  ] as const;
  for (const packet of packets) {
    const bytes = writeSigned(packet, keys.seed);
    const read = readPacket(bytes);
    t.match(read, { ok: true, value: { packet } }, packet.kind);
    t.ok(read.ok && 'signature' in read.value && isSigned(read.value, own));
    t.equal(readPacket(bytes.subarray(0, 60)).ok, false, 'cut');
  }
  fc.assert(
    fc.property(
      fc.constantFrom(...'OGRED'.split('')),
      fc.uint8Array({ maxLength: 300 }),
      (command, bytes) => {
        readPacket(Buffer.concat([Buffer.from(`${command}=`), bytes]));
        readPacket(bytes);
      },
    ),
    { numRuns: 1_000 },
  );
  t.equal(readPacket(new Uint8Array(1_473)).ok, false);
  t.end();
});
