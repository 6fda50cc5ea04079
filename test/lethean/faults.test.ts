/** A fault at every arrow of section 4.1, and a kill at each write: no money is lost, none is paid twice. */
import t, { type Test } from 'tap';
import type { LetheanClient } from '../../src/lethean/client.js';
import { CallError } from '../../src/lethean/market/https-call.js';
import { DescriptionError } from '../../src/lethean/market/fields.js';
import { SelectionError } from '../../src/lethean/market/link.js';
import { HttpsManager, ManagerError } from '../../src/lethean/market/manager.js';
import { SearchError } from '../../src/lethean/market/market.js';
import type { Manager, Payer, Transport } from '../../src/lethean/ports.js';
import {
  NotAgreedError,
  NotRecognisedError,
  SessionOverError,
} from '../../src/lethean/session/errors.js';
import { SessionStateError } from '../../src/lethean/session/state.js';
import { TermsError } from '../../src/lethean/session/terms.js';
import { ProxyTransport } from '../../src/lethean/transport/proxy-transport.js';
import { LINK, type Fault, type TestProvider } from './provider.js';
import { OTHER_WALLET, PROVIDER_ID } from './samples.js';
import { LetheanWorld, statesOf, until } from './world.js';

type ErrorClass = abstract new (...args: never[]) => Error;

/** What the client says of each fault of an answer. */
const ANSWERS: readonly (readonly [Fault, ErrorClass, RegExp])[] = [
  ['silent', CallError, /no answer within 3 s/],
  ['error', ManagerError, /refused: status 500 \("\{"error":"out of order"\}"\)/],
  ['garbage', DescriptionError, /not valid JSON/],
  ['cut', CallError, /the connection ended before the answer/],
];

t.test('arrow 1: the search', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider);
  await client.search();
  for (const [fault, type, text] of ANSWERS) {
    provider.faults.set('search', fault);
    const expected = fault === 'error' ? SearchError : type;
    const words = fault === 'error' ? /answered with status 500; try again later/ : text;
    // oxlint-disable-next-line no-await-in-loop -- one fault after the other
    await rejects(t, client.search(), expected, words, fault);
  }
  t.equal((await client.knownOffers()).offers.length, 1, 'the kept descriptions are still there');
  provider.faults.clear();
  provider.form = 'services';
  t.same((await client.search()).offers, [], 'an empty answer of the old form is no fault');
  const stranger = await LetheanWorld.make(t, true);
  const wrong = await stranger.world.client(provider, { sdpCa: [stranger.provider.authority.pem] });
  await rejects(t, wrong.search(), CallError, /did not prove its identity/, 'wrong authority');
  const nobody = await stranger.world.client(provider, {
    sdpUrl: 'https://localhost:1/v1/services/search',
  });
  await rejects(t, nobody.search(), CallError, /cannot be reached/, 'nobody listens');
});

for (const step of ['vdp', 'create'] as const) {
  t.test(`arrow 2 and the session before arrow 3: ${step}; nothing is paid`, async (t) => {
    const { world, provider } = await LetheanWorld.make(t);
    const client = await world.client(provider);
    await client.search();
    for (const [fault, type, text] of ANSWERS) {
      provider.faults.set(step, fault);
      // oxlint-disable-next-line no-await-in-loop -- one fault after the other
      await rejects(t, client.connect(LINK), type, text, fault);
    }
    t.equal(world.coin.transfers.length, 0);
    t.same(statesOf(client), [], 'no session is kept');
    provider.faults.clear();
    await client.connect(LINK);
    t.equal(world.coin.transfers.length, 1);
  });
}

t.test('arrow 2: a manager with another authority than the provider', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const other = await LetheanWorld.make(t, true);
  provider.describe = { provider: { ca: [other.provider.authority.pem] } };
  const client = await world.client(provider);
  await client.search();
  await rejects(t, client.connect(LINK), CallError, /did not prove its identity/, 'wrong CA');
  t.same(provider.steps, ['search'], 'not a byte of a request reached the manager');
});

t.test('arrow 2: a gate with a manager that its provider does not name', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const other = await LetheanWorld.make(t, true);
  const strange = {
    'manager-url': `https://localhost:${other.provider.managerPort}`,
    ca: [other.provider.authority.pem],
  };
  provider.describe = { gate: strange };
  const client = await world.client(provider);
  await client.search();
  provider.describe = {};
  await client.connect(LINK);
  t.same(other.provider.steps, [], 'the manager of the kept description is never asked');
  t.equal(world.coin.transfers.length, 1);
});

