/**
 * The hostile half of a soak, one function for each kind of attack. Each one gets a fresh connection, attacks
 * for a while, and returns after its time or when the directory ends the connection.
 */
import { base58 } from '@scure/base';
import { MessageType } from '../../src/protocol/constants.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { onionHost } from '../../src/protocol/location.js';
import type { HostileLink } from './hostile-link.js';
import type { Chance } from './random.js';
import type { Victim } from './reports.js';

export interface Scene {
  readonly chance: Chance;
  readonly victims: readonly Victim[];
  /** Another connection to the same directory. */
  dial(): Promise<HostileLink>;
}

export interface Attack {
  readonly name: string;
  /** The number of attackers that do it at the same time. */
  readonly attackers: number;
  run(link: HostileLink, scene: Scene): Promise<void>;
}

const BIG = 'x'.repeat(38_000);

function freshNick(chance: Chance): string {
  return `J5${base58.encode(chance.bytes(10))}`.padEnd(16, 'O').slice(0, 16);
}

function hello(nick: string, others: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    'app-name': 'joinmarket',
    directory: false,
    'location-string': 'NOT-SERVING-ONION',
    'proto-ver': 5,
    features: {},
    nick,
    network: 'signet',
    ...others,
  });
}

/** Enters under a fresh nick with an honest handshake. */
async function enter(link: HostileLink, { chance }: Scene): Promise<string> {
  const nick = freshNick(chance);
  link.send(MessageType.HANDSHAKE, hello(nick));
  await link.pause(200);
  return nick;
}

/** Repeats an action at a pace until the time or the connection ends. */
async function keepOn(
  link: HostileLink,
  everyMs: number,
  forMs: number,
  act: (round: number) => void,
): Promise<void> {
  for (let round = 0; round * everyMs < forMs && !link.over; round++) {
    act(round);
    await link.pause(everyMs);
  }
}

const orderbookFlood: Attack = {
  name: 'orderbook flood',
  attackers: 10,
  async run(link, scene) {
    const nick = await enter(link, scene);
    await keepOn(link, 20, 20_000, () => link.send(687, `${nick}!PUBLIC!orderbook`));
  },
};

const bigOffers: Attack = {
  name: '38 kB offers',
  attackers: 4,
  async run(link, scene) {
    const nick = await enter(link, scene);
    await keepOn(link, 1_000, 60_000, () => link.send(687, `${nick}!PUBLIC!hp2 ${BIG}`));
  },
};

const privateFlood: Attack = {
  name: 'private flood',
  attackers: 3,
  async run(link, scene) {
    const nick = await enter(link, scene);
    const victim = scene.chance.pick(scene.victims)?.nick ?? nick;
    await keepOn(link, 10, 5_000, () => {
      for (let n = 0; n < 3; n++) link.send(685, `${nick}!${victim}!fill 0 1 2 3 key sig`);
    });
  },
};

const absentFlood: Attack = {
  name: 'absent addressee',
  attackers: 2,
  async run(link, scene) {
    const nick = await enter(link, scene);
    await keepOn(link, 10, 5_000, () => {
      link.send(685, `${nick}!${freshNick(scene.chance)}!fill 0 1 2 3 key sig`);
    });
  },
};

const junk: Attack = {
  name: 'junk lines',
  attackers: 5,
  async run(link, scene) {
    if (scene.chance.next() < 0.7) await enter(link, scene);
    const lines = [
      'nonsense\r\n',
      '\r\n',
      '[]\r\n',
      '{"type": "793", "line": ""}\r\n',
      '{"type": 1, "line": "x"}\r\n',
      '{"type": 687, "line": "no separators"}\r\n',
      `${'['.repeat(10_000)}\r\n`,
      `{"type": 685, "line": "${'!'.repeat(1_000)}"}\r\n`,
    ];
    await keepOn(link, 50, 10_000, () => link.write(scene.chance.pick(lines) ?? '\r\n'));
  },
};

const binary: Attack = {
  name: 'random bytes',
  attackers: 3,
  run: (link, { chance }) => keepOn(link, 50, 5_000, () => link.write(chance.bytes(500))),
};

const oversize: Attack = {
  name: 'oversize lines',
  attackers: 3,
  async run(link, scene) {
    const nick = await enter(link, scene);
    link.write(encodeEnvelope(687, `${nick}!PUBLIC!${'x'.repeat(50_000)}`));
    await link.pause(2_000);
  },
};

const noNewline: Attack = {
  name: 'no newline',
  attackers: 5,
  async run(link, scene) {
    await enter(link, scene);
    link.write('x'.repeat(39_000));
    await link.pause(20_000);
    await keepOn(link, 10, 2_000, () => link.write('x'.repeat(10_000)));
  },
};

const frozen: Attack = {
  name: 'frozen reader',
  attackers: 4,
  async run(link, scene) {
    await enter(link, scene);
    link.freeze();
    await link.pause(120_000);
  },
};

