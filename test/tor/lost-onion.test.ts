/**
 * An onion that is lost while our end of the control connection stays open: Tor has ended, or was restarted
 * behind a filter, a tunnel or a machine that keeps the connection open.
 */
import { readFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { ServiceState } from '../../src/channel/ports.js';
import { createTorOverlay, type TorServing } from '../../src/overlay/tor.js';
import { connectControl, type ControlClient } from '../../src/tor/control/client.js';
import type { PrivateTor } from '../../src/lab/private-network/client.js';
import { startSelfTestRounds, ROUND_TIMINGS } from '../../src/tor/onion/self-test-rounds.js';
import { askForFolder, askForOnion, type Presence } from '../../src/tor/onion/service-presence.js';
import { watchService, WATCH_TIMINGS } from '../../src/tor/onion/service-watch.js';
import { TorError } from '../../src/tor/tor-error.js';
import { connectionPeer, acceptor } from '../helpers/connection-peer.js';
import { controlTunnel, type ControlTunnelOptions } from '../helpers/control-tunnel.js';
import { fakeControl } from '../helpers/fake-control.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { dialPatiently, torNetworkFor } from '../helpers/tor-network.js';

const never = new AbortController().signal;
const ID = 'a'.repeat(56);
const OTHER = 'b'.repeat(56);
/** Lets promise callbacks run before the clock advances. */
const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const onion = (client: ControlClient) => askForOnion(client, `${ID}.onion`);
const folder = (client: ControlClient) => askForFolder(client, '/var/lib/a "b"/hs');

t.test('the answers of Tor', async (t) => {
  const cases: readonly (readonly [string, typeof onion, string, Presence])[] = [
    ['one onion', onion, `250-onions/current=${ID}\r\n250 OK\r\n`, 'there'],
    ['several', onion, `250+onions/current=\r\n${OTHER}\r\n${ID}\r\n.\r\n250 OK\r\n`, 'there'],
    ['another one', onion, `250-onions/current=${OTHER}\r\n250 OK\r\n`, 'gone'],
    ['none', onion, '250-onions/current=\r\n250 OK\r\n', 'gone'],
    ['none, an old Tor', onion, '551 No onion services of the specified type.\r\n', 'gone'],
    ['a filter', onion, '510 Command filtered\r\n', 'untold'],
    ['a Tor without the question', onion, '552 Unrecognized key "onions/current"\r\n', 'untold'],
    ['an empty answer', onion, '250 OK\r\n', 'untold'],
    ['a folder', folder, '250 HiddenServiceDir=/var/lib/a "b"/hs\r\n', 'there'],
    ['a quoted folder', folder, '250 HiddenServiceDir="/var/lib/a \\"b\\"/hs"\r\n', 'there'],
    [
      'several folders',
      folder,
      '250-HiddenServiceDir=/x\r\n250 HiddenServiceDir="/var/lib/a \\"b\\"/hs"\r\n',
      'there',
    ],
    ['another folder', folder, '250 HiddenServiceDir=/var/lib/a\r\n', 'gone'],
    ['no folder', folder, '250 HiddenServiceDir\r\n', 'gone'],
    ['a filter', folder, '510 Command filtered\r\n', 'untold'],
    ['an unrelated answer', folder, '250 OK\r\n', 'untold'],
  ];
  let answer = '';
  const fake = await fakeControl((line) =>
    line.startsWith('PROTOCOLINFO')
      ? '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250 OK\r\n'
      : line.startsWith('AUTHENTICATE')
        ? '250 OK\r\n'
        : answer,
  );
  t.teardown(() => fake.close());
  const endpoint = { kind: 'tcp', host: '127.0.0.1', port: fake.port } as const;
  const client = await connectControl({ endpoint, signal: never });
  for (const [name, ask, text, presence] of cases) {
    answer = text;
    t.equal(await ask(client), presence, name);
  }
  answer = '';
  await t.rejects(askForOnion(client, ID, { timeoutMs: 20 }), { code: 'timeout' }, 'silence');
  client.close();
});

interface Watched {
  readonly clock: TestClock;
  readonly watch: ReturnType<typeof watchService>;
  /** Sets the answer of Tor from now on. */
  says(answer: Presence | TorError): void;
  /** Questions so far. */
  readonly asked: number;
  readonly gone: readonly string[];
  pass(ms: number): Promise<void>;
}

async function watched(first: Presence, canReturn = true): Promise<Watched> {
  const clock = createTestClock();
  let answer: Presence | TorError = first;
  let asked = 0;
  const gone: string[] = [];
  const watch = watchService({
    ask(bounds) {
      asked++;
      t.strictSame(bounds, { timeoutMs: 30_000 });
      return answer instanceof TorError ? Promise.reject(answer) : Promise.resolve(answer);
    },
    timings: WATCH_TIMINGS,
    clock,
    log: silentLog,
    canReturn: () => canReturn,
    onGone: (reason) => gone.push(reason),
  });
  await nextTurn();
  return {
    clock,
    watch,
    says: (next) => (answer = next),
    get asked() {
      return asked;
    },
    gone,
    async pass(ms) {
      clock.advance(ms);
      await nextTurn();
    },
  };
}

const silence = new TorError('command', 'timeout', 'no reply');
const over = new TorError('lost', 'lost', 'the connection was closed by Tor');

t.test('the questions to Tor', async (t) => {
  await t.test('every half minute; a loss is reported once and ends the questions', async (t) => {
    const w = await watched('there');
    t.equal(w.asked, 1, 'at once, to see whether Tor can answer');
    for (let i = 0; i < 10; i++) await w.pass(30_000);
    t.equal(w.asked, 11);
    t.strictSame(w.gone, []);
    w.says('untold');
    await w.pass(30_000);
    t.strictSame(w.gone, [], 'a refused question is no loss');
    w.says('gone');
    await w.pass(30_000);
    t.match(w.gone, [/does not have the onion service any more/]);
    w.watch.reportUnreachable();
    await w.pass(600_000);
    t.equal(w.asked, 13);
    t.equal(w.gone.length, 1);
    t.equal(w.clock.pending, 0);
  });

  await t.test('no answer is a loss, also to the first questions', async (t) => {
    for (const answers of [1, 3]) {
      const w = await watched('there');
      for (let i = 1; i < answers; i++) await w.pass(30_000);
      w.says(silence);
      await w.pass(30_000);
      t.match(w.gone, [/does not answer/]);
      t.equal(w.clock.pending, 0);
    }
  });

  await t.test('the end of the connection is not reported again', async (t) => {
    const w = await watched('there');
    w.says(over);
    await w.pass(30_000);
    t.strictSame(w.gone, []);
    t.equal(w.clock.pending, 0);
  });

  await t.test('Tor is asked at once when the onion was found unreachable', async (t) => {
    const w = await watched('there');
    await w.pass(1_000);
    w.watch.reportUnreachable();
    await nextTurn();
    t.strictSame([w.asked, w.gone], [2, []]);
    await w.pass(29_999);
    t.equal(w.asked, 2, 'the next question is half a minute later');
    w.says('gone');
    w.watch.reportUnreachable();
    await nextTurn();
    t.equal(w.gone.length, 1);
  });

  await t.test(
    'without a usable answer an unreachable onion counts as lost, once in 15 minutes',
    async (t) => {
      for (const first of ['untold', 'gone'] as const) {
        const w = await watched(first);
        t.strictSame(w.gone, [], 'a Tor that has just accepted the service has it');
        await w.pass(300_000);
        await w.pass(300_000);
        t.equal(w.asked, 3, 'asked rarely, to see whether Tor answers');
        await w.pass(299_999);
        w.watch.reportUnreachable();
        t.strictSame(w.gone, []);
        await w.pass(1);
        t.strictSame(w.gone, []);
        w.watch.reportUnreachable();
        t.match(w.gone, [/the onion cannot be reached from outside, and it is unknown/]);
      }
      const keyless = await watched('untold', false);
      await keyless.pass(900_000);
      keyless.watch.reportUnreachable();
      t.strictSame(keyless.gone, [], 'an address that could not come back is not given up');
      keyless.says(silence);
      await keyless.pass(300_000);
      t.match(keyless.gone, [/does not answer/]);
    },
  );

  await t.test('stopped', async (t) => {
    const w = await watched('there');
    w.watch.stop();
    w.says('gone');
    w.watch.reportUnreachable();
    await w.pass(600_000);
    t.strictSame([w.asked, w.gone, w.clock.pending], [1, [], 0]);
  });
});

t.test('dialling our own onion', async (t) => {
  const clock = createTestClock();
  const ours = Object.assign(new Error('no SOCKS port'), { ours: true });
  let world: 'well' | 'cut' | 'hangs' | 'no-tor' = 'well';
  let dials = 0;
  let alarms = 0;
  let open = 0;
  const lines: string[] = [];
  const stop = startSelfTestRounds({
    host: `${ID}.onion`,
    timings: ROUND_TIMINGS,
    clock,
    random: () => 0.5,
    log: { ...silentLog, warn: (text) => lines.push(text), info: (text) => lines.push(text) },
    onUnreachable: () => alarms++,
    async selfTest(host, signal) {
      dials++;
      t.equal(host, `${ID}.onion`);
      if (world === 'cut') throw new Error('no answer');
      if (world === 'no-tor') throw ours;
      if (world !== 'hangs') return;
      open++;
      await new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          open--;
          reject(new Error('aborted'));
        });
      });
    },
  });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await nextTurn();
  };
  await pass(22_499);
  t.equal(dials, 0);
  await pass(1);
  t.equal(dials, 1, 'soon after it is published');
  await pass(600_000);
  t.equal(dials, 2, 'then every ten minutes');
  world = 'no-tor';
  await pass(600_000);
  world = 'cut';
  await pass(600_000);
  t.strictSame([dials, alarms, lines.length], [4, 0, 0], 'one failure is no alarm');
  await pass(5_000);
  t.strictSame([dials, alarms, lines.length], [5, 1, 1]);
  await pass(600_000);
  t.strictSame([dials, alarms, lines.length], [6, 2, 1], 'two alarms, one log line');
  world = 'hangs';
  await pass(600_000);
  await pass(600_000);
  t.strictSame([dials, open, alarms], [7, 0, 3], 'a dial ends after a minute');
  world = 'well';
  await pass(600_000);
  t.match(lines, [/our onion cannot be reached/, /our onion can be reached again/]);
  world = 'hangs';
  await pass(600_000);
  t.equal(open, 1);
  stop();
  await nextTurn();
  t.strictSame([open, clock.pending], [0, 0], 'no connection or timer is left');
});