const changes: readonly (readonly [string, TestProvider['describe'], RegExp])[] = [
  ['wallet', { provider: { wallet: OTHER_WALLET } }, /has another wallet than .* nothing was paid/],
  ['price', { gate: { price: { 'per-day': 0.1000001 } } }, /rose from 0\.35 to 0\.3500001 LTHN/],
  ['space', { gate: { spaces: [] } }, /no longer offers this gate with this space/],
  ['gate', { gate: { gateid: 'other' } }, /no longer offers this gate with this space/],
];

for (const [name, change, text] of changes) {
  t.test(`arrow 2: another ${name} after the selection`, async (t) => {
    const { world, provider } = await LetheanWorld.make(t);
    const client = await world.client(provider);
    await client.search();
    provider.describe = change;
    const type = name === 'wallet' || name === 'price' ? TermsError : SelectionError;
    await rejects(t, client.connect(LINK), type, text, name);
    t.equal(world.coin.transfers.length, 0);
    t.notOk(provider.steps.includes('create'));
  });
}

const terms: readonly (readonly [string, object, RegExp])[] = [
  ['price', { price: 0.35000001 }, /asks for 0\.35000001 LTHN; 1 days cost 0\.35 LTHN/],
  [
    'contributions',
    { price: 0.35, contributions: [{ purpose: 'x', wallet: OTHER_WALLET, price: 0.1 }] },
    /asks for 0\.45 LTHN/,
  ],
  ['wallet', { wallet: OTHER_WALLET }, /names another wallet than the description/],
  ['days', { days: 2 }, /made a session of 2 days instead of 1/],
  ['gate', { gateid: `${PROVIDER_ID}.other` }, /for another gate/],
  ['space', { spaceid: `${PROVIDER_ID}.other` }, /for another space/],
];

for (const [name, change, text] of terms) {
  t.test(`before arrow 3: a session with another ${name} than described`, async (t) => {
    const { world, provider } = await LetheanWorld.make(t);
    const client = await world.client(provider);
    await client.search();
    provider.sessionChange = change;
    await rejects(t, client.connect(LINK), TermsError, text, name);
    t.same([world.coin.transfers.length, statesOf(client).length], [0, 0]);
  });
}

t.test('before arrow 3: the id of an earlier session', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider);
  await client.search();
  const connection = await client.connect(LINK);
  await client.disconnect(connection.key);
  const before = connection.state;
  world.clock.advance(90_000_000);
  provider.sessionChange = { sessionid: before.session.sessionId };
  await rejects(t, client.connect(LINK), TermsError, /the id of an earlier one: nothing/, 'id');
  t.equal(world.coin.transfers.length, 1);
  t.match(client.sessions.get(connection.key)?.state, { payment: { receipt: {} } }, 'it is kept');
});

t.test('before arrow 3: the answer of a person comes after unpaid-expiry', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider, { settings: { unpaidExpiry: 60 } });
  await client.search();
  const agree = (): boolean => {
    world.clock.advance(60_000);
    return true;
  };
  await rejects(t, client.connect(LINK, { agree }), NotAgreedError, /may have forgotten/, 'late');
  t.same([world.coin.transfers.length, statesOf(client).length], [0, 0]);
  await client.connect(LINK);
  const { payBy } = world.coin.transfers[0]?.order ?? {};
  t.equal(payBy, world.now() + 60, 'the payer knows the time, too');
});

t.test('a provider of earlier sessions keeps its wallet and its certificates', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider);
  await client.search();
  const connection = await client.connect(LINK);
  await client.disconnect(connection.key);
  provider.describe = { provider: { wallet: OTHER_WALLET } };
  const { refused } = await client.search();
  t.match(refused, [/a provider of earlier sessions has another wallet/]);
  t.match((await client.descriptions()).providers, [
    { wallet: connection.described.provider.wallet },
  ]);
  await client.forgetProvider(PROVIDER_ID);
  t.same((await client.search()).refused, []);
  t.match((await client.descriptions()).providers, [{ wallet: OTHER_WALLET }]);
});

t.test('arrow 3: the payer', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider);
  await client.search();
  await rejects(
    t,
    client.connect(LINK, { agree: () => false }),
    NotAgreedError,
    /not agreed/,
    'no',
  );
  const certain = Object.assign(new Error('no funds: nothing was paid'), { nothingPaid: true });
  world.payer.refusals.push(certain);
  await t.rejects(client.connect(LINK), /no funds/);
  t.same(statesOf(client), ['DISCONNECTED (failed)'], 'certain: over, and not continued');
  world.payer.refusals.push(new Error('the wallet does not answer'));
  await t.rejects(client.connect(LINK), /does not answer/);
  t.same(statesOf(client).toSorted(), ['CONFIRMING', 'DISCONNECTED (failed)'], 'not certain: kept');
  await client.connect(LINK);
  t.equal(world.coin.transfers.length, 1, 'the order that was in doubt is the one that is paid');
  t.same(statesOf(client).toSorted(), ['ACTIVE', 'DISCONNECTED (failed)']);
});