const squatter: Attack = {
  name: 'nick squatter',
  attackers: 4,
  async run(link, { chance, victims }) {
    const victim = chance.pick(victims);
    if (!victim) return;
    const location = chance.next() < 0.5 ? victim.location : 'NOT-SERVING-ONION';
    link.send(MessageType.HANDSHAKE, hello(victim.nick, { 'location-string': location }));
    await link.pause(5_000);
  },
};

const spoofer: Attack = {
  name: 'spoofed sender',
  attackers: 4,
  async run(link, scene) {
    await enter(link, scene);
    const [from, to] = [scene.chance.pick(scene.victims), scene.chance.pick(scene.victims)];
    await keepOn(link, 100, 3_000, () => {
      link.send(687, `${from?.nick}!PUBLIC!cancel 0`);
      link.send(685, `${from?.nick}!${to?.nick}!error spoofed`);
    });
  },
};

const halfHandshake: Attack = {
  name: 'half handshake',
  attackers: 20,
  async run(link, { chance }) {
    const whole = encodeEnvelope(MessageType.HANDSHAKE, hello(freshNick(chance)));
    link.write(whole.slice(0, chance.between(1, whole.length - 2)));
    await link.pause(40_000);
  },
};

const silent: Attack = {
  name: 'silent connection',
  attackers: 20,
  run: (link) => link.pause(40_000),
};

const trickle: Attack = {
  name: 'byte by byte',
  attackers: 3,
  run: (link) => keepOn(link, 500, 40_000, () => link.write('{')),
};

const injector: Attack = {
  name: 'internal types',
  attackers: 4,
  async run(link, scene) {
    const nick = await enter(link, scene);
    const victim = scene.chance.pick(scene.victims);
    for (const type of [785, 787, 797]) {
      link.send(type, victim?.location ?? '');
      link.send(type, '');
    }
    link.send(MessageType.PEERLIST, `${victim?.nick};${victim?.location};D`);
    link.send(MessageType.DN_HANDSHAKE, hello(nick));
    link.send(MessageType.HANDSHAKE, hello(victim?.nick ?? nick));
    link.send(MessageType.PONG, '');
    await link.pause(1_000);
    link.send(MessageType.DISCONNECT, '');
    await link.pause(1_000);
  },
};

const separators: Attack = {
  name: 'separators in names',
  attackers: 3,
  async run(link, scene) {
    const { chance, victims } = scene;
    const name = victims[0]?.nick ?? 'J5x';
    const handshakes = [
      hello(`${name};NOT-SERVING-ONION;D,x`),
      hello(`${freshNick(chance)}!PUBLIC`),
      hello('PUBLIC'),
      hello(freshNick(chance), { 'location-string': `${name};D,x:5222` }),
      hello(freshNick(chance), { features: { [`ping;D,${name};x;D`]: true } }),
      hello(freshNick(chance), { network: 'mainnet' }),
      hello(freshNick(chance), { directory: true }),
    ];
    link.send(MessageType.HANDSHAKE, chance.pick(handshakes) ?? '');
    await link.pause(1_000);
  },
};

const churn: Attack = {
  name: 'come and go',
  attackers: 3,
  async run(link, scene) {
    const host = onionHost(scene.chance.bytes(32));
    link.send(
      MessageType.HANDSHAKE,
      hello(freshNick(scene.chance), { 'location-string': `${host}:5222` }),
    );
    await link.pause(50);
    for (let n = 0; n < 20; n++) {
      const next = await scene.dial();
      next.send(MessageType.HANDSHAKE, hello(freshNick(scene.chance)));
      await next.pause(20);
      next.cut();
    }
  },
};

const peerlistFlood: Attack = {
  name: 'peer list flood',
  attackers: 3,
  async run(link, scene) {
    await enter(link, scene);
    await keepOn(link, 50, 20_000, () => link.send(MessageType.GETPEERLIST, ''));
  },
};

const early: Attack = {
  name: 'before handshake',
  attackers: 3,
  async run(link, { chance, victims }) {
    link.send(687, `${chance.pick(victims)?.nick}!PUBLIC!cancel 0`);
    await link.pause(500);
  },
};

const proxyLine: Attack = {
  name: 'PROXY line',
  attackers: 2,
  async run(link, scene) {
    link.write('PROXY TCP6 fc00:dead:beef:4dad::ffff:1 ::1 65535 5222\r\n');
    await enter(link, scene);
    await link.pause(1_000);
  },
};

export const ATTACKS: readonly Attack[] = [
  orderbookFlood,
  bigOffers,
  privateFlood,
  absentFlood,
  junk,
  binary,
  oversize,
  noNewline,
  frozen,
  squatter,
  spoofer,
  halfHandshake,
  silent,
  trickle,
  injector,
  separators,
  churn,
  peerlistFlood,
  early,
  proxyLine,
];
