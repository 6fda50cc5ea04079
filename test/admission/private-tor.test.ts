/**
 * A private directory on a private Tor network, with the built programs: two admitted makers, one of them
 * revoked, a peer without a code, and a Tor without a key; client authorisation in each tor_mode.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { PrivateTor } from '../../src/lab/private-network/client.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { startPrivateTorNetwork } from '../../src/lab/private-network/network.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { parseLocation } from '../../src/protocol/location.js';
import { connectControl, type ControlClient } from '../../src/tor/control/client.js';
import { parseHsDesc } from '../../src/tor/control/values.js';
import { deferred } from '../../src/kit/deferred.js';
import { addCredential } from '../../src/tor/onion/client-credentials.js';
import { parseCredential } from '../../src/tor/onion/client-keys.js';
import { fileURLToPath } from 'node:url';
import { runCli, startCli } from '../helpers/cli.js';
import { torConfig, type TorConfigOptions } from '../helpers/config.js';

t.setTimeout(240_000);
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

async function tempDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'omc-adm-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function datadirWith(t: Test, options: TorConfigOptions): Promise<string> {
  const datadir = join(await tempDir(t), 'a #b');
  await mkdir(datadir, { mode: 0o700 });
  await writeFile(join(datadir, 'joinmarket.cfg'), torConfig({ waitSec: 3, ...options }), {
    mode: 0o600,
  });
  return datadir;
}

/** Runs a command of admission whose input is one line. */
function withInput(args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, 'admission', ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.once('close', (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`exit ${code}: ${text}`));
    });
    child.stdin.end(`${input}\n`);
  });
}

async function admission(datadir: string, ...args: readonly string[]) {
  const { code, stdout, stderr } = await runCli([
    'admission',
    ...args,
    '--json',
    '--datadir',
    datadir,
  ]);
  if (code !== 0) throw new Error(stderr);
  const answer: Record<string, unknown> = JSON.parse(stdout);
  return answer;
}

/** Whether this Tor reaches the onion; the error of the dial when not. */
async function reaches(tor: PrivateTor, address: string): Promise<true | string> {
  const location = parseLocation(address);
  if (!location.ok) throw new Error(address);
  const overlay = createTorOverlay({ socks: { kind: 'tcp', ...tor.socks } });
  try {
    const connection = await overlay.dial(location.value, {
      signal: new AbortController().signal,
      isolation: `probe-${Math.random()}`,
    });
    connection.attach({ data() {}, closed() {} });
    connection.destroy();
    return true;
  } catch (error) {
    return String(error);
  }
}

/** Resolves when Tor has sent both descriptors from now on, and every HSDir has answered. */
async function publishedAgain(control: ControlClient): Promise<{ readonly done: Promise<void> }> {
  const done = deferred<void>();
  const descriptors = new Set<string | undefined>();
  let unanswered = 0;
  await control.onEvent('HS_DESC', (text) => {
    const event = parseHsDesc(text);
    if (!event.ok) return;
    const { action, descriptorId } = event.value;
    if (action === 'UPLOAD') {
      descriptors.add(descriptorId);
      unanswered++;
    } else if (action === 'UPLOADED' || action === 'FAILED') unanswered--;
    if (descriptors.size === 2 && unanswered === 0) done.resolve();
  });
  return { done: done.promise };
}

/** Gives the key of a client to a Tor. Returns Tor's code. */
async function giveKey(tor: PrivateTor, line: string): Promise<number> {
  const credential = parseCredential(line);
  const { controlEndpoint: endpoint } = tor;
  if (!credential || endpoint === undefined) throw new Error('no key, or no control port');
  const client = await connectControl({ endpoint, signal: new AbortController().signal });
  try {
    return await addCredential(client, credential);
  } finally {
    client.close();
  }
}

/** Without ExtendedErrors Tor says 1 (general failure) for a missing and for a wrong key. */
const SHUT_OUT = /SOCKS reply 1\)|authorised clients/;