t.test('arrow 4: the blocks do not come, or the transaction is refused', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const failing: Payer = {
    pay: (order, signal) => world.payer.pay(order, signal),
    confirmed: () => Promise.reject(new Error('the network refused the transaction')),
  };
  const client = await world.client(provider, { payer: failing });
  await client.search();
  await t.rejects(client.connect(LINK), /the network refused the transaction/);
  t.same(statesOf(client), ['CONFIRMING']);
  await world.end(client);
  const later = await world.client(provider);
  t.equal((await later.resume()).length, 1);
  t.equal(world.coin.transfers.length, 1);
});

t.test('arrow 6: the manager fails while the payment is on its way, and comes back', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider, { settings: { pollManager: 10 } });
  await client.search();
  const connecting = client.connect(LINK);
  for (const fault of ['error', 'garbage', 'cut', 'silent'] as const) {
    provider.faults.set('session', fault);
    // oxlint-disable-next-line no-await-in-loop -- one fault after the other
    await provider.next('session');
    const waits = world.clock.pending;
    // oxlint-disable-next-line no-await-in-loop
    await until(() => world.clock.pending > waits, 'the next question is planned');
    if (fault === 'silent') provider.faults.clear();
    world.clock.advance(10_000);
  }
  await connecting;
  t.same(statesOf(client), ['ACTIVE']);
  t.equal(world.coin.transfers.length, 1);
});

t.test('arrow 6: the dispatcher does not recognise the payment', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider, { settings: { grantTimeout: 60, pollManager: 30 } });
  await client.search();
  provider.seesPayments = false;
  const connecting = client.connect(LINK);
  connecting.catch(() => {});
  for (let look = 0; look < 2; look++) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    await provider.next('session');
    // oxlint-disable-next-line no-await-in-loop
    await until(() => world.clock.pending > 0, 'the next question is planned');
    world.clock.advance(30_000);
  }
  await rejects(
    t,
    connecting,
    NotRecognisedError,
    /it is not paid again; ask the provider/,
    'late',
  );
  t.same(statesOf(client), ['CONFIRMING'], 'the session is kept, with its transaction and proof');
  const [record] = client.sessions.values();
  t.match(record?.state, { payment: { receipt: { proofs: [{ signature: /^OutProofV2/ }] } } });
  provider.seesPayments = true;
  await client.connect(LINK);
  t.equal(world.coin.transfers.length, 1);
});

t.test('arrow 6: a manager that changes the session after its payment', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider);
  await client.search();
  world.payer.step = () => (provider.sessionChange = { wallet: OTHER_WALLET });
  await rejects(
    t,
    client.connect(LINK),
    SessionStateError,
    /the manager changed the wallet/,
    'wallet',
  );
  t.same(statesOf(client), ['CONFIRMING']);
});

t.test('arrow 5: the gate does not answer; auto-reconnect goes on until it does', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  let isDown = true;
  const real = new ProxyTransport({ timeoutMs: 3_000 });
  let attempts = 0;
  const transport: Transport = {
    serves: (gate) => real.serves(gate),
    open: (target, signal) => {
      attempts++;
      return isDown ? Promise.reject(new Error('unreachable')) : real.open(target, signal);
    },
  };
  const client = await world.client(provider, { transports: [transport] });
  await client.search();
  const connecting = client.connect(LINK);
  await until(() => attempts === 1 && statesOf(client)[0] === 'CONNECTING', 'the first attempt');
  await until(() => world.clock.pending > 1, 'the pause runs');
  isDown = false;
  world.clock.advance(30_000);
  await connecting;
  t.equal(attempts, 2);
  t.equal(world.coin.transfers.length, 1);
});

t.test(
  'arrow 5: without auto-reconnect the session stops, and can be connected again',
  async (t) => {
    const { world, provider } = await LetheanWorld.make(t);
    const down: Transport = {
      serves: () => true,
      open: () => Promise.reject(new Error('unreachable')),
    };
    const settings = { autoReconnect: 0 };
    const client = await world.client(provider, { transports: [down], settings });
    await client.search();
    await rejects(
      t,
      client.connect(LINK),
      SessionOverError,
      /the session stopped: unreachable/,
      'down',
    );
    t.same(statesOf(client), ['DISCONNECTED (refused)']);
    await world.end(client);
    const later = await world.client(provider, { settings });
    await later.connect(LINK);
    t.equal(world.coin.transfers.length, 1);
  },
);

t.test('arrow 7: the gate refuses the session', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider);
  await client.search();
  const connection = await client.connect(LINK);
  const [{ sessionid } = { sessionid: '' }] = provider.sessions;
  provider.forget(sessionid);
  await t.rejects(world.transfer(client), /refuses|credentials|407/);
  await connection.ended;
  t.same(statesOf(client), ['DISCONNECTED (refused)']);
});

