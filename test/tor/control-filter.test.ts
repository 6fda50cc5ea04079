/** A filter in front of a real Tor's control port, and its refusals; the onion is served nevertheless. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Log } from '../../src/channel/log.js';
import type { Overlay, ServiceState } from '../../src/channel/ports.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { connectControl } from '../../src/tor/control/client.js';
import { loadOrCreateOnionKey } from '../../src/tor/onion/key-folder.js';
import type { OnionIdentity } from '../../src/tor/onion/service.js';
import { acceptor, connectionPeer } from '../helpers/connection-peer.js';
import {
  FILTERED,
  redactedUploads,
  startControlFilter,
  type ControlFilter,
  type FilterRules,
} from '../helpers/control-filter.js';
import { dialPatiently, torNetworkFor } from '../helpers/tor-network.js';

const { signal } = new AbortController();

/** Passes on the commands that one of the patterns matches completely. */
const only =
  (...patterns: readonly RegExp[]) =>
  (line: string) =>
    patterns.some((pattern) => pattern.test(line)) ? line : undefined;

const PLAIN = /^ADD_ONION ED25519-V3:\S+ Port=5222,127\.0\.0\.1:\d+$/;
const EXTENDED = /^ADD_ONION ED25519-V3:\S+ (PoW\S+ )*Port=5222,127\.0\.0\.1:\d+$/;
const NEW = /^ADD_ONION NEW:ED25519-V3 Port=5222,127\.0\.0\.1:\d+$/;
const DEL = /^DEL_ONION [a-z2-7]{56}$/;
const asIs = (line: string) => line;
const nothing = (): undefined => undefined;

interface Case {
  readonly name: string;
  readonly rules: FilterRules;
  readonly identity?: 'persistent';
  /** The longest wait for the uploads; then the known state must be enough. */
  readonly uploadTimeoutMs?: number;
  /** First words of exactly the commands that the filter has to refuse. */
  readonly refuses: readonly string[];
  /** All lines of the log at `warn`, in order. */
  readonly warns: readonly RegExp[];
}

const HIDDEN = /a filter in front of the control port hides when the onion is published/;
const KEPT = /keeps the key of our onion/;
const PARTLY = /not every upload of the onion descriptor was answered/;

const CASES: readonly Case[] = [
  {
    name: 'refuses nothing',
    rules: { command: asIs, events: { HS_DESC: asIs } },
    refuses: [],
    warns: [],
  },
  {
    name: 'refuses proof of work',
    rules: { command: only(PLAIN, DEL), events: { HS_DESC: asIs } },
    refuses: ['ADD_ONION'],
    warns: [],
  },
  {
    name: 'refuses proof of work with the text of Tor',
    rules: {
      command: only(PLAIN, DEL),
      events: { HS_DESC: asIs },
      refusal: () => '513 Invalid argument',
    },
    refuses: ['ADD_ONION', 'GETINFO'],
    warns: [],
  },
  {
    name: 'refuses everything but a plain ADD_ONION',
    rules: { command: only(PLAIN) },
    refuses: ['SETEVENTS', 'ADD_ONION', 'DEL_ONION'],
    warns: [HIDDEN],
  },
  {
    name: 'refuses everything but a plain ADD_ONION, with our own key',
    rules: { command: only(PLAIN) },
    identity: 'persistent',
    refuses: ['SETEVENTS', 'ADD_ONION', 'DEL_ONION'],
    warns: [HIDDEN],
  },
  {
    name: 'refuses SETEVENTS with the text of Tor',
    rules: { command: only(EXTENDED, DEL), refusal: () => '552 Unrecognized event "HS_DESC"' },
    refuses: ['SETEVENTS'],
    warns: [HIDDEN],
  },
  {
    name: 'suppresses the events',
    rules: { command: only(EXTENDED, DEL), events: { HS_DESC: nothing } },
    uploadTimeoutMs: 1_000,
    refuses: ['GETINFO'],
    warns: [/onion service not reachable yet/],
  },
  {
    name: 'rewrites the events; the self-test decides',
    rules: { command: only(EXTENDED, DEL), events: { HS_DESC: redactedUploads } },
    refuses: [],
    warns: [HIDDEN],
  },
  {
    name: 'rewrites the events; the deadline decides',
    rules: { command: only(EXTENDED, DEL), events: { HS_DESC: redactedUploads } },
    uploadTimeoutMs: 4_000,
    refuses: [],
    warns: [HIDDEN, PARTLY],
  },
  {
    name: 'drops CREATED',
    rules: {
      command: only(EXTENDED, DEL),
      events: { HS_DESC: (line) => (line.includes(' CREATED ') ? undefined : line) },
    },
    uploadTimeoutMs: 4_000,
    refuses: [],
    warns: [PARTLY],
  },
  {
    name: 'allows new keys only',
    rules: { command: only(NEW, DEL), events: { HS_DESC: asIs } },
    refuses: ['ADD_ONION', 'ADD_ONION', 'ADD_ONION'],
    warns: [],
  },
  {
    name: 'lets Tor forget the key (a profile of Whonix)',
    rules: {
      command: (line) => (NEW.test(line) ? `${line} Flags=DiscardPK` : only(DEL)(line)),
      events: { HS_DESC: redactedUploads },
    },
    refuses: ['ADD_ONION', 'ADD_ONION', 'ADD_ONION'],
    warns: [KEPT, HIDDEN],
  },
  {
    name: 'keeps the key (a profile of Tails)',
    rules: {
      command: only(NEW, DEL),
      reply: (line) => line.replace(/^(250-PrivateKey=\S+?:).*/, '$1redacted'),
      events: { HS_DESC: asIs },
    },
    refuses: ['ADD_ONION', 'ADD_ONION', 'ADD_ONION'],
    warns: [KEPT],
  },
];

