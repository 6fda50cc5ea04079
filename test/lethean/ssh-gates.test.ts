/** SSH gates: a real sshd and the system's ssh. Host key, authority, credentials, faults, TLS around it, no leftovers. */
import { execFile } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { freePorts } from '../../src/lab/private-network/free-ports.js';
import type { SessionSsh } from '../../src/lethean/model.js';
import type { Tunnel } from '../../src/lethean/ports.js';
import { sshArguments, sshFault } from '../../src/lethean/transport/ssh-arguments.js';
import { knownHosts, opensshKey } from '../../src/lethean/transport/ssh-identity.js';
import {
  SshTransport,
  type SshTransportOptions,
} from '../../src/lethean/transport/ssh-transport.js';
import { makeAuthority } from '../helpers/certificates.js';
import { startHaproxy } from '../helpers/haproxy.js';
import { echoed, faultOf, startEcho, tunnelTarget } from '../helpers/lethean-exit.js';
import { certify, makeKey, sshProgram, startSshd } from '../helpers/sshd.js';

t.setTimeout(120_000);

const run = promisify(execFile);
const { signal } = new AbortController();
const program = sshProgram('ssh');

async function folderFor(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-ssh-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const publicKey = async (path: string): Promise<string> =>
  (await readFile(`${path}.pub`, 'utf8')).split(' ').slice(0, 2).join(' ').trim();

async function sessionKey(path: string, certificate?: string): Promise<SessionSsh> {
  return {
    key: await readFile(path, 'utf8'),
    certificate: certificate === undefined ? '' : await readFile(certificate, 'utf8'),
    reversePort: undefined,
  };
}

/** Folders and ssh processes of this test process. */
async function leftovers(): Promise<readonly string[]> {
  const mine = `-${process.pid}-`;
  const names = await readdir(tmpdir());
  const folders = names.filter(
    (name) => name.startsWith('onionmc-lethean-') && name.includes(mine),
  );
  const { stdout } = await run('ps', ['-eo', 'ppid=,stat=,args=']);
  const children = stdout
    .split('\n')
    .filter((line) => line.trim().startsWith(`${process.pid} `) && line.includes('ProxyCommand=-'));
  return [...folders, ...children];
}

t.test('keys in the form of OpenSSH, as ssh-keygen writes them', async (t) => {
  const folder = await folderFor(t);
  for (const type of ['rsa', 'ecdsa']) {
    const path = await makeKey(folder, type, type);
    const args = ['-e', '-m', 'PKCS8', '-f', `${path}.pub`];
    const { stdout } = await run(sshProgram('ssh-keygen'), args);
    t.equal(opensshKey(createPublicKey(stdout)), await publicKey(path), type);
  }
  const ed25519 = await publicKey(await makeKey(folder, 'ed25519'));
  const x = Buffer.from(ed25519.split(' ')[1] ?? '', 'base64')
    .subarray(-32)
    .toString('base64url');
  const jwk = { kty: 'OKP', crv: 'Ed25519', x };
  t.equal(opensshKey(createPublicKey({ key: jwk, format: 'jwk' })), ed25519);
  t.equal(opensshKey(generateKeyPairSync('x25519').publicKey), undefined);
  t.throws(
    () => knownHosts(['no certificate'], ['ssh-dss AAAA'], 'a.test', 22),
    /cannot be recognised/,
  );
});

t.test('arguments and last words', (t) => {
  const files = { knownHosts: '/f/kh', key: '/f/key', certificate: undefined, socket: '/f/socks' };
  const alive = { seconds: 15, count: 3 };
  for (const place of [
    { host: '-oProxyCommand=x', port: 22, user: 'a' },
    { host: 'a b', port: 22, user: 'a' },
    { host: '*.test', port: 22, user: 'a' },
    { host: 'a.test', port: 22, user: '-l' },
    { host: 'a.test', port: 22, user: 'a;b' },
  ]) {
    t.throws(() => sshArguments(place, files, alive), /does not accept/, JSON.stringify(place));
  }
  for (const [words, fault] of [
    ['Host key verification failed.\r\n', 'identity'],
    ['tunnel@a: Permission denied (publickey).', 'credentials'],
    ['Load key "/f/key": error in libcrypto', 'credentials'],
    ['command-line: line 0: Bad configuration option: x', 'program'],
    ['Connection closed by UNKNOWN port 65535', 'unreachable'],
    ['', 'unreachable'],
  ] as const) {
    t.equal(sshFault(words, 'code 255').fault, fault, words);
  }
  t.notOk(sshFault('\u001b[2J evil', 'code 1').message.includes('\u001b'));
  t.end();
});

t.test('a real sshd', async (t) => {
  const folder = await folderFor(t);
  const [authority, other] = await Promise.all([
    makeAuthority(folder, 'ca'),
    makeAuthority(folder, 'other'),
  ]);
  // OpenSSH signs with the same key as the X.509 authority.
  const signer = join(folder, 'ca.key');
  const [hostKey, userKey, stranger, userAuthority] = await Promise.all([
    makeKey(folder, 'host'),
    makeKey(folder, 'user'),
    makeKey(folder, 'stranger'),
    makeKey(folder, 'users'),
  ]);
  await run('cp', [signer, join(folder, 'signer')]);
  await run('sh', [
    '-c',
    `chmod 600 "$1" && "$2" -y -f "$1" > "$1.pub"`,
    'sh',
    join(folder, 'signer'),
    sshProgram('ssh-keygen'),
  ]);
  const hostCertificate = await certify(
    join(folder, 'signer'),
    hostKey,
    '-h',
    '-n',
    '127.0.0.1,localhost',
  );
  const [port = 0] = await freePorts(1);
  const sshd = await startSshd(t, port, hostKey, [
    `HostCertificate ${hostCertificate}`,
    `TrustedUserCAKeys ${userAuthority}.pub`,
    'AuthorizedKeysFile none',
  ]);
  const echo = await startEcho(t);
  const userCertificate = await certify(userAuthority, userKey, '-n', sshd.user);
  const good = await sessionKey(userKey, userCertificate);
  const ca = [authority.pem];
  const pinned = await publicKey(hostKey);
  /** Of the subtest that runs. */
  const tunnels = new Set<Tunnel>();
  const kept = async (opening: Promise<Tunnel>): Promise<Tunnel> => {
    const tunnel = await opening;
    tunnels.add(tunnel);
    return tunnel;
  };
  // A subtest that fails leaves its tunnels: the process would not end, and the next ones would find its ssh.
  t.afterEach(async () => {
    await Promise.all([...tunnels].map((tunnel) => tunnel.close()));
    tunnels.clear();
  });
  const open = (
    ssh: SessionSsh | undefined,
    authorities: readonly string[],
    options: SshTransportOptions = {},
    at: { readonly host?: string; readonly port?: number } = {},
  ) =>
    kept(
      new SshTransport({ program, ...options }).open(
        tunnelTarget('ssh', { port, ...at }, { ssh }, { ca: authorities, username: sshd.user }),
        signal,
      ),
    );

  await t.test(
    'the authority of the provider signs the host key; a certificate opens it',
    async (t) => {
      const tunnel = await open(good, ca);
      const payload = Buffer.alloc(200_000, 'ssh');
      const stream = await tunnel.connect('localhost', echo, signal);
      t.ok((await echoed(stream, payload)).equals(payload));
      t.same(tunnel.bytes(), { sent: payload.length, received: payload.length });
      const open2 = await tunnel.connect('localhost', echo, signal);
      open2.resume();
      await tunnel.close();
      t.same(await tunnel.ended, { kind: 'closed' });
      t.ok(open2.destroyed);
      t.same(await leftovers(), []);
    },
  );

  const wrongPin = await publicKey(stranger);
  const noCertificate = await sessionKey(userKey);
  const wrongKey = await sessionKey(stranger, userCertificate);
  for (const [name, ssh, authorities, options, expected] of [
    ['another authority', good, [other.pem], {}, 'identity'],
    ['a wrong pinned key', good, [], { hostKeys: () => [wrongPin] }, 'identity'],
    ['neither an authority nor a pinned key', good, [], {}, 'unsupported'],
    ['no key of the session', undefined, ca, {}, 'unsupported'],
    ['a key without its certificate', noCertificate, ca, {}, 'credentials'],
    ['a key that the certificate is not for', wrongKey, ca, {}, 'credentials'],
    ['a key that is not one', { ...good, key: 'nonsense' }, ca, {}, 'credentials'],
    ['no program', good, ca, { program: '/nowhere/ssh' }, 'program'],
  ] as const) {
    await t.test(`${name}: no tunnel, nothing left`, async (t) => {
      t.equal(await open(ssh, authorities, options).catch(faultOf), expected);
      t.same(await leftovers(), []);
    });
  }

  await t.test('a pinned host key is enough', async (t) => {
    const tunnel = await open(good, [], { hostKeys: () => [pinned] });
    const stream = await tunnel.connect('127.0.0.1', echo, signal);
    t.equal((await echoed(stream, Buffer.from('pinned'))).toString(), 'pinned');
    await tunnel.close();
  });

  await t.test('inside TLS 1.3 (tls-ssh)', async (t) => {
    const pem = await authority.server('tls', 'IP:127.0.0.1');
    const [tlsPort = 0] = await freePorts(1);
    await startHaproxy(
      t,
      tlsPort,
      `defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen ssh
  bind 127.0.0.1:${tlsPort} ssl crt ${pem} ssl-min-ver TLSv1.3
  server ssh 127.0.0.1:${port}
`,
    );
    const target = (authorities: readonly string[]) =>
      tunnelTarget(
        'tls-ssh',
        { port: tlsPort, tls: true },
        { ssh: good },
        { ca: authorities, username: sshd.user },
      );
    const transport = new SshTransport({ program, hostKeys: () => [pinned] });
    const tunnel = await kept(transport.open(target(ca), signal));
    const stream = await tunnel.connect('127.0.0.1', echo, signal);
    t.equal((await echoed(stream, Buffer.from('in TLS'))).toString(), 'in TLS');
    await tunnel.close();
    t.equal(await kept(transport.open(target([other.pem]), signal)).catch(faultOf), 'identity');
    t.same(await leftovers(), []);
  });

  await t.test('a cancelled start, and a gate that never answers', async (t) => {
    const silent = createServer((socket) => socket.on('error', () => {}));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    t.teardown(() => void silent.close());
    const address = silent.address();
    const at = { port: address !== null && typeof address === 'object' ? address.port : 0 };
    t.equal(await open(good, ca, { timeoutMs: 500 }, at).catch(faultOf), 'timeout');
    const controller = new AbortController();
    const target = tunnelTarget('ssh', at, { ssh: good }, { ca });
    const connected = once(silent, 'connection');
    const opening = kept(new SshTransport({ program }).open(target, controller.signal)).catch(
      faultOf,
    );
    // The test ends too when it never connects.
    const [socket] = await Promise.race([connected, opening.then((end) => [end])]);
    t.notOk(typeof socket === 'string', 'it connects');
    controller.abort();
    t.equal(await opening, 'aborted');
    t.same(await leftovers(), []);
  });

  await t.test('a half-open connection ends after missing signs of life', async (t) => {
    const tunnel = await open(good, ca, { aliveSeconds: 1 });
    // After the login sshd still starts the process that answers for the session.
    const stream = await tunnel.connect('127.0.0.1', echo, signal);
    t.equal((await echoed(stream, Buffer.from('alive'))).toString(), 'alive');
    t.teardown(() => sshd.signalAll('SIGCONT'));
    sshd.signalAll('SIGSTOP');
    t.match(await tunnel.ended, { kind: 'lost', reason: /did not answer/ });
    t.same(await leftovers(), []);
  });

  await t.test(
    'the ssh process is killed, then the server: the tunnel is lost at once',
    async (t) => {
      const first = await open(good, ca);
      const { stdout } = await run('ps', ['-eo', 'pid=,ppid=,args=']);
      const line = stdout
        .split('\n')
        .find((text) => text.includes(` ${process.pid} `) && text.includes('ProxyCommand=-'));
      process.kill(Number(line?.trim().split(' ')[0]), 'SIGKILL');
      t.match(await first.ended, { kind: 'lost', reason: /SIGKILL/ });

      const second = await open(good, ca);
      const stream = await second.connect('localhost', echo, signal);
      const closed = once(stream.resume(), 'close');
      sshd.signalAll('SIGKILL');
      t.match(await second.ended, { kind: 'lost' });
      await closed;
      t.equal(await second.connect('localhost', echo, signal).catch(faultOf), 'ended');
      t.same(await leftovers(), []);
    },
  );
});
