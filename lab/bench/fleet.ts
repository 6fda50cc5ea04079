/** A relay and its load generators, each in a process of its own. */
import type { ClientReport } from './client-process.js';
import { startChild, type Child } from './process.js';
import type { RelayKind, RelayReport } from './relay-process.js';

/** So many that the relay has a core on a machine with two. */
const GENERATORS = 2;
/** Nicks of one generator. */
const NICKS = 1_000_000;

export interface Fleet {
  report(): Promise<RelayReport>;
  /** After a garbage collection. */
  collect(): Promise<RelayReport>;
  /** The relay process itself, for questions that only one benchmark has. */
  readonly relay: Child;
  /** The generator whose first client speaks. */
  readonly speaker: Child;
  /** Adds this many handshaked peers. */
  join(peers: number): Promise<void>;
  clientReports(): Promise<readonly ClientReport[]>;
  stop(): Promise<void>;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

async function clientReport(child: Child): Promise<ClientReport> {
  return JSON.parse(await child.ask('report'));
}

export async function startFleet(kind: RelayKind): Promise<Fleet> {
  const relay = startChild('relay-process.js', [kind], ['--expose-gc']);
  const port = Number(await relay.ask('port'));
  const generator = (n: number): Child => startChild('client-process.js', [port, n * NICKS]);
  const speaker = generator(1);
  const generators = [speaker];
  while (generators.length < GENERATORS) generators.push(generator(generators.length + 1));
  async function relayReport(question: string): Promise<RelayReport> {
    return JSON.parse(await relay.ask(question));
  }
  return {
    relay,
    speaker,
    report: () => relayReport('report'),
    collect: () => relayReport('collect'),
    async join(peers) {
      const each = Math.floor(peers / GENERATORS);
      await Promise.all(
        generators.map((child, n) =>
          child.ask('join', n === 0 ? peers - each * (GENERATORS - 1) : each),
        ),
      );
    },
    clientReports: () => Promise.all(generators.map(clientReport)),
    async stop() {
      await Promise.all([relay, ...generators].map((child) => child.stop()));
    },
  };
}
