/** Streams between hidden services, while routers on their paths die. */
import t from 'tap';
import { keyText } from '../../src/llarp/router/distance.js';
import { newServiceKeys } from '../../src/llarp/service/keys.js';
import { StreamService } from '../../src/llarp/stream-service.js';
import type { Stream, StreamFault } from '../../src/llarp/stream/stream.js';
import { Lab, seeded } from './lab.js';

const PORT = 5_222;

class Reader {
  readonly chunks: Uint8Array[] = [];
  readonly ends: (StreamFault | undefined)[] = [];
  readonly onData = (bytes: Uint8Array): void => void this.chunks.push(bytes);
  readonly onEnd = (fault: StreamFault | undefined): void => void this.ends.push(fault);

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

function serviceOf(lab: Lab, index: number, publishes: boolean): StreamService {
  const { clock, wallClock } = lab;
  return new StreamService({
    clock,
    wallClock,
    randomBytes: seeded(`streams ${index}`),
    router: lab.router(index),
    keys: newServiceKeys(seeded(`keys ${index}`)),
    publishes,
    hops: 2,
  });
}

t.test('a stream loses no byte while routers die under it', (t) => {
  const lab = new Lab(14);
  const alice = serviceOf(lab, 0, false);
  const bob = serviceOf(lab, 1, true);
  t.teardown(() => {
    alice.close();
    bob.close();
  });
  lab.clock.advance(4_000);
  t.equal(bob.state, 'reachable');
  const atBob = new Reader();
  const accepted: Stream[] = [];
  const from: string[] = [];
  bob.listen(PORT, (stream, address) => {
    from.push(address);
    accepted.push(stream);
    stream.attach(atBob);
  });
  const atAlice = new Reader();
  const stream = alice.open(keyText(bob.address), PORT, atAlice);
  lab.clock.advance(3_000);
  const [answering] = accepted;
  t.same(from, [keyText(alice.address)], 'the address of the opener is proven');
  if (!stream || !answering) throw new Error('no stream');
  const there = seeded('there')(240_000);
  const back = seeded('back')(120_000);
  const dead = new Set<number>();
  for (let part = 0; part < 6; part++) {
    stream.write(there.slice(part * 40_000, (part + 1) * 40_000));
    answering.write(back.slice(part * 20_000, (part + 1) * 20_000));
    lab.clock.advance(300);
    // Every second time the router that carries most paths dies, in the middle of the bytes.
    if (part % 2 === 1) {
      const busiest = lab.routers
        .map(({ hops }, index) => ({ hops, index }))
        .filter(({ index }) => index > 1 && !dead.has(index))
        .toSorted((a, b) => b.hops - a.hops)[0];
      if (busiest) {
        dead.add(busiest.index);
        lab.kill(busiest.index);
      }
    }
    lab.clock.advance(25_000);
  }
  lab.clock.advance(60_000);
  t.equal(dead.size, 3);
  t.ok(atBob.bytes.equals(there), `${atBob.bytes.length} bytes there`);
  t.ok(atAlice.bytes.equals(back), `${atAlice.bytes.length} bytes back`);
  t.equal(stream.queuedBytes + answering.queuedBytes, 0);
  stream.end();
  lab.clock.advance(10_000);
  t.same([atAlice.ends, atBob.ends], [[undefined], [undefined]]);
  t.end();
});

t.test('no service, no such port, and a service that goes away', (t) => {
  const lab = new Lab(8);
  const alice = serviceOf(lab, 0, false);
  const bob = serviceOf(lab, 1, true);
  t.teardown(() => alice.close());
  lab.clock.advance(4_000);
  const [nobody, wrongPort, open] = [new Reader(), new Reader(), new Reader()];
  alice.open('cd'.repeat(32), PORT, nobody);
  alice.open(keyText(bob.address), PORT + 1, wrongPort);
  const atBob = new Reader();
  bob.listen(PORT, (stream) => stream.attach(atBob));
  alice.open(keyText(bob.address), PORT, open);
  lab.clock.advance(8_000);
  t.same([nobody.ends, wrongPort.ends, open.ends], [['unreachable'], ['no-service'], []]);
  bob.close();
  lab.clock.advance(1_000);
  t.same([atBob.ends, open.ends], [['closed'], ['closed']], 'a reset tells the other side');
  t.equal(alice.streams.size, 0);
  t.end();
});
