/** The flow of section 4.1 from the search to the end of a session (rows C1 to C4, C8, C10, C11, C20, C24). */
import { readdir } from 'node:fs/promises';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { deferred } from '../../src/kit/deferred.js';
import type { Transport, TunnelEnd } from '../../src/lethean/ports.js';
import { SessionInUseError, SessionOverError } from '../../src/lethean/session/errors.js';
import { LINK } from './provider.js';
import { KEY, PROVIDER_ID, wireGuardGate } from './samples.js';
import { LetheanWorld, statesOf, until } from './world.js';

const DAY = 86_400_000;

t.test('discover, pay, confirm, connect, transfer, renew, expire, reconnect', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const states: string[] = [];
  const client = await world.client(provider, {
    onSession: (_, { state }) => void states.push(state.state),
  });
  // 1
  const { offers } = await client.search({ type: 'proxy', maxPricePerDay: 40_000_000n });
  t.match(offers, [{ providerId: PROVIDER_ID, pricePerDay: 35_000_000n }]);
  // 2 to 7
  const connection = await client.connect(LINK, {
    days: 2,
    agree: ({ cost, days }) => cost === 70_000_000n && days === 2,
  });
  t.same(provider.steps, ['search', 'vdp', 'create', 'session'], 'the steps, in this order');
  t.same(states, ['UNPAID', 'CONFIRMING', 'CONNECTING', 'ACTIVE']);
  t.equal(world.coin.transfers.length, 1);
  // 8
  t.equal(String(await world.transfer(client)), 'hello');
  t.same(await readdir(world.folders.myProviders), [`${PROVIDER_ID}.lprovider`]);
  // Renew: a session of its own, and the tunnel changes to it.
  await client.renew(connection.key, { days: 1 });
  t.same(statesOf(client), ['EXPIRED (renewed)', 'ACTIVE']);
  t.equal(world.coin.transfers.length, 2);
  t.equal(provider.sessions[1]?.parent, provider.sessions[0]?.sessionid);
  t.equal(String(await world.transfer(client)), 'hello', 'with the credentials of the renewal');
  // Expire.
  world.clock.advance(DAY);
  await connection.ended;
  t.same(statesOf(client), ['EXPIRED (renewed)', 'EXPIRED (time)']);
  t.equal(client.connections.size, 0);
  // Reconnect: a new session, because the old ones are over.
  await client.connect(LINK);
  t.equal(String(await world.transfer(client)), 'hello');
  t.equal(world.coin.transfers.length, 3);
});

t.test('a session ends with its data', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider, { settings: { maxBytes: 100, countEvery: 1 } });
  await client.search();
  const connection = await client.connect(LINK);
  await world.transfer(client, Buffer.alloc(60));
  world.clock.advance(1_000);
  await connection.ended;
  t.same(statesOf(client), ['EXPIRED (data)']);
  t.match(connection.state, { usage: { sent: 60, received: 60 } });
});

t.test('a session that nobody pays for is over after unpaid-expiry', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider, { settings: { unpaidExpiry: 60 } });
  await client.search();
  const stop = new AbortController();
  world.payer.refusals.push(new Error('the wallet is closed'));
  await t.rejects(client.connect(LINK, { signal: stop.signal }), /the wallet is closed/);
  t.same(statesOf(client), ['CONFIRMING'], 'the payer was not certain');
  await world.end(client);
  // The same order is given again, and paid once.
  const again = await world.client(provider);
  await again.resume();
  t.same(statesOf(again), ['ACTIVE']);
  t.equal(world.coin.transfers.length, 1);
});

t.test('disconnect, and connect again without a payment', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider);
  await client.search();
  const connection = await client.connect(LINK);
  const { tunnel } = connection;
  await client.disconnect(connection.key);
  t.same(statesOf(client), ['DISCONNECTED (user)']);
  t.match(await tunnel?.ended, { kind: 'closed' }, 'nothing of it stands');
  await client.connect(LINK);
  t.same(statesOf(client), ['ACTIVE']);
  t.equal(world.coin.transfers.length, 1);
  t.equal(String(await world.transfer(client)), 'hello');
  await t.rejects(client.connect(LINK), SessionInUseError, 'a session is not shared');
  await t.rejects(Promise.all([client.connect(LINK), client.connect(LINK)]), SessionInUseError);
  t.equal(world.coin.transfers.length, 1);
});

t.test('two connects at once buy one session', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider);
  await client.search();
  const both = await Promise.allSettled([client.connect(LINK), client.connect(LINK)]);
  t.same(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  t.equal(world.coin.transfers.length, 1);
});

t.test('auto-reconnect: after its seconds, and not before', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider, { settings: { autoReconnect: 30 } });
  await client.search();
  const connection = await client.connect(LINK);
  // The gate is gone: a failed connection makes the transport look at it, and end the tunnel.
  await connection.tunnel?.close();
  await until(() => connection.state.state === 'CONNECTING', 'the loss is known');
  t.equal(connection.tunnel, undefined, 'no request gets another way');
  await until(() => world.clock.pending > 0, 'the pause runs');
  world.clock.advance(29_000);
  t.equal(connection.state.state, 'CONNECTING');
  world.clock.advance(1_000);
  await until(() => connection.tunnel !== undefined, 'the tunnel stands again');
  t.equal(String(await world.transfer(client)), 'hello');
  t.equal(world.coin.transfers.length, 1);
});