const silent = (): void => {};

/** An overlay that serves behind the filter, and records its warnings and states. */
function watched(
  socks: { readonly host: string; readonly port: number },
  filter: ControlFilter,
  identity: OnionIdentity,
  uploadTimeoutMs = 60_000,
) {
  const warns: string[] = [];
  const states: ServiceState[] = [];
  const waiting = new Set<() => void>();
  const warn = (text: string): void => void warns.push(text);
  const log: Log = { debug: silent, info: silent, warn, error: warn };
  const accept = acceptor();
  const overlay = createTorOverlay({
    socks: { kind: 'tcp', ...socks },
    log,
    serving: {
      kind: 'control',
      identity,
      listen: { host: '127.0.0.1', port: 0 },
      uploadTimeoutMs,
      connectControl: (abort) =>
        connectControl({
          endpoint: { kind: 'tcp', host: '127.0.0.1', port: filter.port },
          signal: abort,
        }),
    },
  });
  return {
    warns,
    states,
    /** The next connection that sends bytes; the self-test sends none. */
    accept,
    serve: () =>
      overlay.serve((connection) => accept.onConnection(connection), {
        signal,
        onState(state) {
          states.push(state);
          for (const look of waiting) look();
        },
      }),
    until: (wanted: ServiceState['state']): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!states.some(({ state }) => state === wanted)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}

/** Asserts that a text from outside arrives through the onion. */
async function arrives(
  t: Test,
  dialer: Overlay,
  location: Parameters<Overlay['dial']>[0],
  accept: ReturnType<typeof acceptor>,
): Promise<void> {
  const word = randomBytes(8);
  const client = connectionPeer(await dialPatiently(dialer, location, word.toString('hex')));
  client.connection.write(word);
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- the self-test may have come first
    const server = await accept.next();
    // oxlint-disable-next-line no-await-in-loop -- as above
    const got = await server.read(word.length).catch(() => undefined);
    if (got !== undefined) {
      t.strictSame(got, word, 'the text arrives');
      break;
    }
  }
  client.connection.end();
}

t.test('an onion behind a filter', { timeout: 110_000, jobs: 7 }, async (t) => {
  const network = await torNetworkFor(t);
  const [client, service] = await Promise.all([
    network.startTor({ name: 'client' }),
    network.startTor({ name: 'service', controlPort: true }),
  ]);
  const dialer = createTorOverlay({ socks: { kind: 'tcp', ...client.socks } });
  for (const { name, rules, identity, uploadTimeoutMs, refuses, warns } of CASES) {
    t.test(name, { buffered: true }, async (t) => {
      const filter = await startControlFilter(service, rules);
      t.teardown(() => filter.close());
      const own: OnionIdentity =
        identity === undefined
          ? { kind: 'ephemeral' }
          : {
              kind: 'persistent',
              key: (await loadOrCreateOnionKey(join(t.testdir({}), 'hs'))).key,
            };
      const behind = watched(service.socks, filter, own, uploadTimeoutMs);
      const served = await behind.serve();
      await behind.until('reachable');
      await arrives(t, dialer, served.locations[0], behind.accept);
      await served.close();
      // Whether Tor still has the onion is asked in any case, once it has it.
      const refused = filter.refused.filter((line) => line !== 'GETINFO onions/current');
      t.strictSame(
        refused.map((line) => line.split(' ')[0]),
        refuses,
        'the refused commands',
      );
      t.equal(behind.warns.length, warns.length, behind.warns.join('\n'));
      for (const [i, warned] of warns.entries()) t.match(behind.warns[i], warned);
      t.notOk(behind.states.some(({ state }) => state === 'lost'));
    });
  }

  t.test(
    'a filter that refuses ADD_ONION is named, with the line that it must allow',
    async (t) => {
      const filter = await startControlFilter(service, { command: nothing });
      t.teardown(() => filter.close());
      await t.rejects(watched(service.socks, filter, { kind: 'ephemeral' }).serve(), {
        code: 'rejected',
        remedy: 'configuration',
        message:
          /510 Command filtered: a filter .* allow "ADD_ONION \S+ Port=5222,127\.0\.0\.1:\d+" \(docs/,
      });
      t.notOk(filter.refused.some((line) => line.includes(FILTERED)));
    },
  );

  t.test('an address whose key the filter keeps is lost with the connection', async (t) => {
    const filter = await startControlFilter(service, {
      command: (line) => (NEW.test(line) ? `${line} Flags=DiscardPK` : undefined),
      events: { HS_DESC: asIs },
    });
    const { serve, until, warns, states } = watched(service.socks, filter, { kind: 'ephemeral' });
    const served = await serve();
    await filter.close();
    await until('lost');
    t.match(warns.at(-1), /the onion address is lost.*Fix: start again/);
    t.equal(states.filter(({ state }) => state === 'lost').length, 1);
    await served.close();
  });
});
