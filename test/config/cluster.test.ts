/** `[CLUSTER]` and the key of a node: what is allowed, and the errors. */
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { parseCfg } from '../../src/config/cfg-file.js';
import { clusterNodes, natsServers } from '../../src/config/cluster-values.js';
import type { ClusterSettings } from '../../src/config/cluster-settings.js';
import { ConfigError } from '../../src/config/config-error.js';
import { settingsFrom, type Role } from '../../src/config/settings.js';
import {
  ClusterKeyError,
  clusterKeyPath,
  loadOrCreateClusterKey,
  readClusterKey,
} from '../../src/ops/cluster-key.js';

const A = 'aa'.repeat(32);
const B = 'bb'.repeat(32);
const GOOD = {
  nats: 'nats://127.0.0.1:4222',
  name: 'pit',
  node: 'a',
  nodes: `a:${A},b:${B}`,
};

async function read(
  lines: Readonly<Record<string, string>>,
  role: Role = 'directory',
): Promise<ClusterSettings | undefined> {
  const text = Object.entries(lines).map(([key, value]) => `${key} = ${value}`);
  const cfg = parseCfg(['[CLUSTER]', ...text].join('\n'), 'joinmarket.cfg');
  if (!cfg.ok) throw new Error(cfg.fault.fault);
  return (await settingsFrom(cfg.value, { datadir: '/data', role })).settings.cluster;
}

async function faultOf(lines: Readonly<Record<string, string>>): Promise<string> {
  try {
    await read(lines);
    return 'accepted';
  } catch (error) {
    return error instanceof ConfigError ? error.message : String(error);
  }
}

t.test('without a value there is no cluster, and only a directory reads the section', async (t) => {
  t.equal(await read({}), undefined);
  t.equal(await read({ nats: '', name: '', nats_plain: 'loopback' }), undefined, 'as the example');
  t.equal(await read({ ...GOOD, nodes: 'nonsense' }, 'maker'), undefined);
});

t.test('a whole section', async (t) => {
  t.same(await read(GOOD), {
    name: 'pit',
    node: 'a',
    nodes: [
      { name: 'a', publicKey: A },
      { name: 'b', publicKey: B },
    ],
    nats: {
      servers: [{ scheme: 'nats', host: '127.0.0.1', port: 4222 }],
      tls: false,
      plain: 'loopback',
      credentialsFile: undefined,
      caFile: undefined,
      certificate: undefined,
    },
  });
  const tls = await read({
    ...GOOD,
    nats: 'tls://nats1.example.org, TLS://[2001:db8::7]:4333',
    nats_credentials: 'node.creds',
    nats_ca: '/etc/ca.pem',
    nats_certificate: 'node.pem',
    nats_key: 'node.key',
    nodes: `a : ${A.toUpperCase()} , b:${B}`,
  });
  t.match(tls, {
    nodes: [{ publicKey: A }, {}],
    nats: {
      servers: [
        { scheme: 'tls', host: 'nats1.example.org', port: 4222 },
        { scheme: 'tls', host: '2001:db8::7', port: 4333 },
      ],
      tls: true,
      credentialsFile: '/data/node.creds',
      caFile: '/etc/ca.pem',
      certificate: { file: '/data/node.pem', keyFile: '/data/node.key' },
    },
  });
});

t.test('errors name the key, the value and what is allowed', async (t) => {
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [
      { name: 'pit' },
      /\[CLUSTER\] nats: found nothing, beside other keys of a cluster; allowed: tls:/,
    ],
    [{ ...GOOD, name: '' }, /\[CLUSTER\] name: found nothing.*or no key of \[CLUSTER\] at all/],
    [{ ...GOOD, node: '' }, /\[CLUSTER\] node: found nothing/],
    [{ ...GOOD, nodes: '' }, /\[CLUSTER\] nodes: found nothing/],
    [
      { ...GOOD, node: 'c' },
      /:4: \[CLUSTER\] node: found "c"; allowed: one of the names in nodes: a, b/,
    ],
    [{ ...GOOD, node: 'A' }, /\[CLUSTER\] node: found "A"; allowed: at most 32 letters a to z/],
    [{ ...GOOD, name: 'a.b' }, /\[CLUSTER\] name: found "a\.b"/],
    [{ ...GOOD, nodes: `a:${A},a:${B}` }, /\[CLUSTER\] nodes: .*each name and each key once/],
    [{ ...GOOD, nodes: `a:${A},b:${A}` }, /\[CLUSTER\] nodes: /],
    [{ ...GOOD, nodes: `a:${A.slice(1)}` }, /\[CLUSTER\] nodes: .*64 hex digits/],
    [
      { ...GOOD, nats: 'nats://10.0.0.2' },
      /\[CLUSTER\] nats: found "nats:\/\/10\.0\.0\.2"; allowed: tls:\/\/ for a server on another machine; or nats_plain = anywhere/,
    ],
    [
      { ...GOOD, nats: 'nats://127.0.0.1,tls://10.0.0.2' },
      /\[CLUSTER\] nats: .*or several of one kind/,
    ],
    [
      { ...GOOD, nats: 'tls://user:word@host' },
      /with a password, which belongs into nats_credentials/,
    ],
    [{ ...GOOD, nats: 'ws://host' }, /\[CLUSTER\] nats: /],
    [{ ...GOOD, nats: 'tls://host:0' }, /\[CLUSTER\] nats: /],
    [{ ...GOOD, nats: 'tls://host:' }, /\[CLUSTER\] nats: /],
    [
      { ...GOOD, nats_ca: 'ca.pem' },
      /\[CLUSTER\] nats_ca: found "ca\.pem"; allowed: only with tls/,
    ],
    [
      { ...GOOD, nats: 'tls://host', nats_certificate: 'x' },
      /\[CLUSTER\] nats_key: found nothing; allowed: nats_certificate and nats_key together/,
    ],
    [
      { ...GOOD, nats_plain: 'yes' },
      /\[CLUSTER\] nats_plain: found "yes"; allowed: loopback, anywhere/,
    ],
  ];
  for (const [lines, expected] of cases) t.match(await faultOf(lines), expected);
  t.equal(await faultOf({ ...GOOD, nats: 'nats://10.0.0.2', nats_plain: 'anywhere' }), 'accepted');
  t.equal(await faultOf({ ...GOOD, nats: '[::1],localhost:4223' }), 'accepted', 'this machine');
});

