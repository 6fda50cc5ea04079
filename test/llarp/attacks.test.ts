/** A router under attack: an honest path over it keeps working, and afterwards it holds what it held before. */
import t from 'tap';
import { fuzzRandom } from '../../lab/fuzz/random.js';
import { newExchangeKeys, newSigningKeys } from '../../src/llarp/crypto.js';
import { writeSigned } from '../../src/llarp/iwp/packet.js';
import { makeCommit } from '../../src/llarp/path/commit.js';
import type { PathHandlers, Router } from '../../src/llarp/router/router.js';
import { makeContact, newRouterKeys } from '../../src/llarp/router/contact.js';
import { Lab, NETWORK, seeded } from './lab.js';

const NO_HANDLERS: PathHandlers = {
  onReady: () => undefined,
  onEnd: () => undefined,
  onMessage: () => undefined,
  onFrame: () => undefined,
};
const VICTIM = 1;
const ATTACKER = 6;

/** The lab, an honest pair of paths through the victim, and what the attacker sees. */
class Scene {
  readonly lab = new Lab(7);
  readonly random = fuzzRandom('attacks');
  readonly up = this.lab.path(0, [VICTIM, 2, 3]);
  readonly down = this.lab.path(4, [5, VICTIM, 3]);
  #sent = 0;

  constructor() {
    // The attacker has a link to the victim, as every router may.
    const { signingKey } = this.victim.contact;
    this.lab.router(ATTACKER).sendLink(signingKey, { kind: 'dht', messages: [], version: 0n });
    this.lab.clock.advance(2_000);
  }

  get victim(): Router {
    return this.lab.router(VICTIM);
  }

  get sent(): number {
    return this.#sent;
  }

  talk(): void {
    const frame = {
      kind: 'next',
      data: new Uint8Array(500),
      nonce: new Uint8Array(32),
      tag: new Uint8Array(16),
      source: new Uint8Array(16),
      signature: new Uint8Array(64),
      version: 0n,
    } as const;
    const pathId = this.down.path.farthestId;
    if (this.up.path.send({ kind: 'transfer', pathId, frame, version: 0n })) this.#sent++;
  }

  /** A commit that the attacker sends over its link. */
  commit(frames: readonly Uint8Array[]): void {
    const { signingKey } = this.victim.contact;
    this.lab.router(ATTACKER).sendLink(signingKey, { kind: 'commit', frames, version: 0n });
  }
}

const ATTACKS: readonly {
  readonly name: string;
  /** One step; twenty of them, with messages of the honest path between them. */
  readonly step: (scene: Scene, round: number) => void;
  /** Links that the victim has beside those of honest routers, at most, meanwhile. */
  readonly links?: number;
}[] = [
  {
    name: 'a flood of bytes',
    step({ victim, random }) {
      for (let i = 0; i < 50; i++) {
        const length = random.below(1_600);
        const bytes = Uint8Array.from({ length }, () => random.below(256));
        if (i % 2 === 0) bytes.set(Buffer.from('D=').subarray(0, length));
        victim.receive(bytes, `127.3.0.1:${i + 1}`);
      }
    },
  },
  {
    name: 'every packet again, from its own and from another address',
    step({ lab, victim }, round) {
      const host = '127.0.0.1:1090';
      lab.records = true;
      const seen = lab.recorded.filter(({ to }) => to === host).slice(-30);
      for (const { packet, from } of seen) {
        victim.receive(packet, from);
        victim.receive(packet, `127.4.0.1:${round + 1}`);
      }
    },
  },
  {
    name: 'handshakes that never end',
    links: 20,
    step({ lab, victim }, round) {
      const { seed, publicKey } = newSigningKeys(seeded(`stranger ${round}`));
      const address = `127.5.0.1:${round + 1}`;
      const network = NETWORK;
      const identity = publicKey;
      lab.records = true;
      victim.receive(writeSigned({ kind: 'obtain', network, time: 0n, identity }, seed), address);
      const given = lab.recorded.findLast(({ to }) => to === address);
      if (!given) throw new Error('no flow id');
      if (round % 2 === 0) return;
      const flowId = given.packet.slice(8, 24);
      const { publicKey: ephemeralKey } = newExchangeKeys(seeded(`ephemeral ${round}`));
      const establish = { kind: 'establish', flowId, ephemeralKey, counter: 0n } as const;
      victim.receive(writeSigned(establish, seed), address);
    },
  },
  {
    name: 'paths that nobody asked to end: a flood of questions',
    step(scene, round) {
      const { frames } = makeCommit([scene.victim.contact], seeded(`flood ${round}`), 30n) ?? {
        frames: [],
      };
      for (let i = 0; i < 20; i++) scene.commit(frames);
      scene.commit(frames.map(({ length }) => new Uint8Array(length)));
      scene.commit([]);
    },
  },
  {
    name: 'wrong hops: a router that is nowhere',
    step(scene, round) {
      const keys = newRouterKeys(seeded(`nowhere ${round}`));
      const place = { network: NETWORK, host: '127.6.0.1', port: 1 };
      const nowhere = makeContact(keys, { ...place, now: scene.lab.wallClock() });
      const commit = makeCommit([scene.victim.contact, nowhere], seeded(`wrong ${round}`), 30n);
      scene.commit(commit?.frames ?? []);
    },
  },
  {
    name: 'loops: a path that crosses the victim four times',
    step({ lab, victim }) {
      const other = lab.router(2).contact;
      const loop = [0, 1, 2, 3].flatMap(() => [victim.contact, other]);
      lab.router(ATTACKER).createPath(loop, NO_HANDLERS, 30n);
    },
  },
  {
    name: 'messages on path ids that are not there',
    step({ lab, victim, random }) {
      for (let i = 0; i < 30; i++) {
        const pathId = Uint8Array.from({ length: 16 }, () => random.below(256));
        const kind = i % 2 === 0 ? 'upstream' : 'downstream';
        const [x, y] = [new Uint8Array(600), new Uint8Array(32)];
        lab
          .router(ATTACKER)
          .sendLink(victim.contact.signingKey, { kind, pathId, x, y, version: 0n });
      }
    },
  },
];

for (const { name, step, links = 0 } of ATTACKS) {
  t.test(name, (t) => {
    const scene = new Scene();
    const { lab, victim } = scene;
    t.equal(scene.up.path.state, 'ready');
    const before = { hops: victim.hops, links: victim.links };
    for (let round = 0; round < 20; round++) {
      step(scene, round);
      scene.talk();
      lab.clock.advance(100);
      t.ok(victim.links <= before.links + links + 1, 'links are bounded');
      t.ok(victim.hops <= before.hops + 200, 'paths are bounded');
    }
    lab.clock.advance(12_000);
    t.ok(victim.links <= before.links + 1, 'a link without an introduction ends after 10 seconds');
    lab.clock.advance(33_000);
    t.equal(scene.down.frames.length, scene.sent, 'the honest path carried every message, once');
    t.equal(scene.up.path.state, 'ready');
    t.ok(victim.hops <= before.hops, 'paths of the attack are gone');
    for (let i = 0; i < lab.nodes.length; i++) lab.kill(i);
    lab.clock.advance(1_000);
    t.equal(lab.clock.pending, 0, 'no timer is left');
    t.end();
  });
}