t.test('auto-pay-days renews before the end, once', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider, { settings: { autoPayDays: 3, renewBefore: 3_600 } });
  await client.search();
  const connection = await client.connect(LINK, { days: 1 });
  world.clock.advance(DAY - 3_600_000);
  await until(() => statesOf(client).length === 2 && connection.tunnel !== undefined, 'renewed');
  await until(() => statesOf(client)[0] === 'EXPIRED (renewed)', 'the old one is over');
  t.same(statesOf(client), ['EXPIRED (renewed)', 'ACTIVE']);
  t.equal(provider.sessions[1]?.days, 3);
  t.same(
    world.coin.transfers.map(({ order }) => order.destinations[0]?.amount),
    [35_000_000n, 105_000_000n],
  );
});

for (const [name, activated] of [
  ['begins now', 0],
  ['claims to have begun long ago', -30 * 86_400],
] as const) {
  t.test(`auto-pay-days: a session that ${name} and ends in a minute is not renewed`, async (t) => {
    const { world, provider } = await LetheanWorld.make(t);
    const warnings: string[] = [];
    const warn = (text: string): void => void warnings.push(text);
    const settings = { autoPayDays: 3, renewBefore: 30 };
    const client = await world.client(provider, { settings, log: { ...silentLog, warn } });
    await client.search();
    const end = { activated: world.now() + activated, expires: world.now() + 60, paid: true };
    world.payer.step = () => void (provider.sessionChange = end);
    const connection = await client.connect(LINK);
    world.clock.advance(30_000);
    await until(() => warnings.length > 0, 'the warning');
    t.match(warnings, [/before half of its paid time: it is not renewed automatically/]);
    world.clock.advance(30_000);
    await connection.ended;
    t.same(statesOf(client), ['EXPIRED (time)']);
    t.equal(world.coin.transfers.length, 1);
  });
}

t.test('auto-pay-days: renew-before above half of the time waits for the half', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const settings = { autoPayDays: 1, renewBefore: 80_000 };
  const client = await world.client(provider, { settings });
  await client.search();
  await client.connect(LINK, { days: 1 });
  world.clock.advance(DAY / 2 - 60_000);
  t.equal(world.coin.transfers.length, 1);
  world.clock.advance(60_000);
  await until(() => statesOf(client)[0] === 'EXPIRED (renewed)', 'renewed');
  t.equal(world.coin.transfers.length, 2);
});

t.test('a free session needs no payment', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const free = { price: { 'per-day': 0 } };
  provider.describe = { gate: free, space: free };
  provider.sessionChange = {
    price: 0,
    days: 5,
    paid: true,
    activated: world.now(),
    expires: world.now() + 432_000,
  };
  const client = await world.client(provider, { settings: { freeSessionDays: 5 } });
  await client.search();
  await t.resolves(client.connect(LINK));
  t.same(statesOf(client), ['ACTIVE']);
  t.equal(world.coin.transfers.length, 0);
});

t.test('connect ends with its signal while it waits; the payment is kept', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider);
  await client.search();
  provider.seesPayments = false;
  const stop = new AbortController();
  const connecting = client.connect(LINK, { signal: stop.signal });
  await provider.next('session');
  stop.abort();
  await t.rejects(connecting, { name: 'AbortError' });
  t.same(statesOf(client), ['CONFIRMING']);
  provider.seesPayments = true;
  await client.connect(LINK);
  t.equal(world.coin.transfers.length, 1);
  t.same(statesOf(client), ['ACTIVE']);
});

t.test('a WireGuard session follows a new key of this client', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  provider.moreGates = [wireGuardGate({ revision: undefined })];
  let key = KEY;
  const opened: (string | undefined)[] = [];
  const never = deferred<TunnelEnd>();
  const transport: Transport = {
    serves: (gate) => gate.type === 'wg',
    open: ({ session }) => {
      opened.push(session.wg?.clientPublicKey);
      return Promise.resolve({
        kind: 'wg',
        connect: () => Promise.reject(new Error('not here')),
        bytes: () => ({ sent: 0, received: 0 }),
        ended: never.promise,
        close: () => Promise.resolve(),
      });
    },
  };
  const more = {
    transports: [transport],
    wireGuardKeys: { publicKey: () => Promise.resolve(key) },
  };
  const link = `lthn://${PROVIDER_ID}/wg`;
  const client = await world.client(provider, more);
  await client.search();
  const connection = await client.connect(link);
  await client.disconnect(connection.key);
  await client.connect(link);
  t.notOk(provider.steps.includes('rekey'), 'the same key');
  await world.end(client);
  const first = key;
  key = Buffer.alloc(32, 9).toString('base64');
  const other = await world.client(provider, more);
  await other.resume();
  t.same(opened, [first, first, key]);
  await world.end(other);
  provider.takesKeys = false;
  key = Buffer.alloc(32, 11).toString('base64');
  const last = await world.client(provider, more);
  await t.rejects(last.connect(link), { message: /does not take another WireGuard key/ });
  t.equal(world.coin.transfers.length, 1);
});

t.test('a session that is over is told as over', async (t) => {
  const { world, provider } = await LetheanWorld.make(t);
  const client = await world.client(provider);
  await client.search();
  const connection = await client.connect(LINK);
  await world.end(client);
  t.equal(connection.state.state, 'ACTIVE', 'the end of the program changes no session');
  world.clock.advance(DAY + 1_000);
  const later = await world.client(provider);
  t.same(statesOf(later), ['EXPIRED (time)']);
  t.same(await later.resume(), []);
  t.ok(SessionOverError);
});