t.test('the operating system checks a silent connection', async (t) => {
  const fake = await fakeControl((line) =>
    line.startsWith('PROTOCOLINFO')
      ? '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250 OK\r\n'
      : '250 OK\r\n',
  );
  t.teardown(() => fake.close());
  const endpoint = { kind: 'tcp', host: '127.0.0.1', port: fake.port } as const;
  const client = await connectControl({ endpoint, signal: never });
  const hex = fake.port.toString(16).toUpperCase().padStart(4, '0');
  // The timer of a connection at rest: 02 is keep-alive (proc_net_tcp).
  const timer = async (): Promise<string | undefined> => {
    const rows = (await readFile('/proc/net/tcp', 'latin1')).split('\n').slice(1);
    const fields = rows.map((row) => row.trim().split(/\s+/));
    return fields.find(([, , remote, state]) => remote?.endsWith(`:${hex}`) && state === '01')?.[5];
  };
  // 01 waits for an acknowledgement.
  while ((await timer())?.startsWith('01:') === true) await nextTurn();
  t.match(await timer(), /^02:/);
  client.close();
});

/** The states of a service, awaited in order. */
function stateQueue() {
  const states: ServiceState[] = [];
  let wake: (() => void) | undefined;
  return {
    push(state: ServiceState): void {
      states.push(state);
      wake?.();
    },
    async next(wanted: ServiceState['state']): Promise<string> {
      for (;;) {
        const at = states.findIndex(({ state }) => state === wanted);
        const [found] = at < 0 ? [] : states.splice(0, at + 1).slice(-1);
        if (found) return 'detail' in found ? found.detail : '';
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}

const QUICK = {
  askMs: 200,
  answerMs: 60_000,
  readdMs: 0,
  firstMs: 500,
  everyMs: 500,
  limitMs: 20_000,
  confirmMs: 100,
};

const restart = (tor: PrivateTor): Promise<unknown> => tor.restart();

t.test('a real Tor that ends before our side', { timeout: 200_000 }, async (t) => {
  const network = await torNetworkFor(t);
  const client = await network.startTor({ name: 'client', extraTorrc: ['SocksTimeout 10'] });
  const outside = createTorOverlay({ socks: { kind: 'tcp', ...client.socks } });
  const scenes: readonly {
    readonly name: string;
    readonly tunnel: Omit<ControlTunnelOptions, 'target'>;
    readonly serving?: Partial<TorServing & { readonly kind: 'control' }>;
    readonly happens: (
      tor: PrivateTor,
      onion: { readonly control: ControlClient; readonly id: string },
    ) => Promise<unknown>;
    readonly found: RegExp;
  }[] = [
    {
      name: 'restarted, and the tunnel leads nowhere',
      tunnel: { whenTorIsGone: 'silent' },
      serving: { watchTimings: { ...QUICK, answerMs: 5_000 } },
      happens: restart,
      found: /does not answer on the control connection/,
    },
    {
      name: 'restarted, and the tunnel leads to the new one',
      tunnel: { whenTorIsGone: 'again' },
      happens: restart,
      found: /does not have the onion service any more/,
    },
    {
      name: 'restarted, and a filter refuses the question',
      tunnel: { whenTorIsGone: 'again', refuses: /^GETINFO onions/ },
      serving: { selfTestRounds: true },
      happens: restart,
      found: /the onion cannot be reached from outside/,
    },
    {
      name: 'the same Tor, after another program removed the onion',
      tunnel: { whenTorIsGone: 'silent' },
      happens: (_, { control, id }) => control.command(`DEL_ONION ${id}`),
      found: /does not have the onion service any more/,
    },
  ];
  t.jobs = scenes.length;
  for (const { name, tunnel, serving, happens, found } of scenes) {
    t.test(name, { buffered: true, timeout: 150_000 }, async (t: Test) => {
      const tor = await network.startTor({ controlPort: true, extraTorrc: ['SocksTimeout 10'] });
      const { controlEndpoint: target } = tor;
      if (target === undefined) throw new Error('this tor has no control port');
      const { endpoint, refused } = await controlTunnel(t, { target, ...tunnel });
      const controls: ControlClient[] = [];
      const overlay = createTorOverlay({
        socks: { kind: 'tcp', ...tor.socks },
        random: () => 0,
        serving: {
          kind: 'control',
          identity: { kind: 'ephemeral' },
          listen: { host: '127.0.0.1', port: 0 },
          async connectControl(signal) {
            const control = await connectControl({ endpoint, signal });
            controls.push(control);
            return control;
          },
          watchTimings: QUICK,
          ...serving,
        },
      });
      const accept = acceptor();
      const states = stateQueue();
      const served = await overlay.serve((connection) => accept.onConnection(connection), {
        signal: never,
        onState: (state) => states.push(state),
      });
      t.teardown(() => served.close());
      if (served.locations[0].kind !== 'onion') throw new Error('no onion');
      await states.next('reachable');
      t.equal(controls.length, 1);
      const [control] = controls;
      if (control === undefined) throw new Error('no control connection');
      await happens(tor, { control, id: served.locations[0].host.slice(0, 56) });
      t.match(await states.next('lost'), found, 'the state does not stay reachable');
      await states.next('reachable');
      t.equal(refused.length > 0, tunnel.refuses !== undefined);
      const dialled = connectionPeer(await dialPatiently(outside, served.locations[0], name));
      dialled.connection.write(Buffer.from('hello'));
      for (;;) {
        // Earlier connections are self-tests, which send no bytes.
        const text = await (await accept.next()).read(5).catch(() => undefined);
        if (text === undefined) continue;
        t.equal(text.toString(), 'hello', 'the same onion answers again');
        break;
      }
      dialled.connection.destroy();
    });
  }
});
