/** The links of a router to others: a router that comes back, two links at once, contacts that change or lie. */
import t from 'tap';
import { Neighbours } from '../../src/llarp/router/neighbours.js';
import { ContactBook } from '../../src/llarp/router/contact-book.js';
import { makeContact, newRouterKeys, type RouterKeys } from '../../src/llarp/router/contact.js';
import { keyText } from '../../src/llarp/router/distance.js';
import type { LinkMessage } from '../../src/llarp/link-messages.js';
import type { RouterContact } from '../../src/llarp/structures.js';
import { createTestClock } from '../helpers/test-clock.js';
import { Lab, NETWORK, seeded } from './lab.js';

const DELAY_MS = 5;
const START = 1_796_000_000_000n;

/** A message that tells itself apart by its path id. */
function messageOf(text: string): Extract<LinkMessage, { kind: 'upstream' }> {
  const pathId = Uint8Array.from(Buffer.from(text.padEnd(16)));
  return { kind: 'upstream', pathId, x: new Uint8Array(8), y: new Uint8Array(32), version: 0n };
}

class Side {
  readonly keys: RouterKeys;
  readonly book: ContactBook;
  readonly neighbours: Neighbours;
  readonly messages: string[] = [];
  readonly gone: string[] = [];

  constructor(
    readonly net: Net,
    readonly port: number,
    seed: string,
  ) {
    const randomBytes = seeded(seed);
    this.keys = newRouterKeys(randomBytes);
    this.book = new ContactBook(NETWORK, (contact) => this.neighbours.onMoved(contact));
    this.neighbours = new Neighbours({
      clock: net.clock,
      wallClock: net.wallClock,
      randomBytes,
      keys: this.keys,
      network: NETWORK,
      book: this.book,
      obfuscates: false,
      ownContact: () => this.contact(),
      send: (packet, to) => net.carry(packet, port, to),
      onMessage: (_, message) => {
        if (message.kind === 'upstream') {
          this.messages.push(Buffer.from(message.pathId).toString().trim());
        }
      },
      onGone: (key) => this.gone.push(key),
    });
  }

  get identity(): Uint8Array {
    return this.keys.signing.publicKey;
  }

  contact(port = this.port): RouterContact {
    const place = { network: NETWORK, host: '127.0.0.1', port };
    return makeContact(this.keys, { ...place, now: this.net.wallClock() });
  }

  knows(contact: RouterContact): void {
    this.book.put(contact, this.net.wallClock());
  }

  send(to: { readonly identity: Uint8Array }, text: string): boolean {
    return this.neighbours.send(to.identity, messageOf(text));
  }
}

/** Datagrams between ports of one machine. */
class Net {
  readonly clock = createTestClock();
  loses: (packet: Uint8Array, from: number) => boolean = () => false;
  readonly #sides = new Map<string, Side>();

  readonly wallClock = (): bigint => START + BigInt(this.clock.now());

  add(port: number, seed: string): Side {
    const side = new Side(this, port, seed);
    this.#sides.set(`127.0.0.1:${port}`, side);
    return side;
  }

  carry(packet: Uint8Array, from: number, to: string): void {
    if (this.loses(packet, from)) return;
    this.clock.after(DELAY_MS, () =>
      this.#sides.get(to)?.neighbours.receive(packet, `127.0.0.1:${from}`),
    );
  }
}

function pair(): { net: Net; a: Side; b: Side } {
  const net = new Net();
  const a = net.add(1, 'a');
  const b = net.add(2, 'b');
  a.knows(b.contact());
  b.knows(a.contact());
  return { net, a, b };
}

t.test('a router that comes back is a hop again, whenever its neighbour learns of it', (t) => {
  for (let learnsAt = 40; learnsAt <= 80; learnsAt += 5) {
    const lab = new Lab(4);
    lab.path(0, [1, 2, 3]);
    lab.clock.advance(2_000);
    lab.comeBack(2);
    const { path } = lab.path(0, [1, 2, 3]);
    lab.clock.advance(learnsAt);
    // From a bootstrap file, while the router that came back makes its link: after about 55 ms, before its LIM.
    lab.router(3).book.put(lab.router(2).contact, lab.wallClock());
    lab.clock.advance(1_000);
    t.equal(path.state, 'ready', `the contact is learnt after ${learnsAt} ms`);
  }
  t.end();
});