for (const fault of ['error', 'garbage', 'cut', 'silent'] as const) {
  t.test(
    `arrow 8: one connection through the gate fails (${fault}); the session stays`,
    async (t) => {
      const { world, provider } = await LetheanWorld.make(t);
      const client = await world.client(provider);
      await client.search();
      await client.connect(LINK);
      provider.faults.set('gate', fault);
      await t.rejects(world.transfer(client));
      provider.faults.clear();
      t.equal(String(await world.transfer(client)), 'hello');
      t.same(statesOf(client), ['ACTIVE']);
    },
  );
}

t.test('no transport serves the gate: told before anything is asked or paid', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider, { transports: [] });
  await client.search();
  await t.rejects(client.connect(LINK), /there is no transport for a gate of type http-proxy/);
  t.notOk(provider.steps.includes('create'));
});

/** Ends the process, as far as a test can: from here on no call and no write has an effect. */
class KilledError extends Error {
  override readonly name = 'KilledError';
}

/** Counts what happens, and dies at one of them. */
class Killer {
  #count = 0;
  #isDead = false;
  constructor(readonly at: number) {}

  readonly point = (): void => {
    this.#count++;
    if (this.#isDead || this.#count === this.at) {
      this.#isDead = true;
      throw new KilledError('killed');
    }
  };

  get isDead(): boolean {
    return this.#isDead;
  }

  /** The same object, dying before and after each call. */
  around<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (of, name) => {
        const value: unknown = Reflect.get(of, name);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]) => {
          this.point();
          const result: unknown = await Reflect.apply(value, of, args);
          this.point();
          return result;
        };
      },
    });
  }
}

async function connectAndDie(
  world: LetheanWorld,
  provider: TestProvider,
  killer: Killer,
): Promise<void> {
  const real = new ProxyTransport({ timeoutMs: 3_000 });
  const open = killer.around({ open: real.open.bind(real) });
  const client = await world.client(provider, {
    payer: killer.around<Payer>(world.payer),
    managerOf: (of) => killer.around<Manager>(new HttpsManager(of)),
    transports: [{ serves: (gate) => real.serves(gate), open: open.open }],
    onSession: killer.point,
  });
  const stop = new AbortController();
  try {
    const connecting = client.connect(LINK, { signal: stop.signal });
    connecting.catch(() => {});
    await Promise.race([connecting.catch(() => {}), until(() => killer.isDead, 'the kill')]);
    if (!killer.isDead) return;
    stop.abort();
    await connecting.catch(() => {});
  } finally {
    await world.end(client);
  }
}

t.test(
  'a kill before and after each write and each call: paid once, connected at the end',
  async (t) => {
    let points = 0;
    for (let at = 1; ; at++) {
      // oxlint-disable-next-line no-await-in-loop -- one life after the other
      const { world, provider } = await LetheanWorld.make(t);
      // oxlint-disable-next-line no-await-in-loop
      await setUp(world, provider);
      const killer = new Killer(at);
      world.payer.step = () => killer.isDead || killer.point();
      // oxlint-disable-next-line no-await-in-loop
      await connectAndDie(world, provider, killer);
      if (!killer.isDead) break;
      points++;
      world.payer.step = () => {};
      const before = world.coin.transfers.length;
      // oxlint-disable-next-line no-await-in-loop
      const client = await world.client(provider);
      // oxlint-disable-next-line no-await-in-loop
      await finish(client);
      const paid = new Set(world.coin.transfers.map(({ order }) => order.sessionId));
      t.equal(world.coin.transfers.length, paid.size, `kill ${at}: no session is paid twice`);
      t.equal(paid.size, 1, `kill ${at}: one session is paid (${before} before the kill)`);
      t.ok(statesOf(client).includes('ACTIVE'), `kill ${at}: connected`);
      // oxlint-disable-next-line no-await-in-loop
      await world.end(client);
    }
    t.ok(points >= 14, `${points} kills`);
  },
);

async function setUp(world: LetheanWorld, provider: TestProvider): Promise<void> {
  const client = await world.client(provider);
  await client.search();
  await world.end(client);
}

/** What a user does after a crash. */
async function finish(client: LetheanClient): Promise<void> {
  await client.resume();
  if (client.connections.size === 0) await client.connect(LINK);
}

async function rejects(
  t: Test,
  promise: Promise<unknown>,
  type: ErrorClass,
  text: RegExp,
  name: string,
): Promise<void> {
  try {
    await promise;
    t.fail(`${name}: did not reject`);
  } catch (error) {
    t.ok(error instanceof type, `${name}: ${String(error)}`);
    t.match(error instanceof Error ? error.message : '', text, name);
  }
}
