/** The folders of section 3.4 (row C3): what is written is read, bounds, expiry, roll-back, foreign files. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DescriptionCache, USUAL_VALIDITY } from '../../../src/lethean/market/cache.js';
import { parseVdp } from '../../../src/lethean/market/parse-vdp.js';
import { gate, jsonOf, oldVdp, provider, PROVIDER_ID, space, vdp } from '../samples.js';

const NOW = 1_800_000_000;

async function cacheIn(t: Test): Promise<{ cache: DescriptionCache; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-lethean-cache-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const cache = new DescriptionCache({
    providers: join(folder, 'providers'),
    myProviders: join(folder, 'my-providers'),
    spaces: join(folder, 'spaces'),
    gates: join(folder, 'gates'),
  });
  return { cache, folder };
}

t.test('descriptions, one file each, named after their ids', async (t) => {
  const { cache, folder } = await cacheIn(t);
  t.match(await cache.read(NOW), { providers: [], gates: [], spaces: [], faults: [] });
  const market = parseVdp(jsonOf(vdp()));
  t.same(await cache.put(market, NOW), []);
  const read = await cache.read(NOW);
  t.same(read.providers, market.providers);
  t.same(read.spaces, market.spaces);
  t.same(
    new Set(read.gates.map(({ gateId }) => gateId)),
    new Set(market.gates.map(({ gateId }) => gateId)),
  );
  t.same(await readdir(join(folder, 'spaces')), [`${PROVIDER_ID}.1st.lspace`]);
  const old = await cacheIn(t);
  await old.cache.put(parseVdp(jsonOf(oldVdp)), NOW);
  t.match((await old.cache.read(NOW)).gates, [{ gateId: `${PROVIDER_ID}-http` }]);
});

t.test('a description ends with its ttl, or 30 days after it was written', async (t) => {
  const { cache } = await cacheIn(t);
  const dated = { revision: NOW - 100, ttl: 160 };
  const market = vdp({ providers: [provider(dated)], spaces: [space()], gates: [gate(dated)] });
  await cache.put(parseVdp(jsonOf(market)), NOW);
  const counts = async (now: number): Promise<readonly number[]> => {
    const { providers, spaces, gates } = await cache.read(now);
    return [providers.length, spaces.length, gates.length];
  };
  t.same(await counts(NOW + 59), [1, 1, 1]);
  t.same(await counts(NOW + 60), [0, 1, 0]);
  t.same(await counts(NOW + USUAL_VALIDITY), [0, 0, 0]);
  t.equal(await cache.prune(NOW + 60), 2);
  const late = await cache.put(parseVdp(jsonOf(market)), NOW + 60);
  t.same(
    late.map(({ reason }) => reason),
    ['is no longer valid', 'is no longer valid'],
  );
});

const of = (revision: number): ReturnType<typeof parseVdp> =>
  parseVdp(jsonOf(vdp({ providers: [provider({ revision, name: String(revision) })] })));

t.test('an older revision does not replace a newer one', async (t) => {
  const { cache } = await cacheIn(t);
  await cache.put(of(20), NOW);
  t.match(await cache.put(of(10), NOW), [{ reason: 'the kept description is newer' }]);
  t.match((await cache.read(NOW)).providers, [{ name: '20' }]);
});

t.test('descriptions that would spoil the folders', async (t) => {
  const { cache, folder } = await cacheIn(t);
  t.match(await cache.put(of(NOW + 90_000), NOW), [{ reason: 'its revision is in the future' }]);
  const { gates } = parseVdp(jsonOf(vdp()));
  const pem = `-----BEGIN CERTIFICATE-----\n${'QUJD'.repeat(4_000)}\n-----END CERTIFICATE-----\n`;
  const large = gates.map((each) => ({ ...each, ca: Array.from({ length: 20 }, () => pem) }));
  const faults = await cache.put({ providers: [], spaces: [], gates: large }, NOW);
  t.match(
    faults,
    Array.from({ length: 3 }, () => ({ reason: 'is larger than 262144 bytes' })),
  );
  t.same((await cache.read(NOW)).gates, []);

  await cache.put(of(20), NOW);
  const [own] = (await cache.read(NOW)).providers;
  if (own !== undefined) await cache.adopt(own);
  await writeFile(join(folder, 'my-providers', `${PROVIDER_ID}.lprovider`), '{"file_type":');
  t.match(await cache.put(of(30), NOW), [{ reason: /my-providers cannot be read/ }]);
  t.same((await cache.read(NOW)).providers, [], 'nobody takes the place of a kept identity');
});

t.test('a file that is no description is told, and stays; the others count', async (t) => {
  const { cache, folder } = await cacheIn(t);
  await cache.put(parseVdp(jsonOf(vdp())), NOW);
  await writeFile(join(folder, 'gates', 'x.lgate'), '{"file_type":');
  await writeFile(join(folder, 'gates', 'big.lgate'), ' '.repeat(300_000));
  await writeFile(join(folder, 'gates', 'note.txt'), 'not ours');
  const { gates, faults } = await cache.read(NOW);
  t.equal(gates.length, 3);
  t.match(faults, [
    { path: /big\.lgate$/, reason: /larger than 262144 bytes/ },
    { path: /x\.lgate$/, reason: /not valid JSON/ },
  ]);
  t.equal((await readdir(join(folder, 'gates'))).length, 6);
});