t.test('the parsers accept no text halfway, and never throw', (t) => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const servers = natsServers().parse(text);
      const nodes = clusterNodes().parse(text);
      return [servers, nodes].every((value) => value === undefined || Array.isArray(value));
    }),
  );
  const key = fc.stringMatching(/^[0-9a-f]{64}$/);
  const nodes = fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z][a-z0-9]{0,9}$/), key), {
    maxLength: 8,
    comparator: ([name, k], [other, l]) => name === other || k === l,
  });
  fc.assert(
    fc.property(nodes, (wanted) => {
      const text = wanted.map(([name, publicKey]) => `${name}:${publicKey}`).join(', ');
      t.same(
        clusterNodes().parse(text),
        wanted.map(([name, publicKey]) => ({ name, publicKey })),
      );
    }),
    { numRuns: 30 },
  );
  t.end();
});

async function tempDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-cluster-key-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

t.test('the key of a node is made once, in a file of mode 0600', async (t) => {
  const dir = join(await tempDir(t), 'new');
  t.equal(await readClusterKey(dir), undefined);
  const made = await loadOrCreateClusterKey(dir);
  t.equal(made.created, true);
  t.match(made.key.publicKey, /^[0-9a-f]{64}$/);
  t.equal((await stat(clusterKeyPath(dir))).mode & 0o777, 0o600);
  t.equal((await stat(dir)).mode & 0o777, 0o700);
  t.same(await readdir(dir), ['cluster_key.pem'], 'no other file stays');
  const again = await loadOrCreateClusterKey(dir);
  t.same([again.created, again.key.publicKey], [false, made.key.publicKey]);
  const signed = sign(null, Buffer.from('text'), made.key.privateKey);
  const x = Buffer.from(made.key.publicKey, 'hex').toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  t.ok(verify(null, Buffer.from('text'), publicKey, signed), 'the printed key is its public part');
  const both = await Promise.all([1, 2, 3].map(() => loadOrCreateClusterKey(`${dir}2`)));
  t.equal(new Set(both.map(({ key }) => key.publicKey)).size, 1, 'at the same time, too');
  t.equal(both.filter(({ created }) => created).length, 1);
});

t.test('a key file that others can read or that is damaged is refused', async (t) => {
  const dir = await tempDir(t);
  await loadOrCreateClusterKey(dir);
  const path = clusterKeyPath(dir);
  const pem = await readFile(path, 'utf8');
  const refused = (pattern: RegExp): Promise<unknown> =>
    t.rejects(readClusterKey(dir), { name: 'ClusterKeyError', exitCode: 2, message: pattern });
  await chmod(path, 0o640);
  await refused(/mode 0640: others can read the key of this node\. Fix: chmod 600/);
  await t.rejects(loadOrCreateClusterKey(dir), ClusterKeyError, 'and not replaced');
  await chmod(path, 0o600);
  await t.rejects(
    readClusterKey(dir, 12_345),
    /belongs to user id \d+, but the directory runs as 12345/,
  );
  await writeFile(path, pem.slice(0, 60));
  await refused(/does not hold an ed25519 key in PEM/);
  const rsa = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
  await writeFile(path, rsa.export({ format: 'pem', type: 'pkcs8' }));
  await refused(/does not hold an ed25519 key in PEM/);
  await rm(path);
  await symlink('/etc/passwd', path);
  await refused(/is a symbolic link/);
});