t.test('a private directory: two makers, one revoked; strangers', async (t) => {
  const network = await startPrivateTorNetwork();
  t.teardown(() => network.close());
  const [makers, strangers, clients] = await Promise.all([
    network.startTor({ controlPort: true }),
    network.startTor(),
    network.startTor({ controlPort: true }),
  ]);
  const torrc = join(await tempDir(t), 'extra.torrc');
  await writeFile(torrc, `${network.torrcLines.join('\n')}\n`);
  const env = { ONIONMC_TORRC_EXTRA: torrc };
  const datadir = await datadirWith(t, { mode: 'managed', extra: '[ADMISSION]\nprivate = true' });

  const early = await runCli(['directory', '--datadir', datadir], { env });
  t.equal(early.code, 2, 'without a Tor client it does not start');
  t.equal(early.stdout, '', 'and shows no address');
  t.match(early.stderr, /no Tor client has a key.*onionmc admission tor-client add NAME/);

  const first = await admission(datadir, 'code', 'add', '--name', 'first');
  const second = await admission(datadir, 'code', 'add', '--name', 'second');
  const alice = String((await admission(datadir, 'tor-client', 'add', 'alice'))['credential']);
  const bob = String((await admission(datadir, 'tor-client', 'add', 'bob'))['credential']);

  const directory = startCli(['directory', '--datadir', datadir], { env });
  const [, address = ''] = await directory.shows('stdout', /^([a-z2-7]{56}\.onion:5222)\n/);
  await directory.shows('stderr', /onion service reachable/);

  t.match(await reaches(strangers, address), SHUT_OUT, 'a Tor without a key is shut out');
  t.match(String(await giveKey(clients, alice)), /25[012]/);
  t.equal(await reaches(clients, address), true, 'a Tor with a key connects');

  async function maker(code: string, key: string) {
    const own = await datadirWith(t, {
      mode: 'control',
      tor: makers,
      nodes: address,
      extra: `[ADMISSION]\ndirectory_codes = ${address}=${code}`,
    });
    await withInput(['tor-client', 'use', 'theirs', '--datadir', own], key);
    return startCli(['maker', '--datadir', own]);
  }
  const one = await maker(String(first['code']), alice);
  const two = await maker(String(second['code']), bob);
  await Promise.all([one.shows('stderr', /directory up/), two.shows('stderr', /directory up/)]);

  const without = await datadirWith(t, { mode: 'control', tor: clients, nodes: address });
  const refused = startCli(['taker', '--datadir', without]);
  await refused.shows('stderr', /refused us: Rejected: this directory is private: it serves only/);
  refused.child.kill('SIGTERM');
  t.equal((await refused.ended).code, 0);

  const listed = JSON.parse((await runCli(['list', '--json', '--datadir', datadir])).stdout);
  t.equal(listed.total, 2, 'the two makers');

  await admission(datadir, 'code', 'revoke', String(first['id']));
  await one.shows('stderr', /directory lost/);
  await one.shows(
    'stderr',
    /refused us: Rejected: this directory is private: the code was revoked/,
  );
  const left = JSON.parse((await runCli(['list', '--json', '--datadir', datadir])).stdout);
  t.equal(left.total, 1, 'the other maker stays');
  const audit = await readFile(join(datadir, 'admission', 'audit.log'), 'utf8');
  t.match(audit, /"verdict":"REJECT","reason":"revoked"/);
  t.notMatch(audit, String(first['code']), 'the log has no code');

  await t.test('a revoked Tor client does not find the onion any more', async (t) => {
    const before = directory.shows(
      'stderr',
      /onion service re-created[\s\S]*onion service reachable/,
    );
    const revoked = await admission(datadir, 'tor-client', 'revoke', 'alice');
    t.match(revoked, { revoked: 'alice', open: /open connections of this client stay/ });
    await before;
    const late = await network.startTor({ controlPort: true });
    await giveKey(late, alice);
    t.match(await reaches(late, address), SHUT_OUT);
    await giveKey(late, bob);
    t.equal(await reaches(late, address), true, 'another client does');
  });

  for (const cli of [one, two, directory]) {
    cli.child.kill('SIGTERM');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    t.equal((await cli.ended).code, 0);
  }

  await t.test('tor_mode = control', async (t) => {
    const tor = await network.startTor({ controlPort: true });
    const own = await datadirWith(t, {
      mode: 'control',
      tor,
      extra: '[ADMISSION]\nprivate = true',
    });
    const none = await runCli(['directory', '--datadir', own]);
    t.equal(none.code, 2);
    const key = String((await admission(own, 'tor-client', 'add', 'carol'))['credential']);
    const served = startCli(['directory', '--datadir', own]);
    const [, at = ''] = await served.shows('stdout', /^([a-z2-7]{56}\.onion:5222)\n/);
    await served.shows('stderr', /onion service reachable/);
    const fresh = await network.startTor({ controlPort: true });
    t.match(await reaches(fresh, at), SHUT_OUT);
    t.match(String(await giveKey(fresh, key)), /25[012]/);
    t.equal(await reaches(fresh, at), true);
    served.child.kill('SIGTERM');
    t.equal((await served.ended).code, 0);
  });

  await t.test('tor_mode = external', async (t) => {
    const folder = join(await tempDir(t), 'hs');
    const port = await freePort();
    const tor = await network.startTor({
      controlPort: true,
      extraTorrc: [`HiddenServiceDir ${folder}`, `HiddenServicePort 5222 127.0.0.1:${port}`],
    });
    const own = await datadirWith(t, {
      mode: 'external',
      tor,
      port,
      onion: `hidden_service_dir = ${folder}`,
      extra: '[ADMISSION]\nprivate = true',
    });
    const none = await runCli(['directory', '--datadir', own]);
    t.equal(none.code, 2);
    t.match(none.stderr, /no Tor client has a key/);
    const added = await admission(own, 'tor-client', 'add', 'dave');
    t.match(added, { written: true, effect: /reload Tor/ });
    const endpoint = tor.controlEndpoint;
    if (endpoint === undefined) throw new Error('no control port');
    const control = await connectControl({ endpoint, signal: new AbortController().signal });
    // A client that still gets a descriptor of before the reload is not asked for a key.
    const published = await publishedAgain(control);
    await control.command('SIGNAL RELOAD');
    await published.done;
    // The operator's own Tor needs a key for the self-test.
    await giveKey(tor, String(added['credential']));
    const served = startCli(['directory', '--datadir', own]);
    const [, at = ''] = await served.shows('stdout', /^([a-z2-7]{56}\.onion:5222)\n/);
    await served.shows('stderr', /onion service reachable/);
    control.close();
    const fresh = await network.startTor({ controlPort: true });
    t.match(await reaches(fresh, at), SHUT_OUT);
    await giveKey(fresh, String(added['credential']));
    t.equal(await reaches(fresh, at), true);
    served.child.kill('SIGTERM');
    t.equal((await served.ended).code, 0);
  });
});
