/** A paid session is continued at the gate of its order, whatever an SDP server says later (section 10). */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { KeptDescriptionError } from '../../src/lethean/session/kept-description.js';
import { formatRecord, parseRecord } from '../../src/lethean/session/record-file.js';
import { LINK, type TestProvider } from './provider.js';
import { PROVIDER_ID } from './samples.js';
import { LetheanWorld, statesOf } from './world.js';

interface Scene {
  readonly world: LetheanWorld;
  readonly provider: TestProvider;
  /** A stranger's gate and manager. */
  readonly stranger: TestProvider;
  /** What an SDP server says of the gate: host, manager and authority of the stranger. */
  readonly changed: TestProvider['describe'];
}

/** A session that was paid, and a program that has ended. */
async function paidScene(t: Test): Promise<Scene> {
  const { world, provider } = await LetheanWorld.make(t);
  const { provider: stranger } = await LetheanWorld.make(t, true);
  const client = await world.client(provider);
  await client.search();
  await client.connect(LINK);
  await world.end(client);
  const gate = {
    'http-proxy': { host: '127.0.0.1', port: stranger.gatePort, tls: false },
    'manager-url': `https://localhost:${stranger.managerPort}`,
    ca: [stranger.authority.pem],
  };
  return { world, provider, stranger, changed: { gate } };
}

/** The search of a market whose server changes the description of the gate. */
async function searchChanged({ world, provider, changed }: Scene): Promise<void> {
  const client = await world.client(provider);
  provider.describe = changed;
  await client.search();
  provider.describe = {};
  await world.end(client);
}

/** Makes the records such as version 1 wrote them. */
async function withoutDescriptions({ world }: Scene): Promise<void> {
  const { sessions } = world.folders;
  const names = await readdir(sessions);
  for (const name of names.filter((one) => one.endsWith('.lsession'))) {
    const path = join(sessions, name);
    // oxlint-disable-next-line no-await-in-loop -- one small file after the other
    const record = parseRecord(await readFile(path, 'utf8'));
    // oxlint-disable-next-line no-await-in-loop
    await writeFile(path, formatRecord({ ...record, described: undefined }));
  }
}

t.test('a later description of the gate does not move a paid session', async (t) => {
  const scene = await paidScene(t);
  const { world, provider, stranger } = scene;
  await searchChanged(scene);
  const asked = provider.steps.filter((step) => step === 'vdp').length;
  const client = await world.client(provider);
  const [connection] = await client.resume();
  t.equal(String(await world.transfer(client)), 'hello', 'resumed');
  if (connection !== undefined) await client.disconnect(connection.key);
  await client.connect(LINK);
  t.equal(String(await world.transfer(client)), 'hello', 'connected again');
  t.same(stranger.steps, [], 'the credentials went to nobody else');
  t.equal(world.coin.transfers.length, 1);
  t.equal(provider.steps.filter((step) => step === 'vdp').length, asked);
});

t.test('a paid session needs no description in the cache', async (t) => {
  const { world, provider } = await paidScene(t);
  const empty = join(world.folders.sessions, 'none');
  const folders = { ...world.folders, providers: empty, gates: empty, spaces: empty };
  const client = await world.client(provider, { folders });
  await client.connect(LINK);
  t.equal(String(await world.transfer(client)), 'hello');
  t.equal(world.coin.transfers.length, 1);
});

t.test('a renewal goes on at the gate as the provider describes it then', async (t) => {
  const { world, provider, stranger } = await paidScene(t);
  const client = await world.client(provider);
  const [connection] = await client.resume();
  if (connection === undefined) throw new Error('the session was not resumed');
  provider.describe = {
    gate: { 'http-proxy': { host: '127.0.0.1', port: stranger.gatePort, tls: false } },
  };
  await client.renew(connection.key, { days: 1 });
  t.match(connection.described.gate, { proxy: { port: stranger.gatePort } });
  await t.rejects(world.transfer(client), 'the other gate does not know the session');
  t.ok(stranger.steps.includes('gate'));
});

t.test('a record of version 1: the pinned provider is asked', async (t) => {
  const scene = await paidScene(t);
  const { world, provider, stranger } = scene;
  await searchChanged(scene);
  await withoutDescriptions(scene);
  const client = await world.client(provider);
  provider.faults.set('vdp', 'error');
  const words = /its provider was asked in vain.*nothing was sent to its gate\. Try again, or move/;
  await t.rejects(client.connect(LINK), { name: KeptDescriptionError.name, message: words });
  provider.faults.clear();
  await client.connect(LINK);
  t.equal(String(await world.transfer(client)), 'hello');
  await world.end(client);
  provider.faults.set('vdp', 'error');
  const later = await world.client(provider);
  t.equal((await later.resume()).length, 1, 'the record has the description from now on');
  t.same(stranger.steps, []);
  t.equal(world.coin.transfers.length, 1);
});

t.test('a record of version 1 of a provider that is not pinned is not continued', async (t) => {
  const scene = await paidScene(t);
  const { world, provider, stranger } = scene;
  await searchChanged(scene);
  await withoutDescriptions(scene);
  const client = await world.client(provider);
  await client.forgetProvider(PROVIDER_ID);
  const before = [...provider.steps];
  const words = /its provider is not in my-providers; .*move the file .*\.lsession/;
  await t.rejects(client.connect(LINK), { name: KeptDescriptionError.name, message: words });
  t.same(await client.resume(), []);
  t.same([provider.steps, stranger.steps], [before, []], 'nobody was asked');
  t.same(statesOf(client), ['ACTIVE'], 'the session is kept');
});