t.test('of two links at once, each one is enough', (t) => {
  const { net, a, b } = pair();
  t.ok(a.send(b, 'from a'));
  t.ok(b.send(a, 'from b'));
  net.clock.advance(1_000);
  t.same([a.neighbours.links, b.neighbours.links], [2, 2], 'both have connected');
  t.same([a.messages, b.messages], [['from b'], ['from a']]);
  a.neighbours.linkOf(b.identity)?.close();
  t.ok(a.neighbours.linkOf(b.identity), 'the other one is used');
  // The other side does not learn that a link was closed: a message over it is lost, and with it the link.
  b.send(a, 'perhaps');
  net.clock.advance(40_000);
  t.same([a.neighbours.links, b.neighbours.links], [1, 1]);
  t.ok(a.send(b, 'again from a'));
  t.ok(b.send(a, 'again from b'));
  net.clock.advance(1_000);
  t.same(
    [a.messages.at(-1), b.messages.at(-1)],
    ['again from b', 'again from a'],
    'messages pass in both directions',
  );
  t.same([a.gone, b.gone], [[], []], 'no path ended');
  a.neighbours.linkOf(b.identity)?.close();
  t.same(a.gone, [keyText(b.identity)], 'the last link');
  t.end();
});

t.test('a message that overtakes the introduction is held until it is there', (t) => {
  const { net, a, b } = pair();
  let introductions = 0;
  // The largest packet of this handshake that b sends.
  net.loses = (packet, from) => from === 2 && packet.length > 400 && ++introductions === 1;
  a.send(b, 'first');
  while (b.neighbours.introduced.length === 0) net.clock.advance(1);
  t.equal(introductions, 1, 'its introduction was lost');
  b.send(a, 'early');
  net.clock.advance(100);
  t.same([a.messages, a.neighbours.introduced], [[], []]);
  net.clock.advance(1_000);
  t.same([a.messages, b.messages], [['early'], ['first']]);
  t.equal(a.neighbours.dropped['not-introduced'], 0);
  t.end();
});

t.test('early messages are bounded, and are freed with a link that is never introduced', (t) => {
  const { net, a, b } = pair();
  net.loses = (packet, from) => from === 2 && packet.length > 400;
  a.send(b, 'first');
  while (b.neighbours.introduced.length === 0) net.clock.advance(1);
  for (let i = 0; i < 20; i++) b.send(a, `early ${i}`);
  net.clock.advance(1_000);
  t.equal(a.neighbours.dropped['not-introduced'], 4);
  net.clock.advance(10_000);
  t.same([a.neighbours.links, a.messages], [0, []]);
  t.same(a.gone, [keyText(b.identity)], 'its user learns that the message was not sent');
  t.end();
});

t.test('a contact with the address of another router keeps nobody from either of them', (t) => {
  const { net, a, b } = pair();
  const liar = new Side(net, 3, 'liar');
  a.knows(liar.contact(b.port));
  t.ok(a.send(liar, 'to the liar'));
  t.ok(a.send(b, 'to b'));
  net.clock.advance(1_000);
  t.same(b.messages, ['to b']);
  net.clock.advance(5_000);
  t.same(a.gone, [keyText(liar.identity)], 'no answer with its key');
  net.clock.advance(1_000);
  a.knows(liar.contact(4));
  const truthful = net.add(4, 'liar');
  t.ok(a.send(liar, 'to its port'));
  net.clock.advance(1_000);
  t.same(truthful.messages, ['to its port']);
  t.end();
});

t.test('a message that waits for a router goes to the address at which it came back', (t) => {
  const net = new Net();
  const a = net.add(1, 'a');
  const gone = new Side(net, 2, 'b');
  a.knows(gone.contact());
  t.ok(a.send(gone, 'waits'));
  net.clock.advance(1_000);
  const b = net.add(3, 'b');
  a.knows(b.contact());
  net.clock.advance(1_000);
  t.same([b.messages, a.gone], [['waits'], []]);
  t.end();
});

t.test('a router that is closed reads and sends nothing, and has no timer', (t) => {
  const { net, a, b } = pair();
  a.send(b, 'first');
  net.clock.advance(1_000);
  let packets = 0;
  net.loses = (_, from) => {
    if (from === b.port) packets++;
    return false;
  };
  b.neighbours.close();
  t.notOk(b.send(a, 'late'));
  const c = net.add(5, 'c');
  c.knows(b.contact());
  c.send(b, 'hello');
  net.clock.advance(20_000);
  t.same([packets, b.neighbours.links, c.gone.length], [0, 0, 1]);
  a.neighbours.close();
  c.neighbours.close();
  t.equal(net.clock.pending, 0);
  t.end();
});
