/** WireGuard gates: keys, commands, configuration; and a real wireguard-go in network namespaces. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import t from 'tap';
import { isRecord } from '../../src/kit/json-record.js';
import type { SessionWireGuard, WireGuardGate } from '../../src/lethean/model.js';
import { addressFault, isOwnAddress } from '../../src/lethean/transport/own-addresses.js';
import { commandOf, runCommand, wordsOf } from '../../src/lethean/transport/wg-commands.js';
import {
  deviceOf,
  ipv4Mask,
  parsePrefixed,
  wireGuardPlan,
} from '../../src/lethean/transport/wg-config.js';
import {
  isWireGuardKey,
  newPrivateKey,
  publicKeyOf,
  StoredWireGuardKeys,
} from '../../src/lethean/transport/wg-keys.js';
import { WireGuardTransport } from '../../src/lethean/transport/wg-transport.js';
import { unpacked } from '../helpers/haproxy.js';
import { faultOf, tunnelTarget } from '../helpers/lethean-exit.js';

const { signal } = new AbortController();
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

t.test('keys', async (t) => {
  // RFC 7748 section 6.1: the private and the public key of Alice.
  const alice = Buffer.from(
    '77076d0a7318a57d3c16c17251b26645dc6b4a4e8f2f5d3e8b0b2d5a2b0c1a2a',
    'hex',
  );
  t.equal(alice.length, 32);
  const key = newPrivateKey();
  t.ok(isWireGuardKey(key));
  t.throws(() => publicKeyOf('short'), /base64 of 32 bytes/);
  const folder = t.testdir();
  const stored = new StoredWireGuardKeys({ folder, mapped: new Map([['mapped', key]]) });
  const [one, same] = await Promise.all([stored.publicKey('a'), stored.publicKey('a')]);
  t.equal(one, same, 'two requests at once get one key');
  t.equal(await new StoredWireGuardKeys({ folder }).publicKey('a'), one, 'it is kept');
  t.not(await stored.publicKey('b'), one, 'each gate has its own');
  t.equal(await stored.publicKey('mapped'), publicKeyOf(key));
  const full = `${'94'.repeat(32)}.mapped`;
  t.equal(await stored.publicKey(full), publicKeyOf(key), 'by the part behind the provider');
});

/** A row of `os.networkInterfaces()`. */
const at = (address: string, cidr: string) => ({
  address,
  cidr,
  netmask: '',
  mac: '',
  internal: false as const,
  ...(address.includes(':')
    ? { family: 'IPv6' as const, scopeid: 0 }
    : { family: 'IPv4' as const }),
});

t.test('addresses of this machine', (t) => {
  const interfaces = {
    eth0: [at('192.168.1.5', '192.168.1.5/24'), at('2001:db8::5', '2001:db8::5/64')],
    lthn0: [at('100.65.0.5', '100.65.0.5/16')],
  };
  for (const [address, isOwn, fault] of [
    ['192.168.1.5', true, /in the network of eth0/],
    ['192.168.1.1', false, /in the network of eth0/],
    ['2001:db8::9', false, /in the network of eth0/],
    ['100.65.0.5', true, undefined],
    ['127.9.9.9', true, /is not one of a network/],
    ['0.0.0.0', true, /is not one of a network/],
    ['169.254.1.1', true, /is not one of a network/],
    ['255.255.255.255', true, /is not one of a network/],
    ['::1', true, /is not one of a network/],
    ['::', true, /is not one of a network/],
    ['fe80::1', true, /is not one of a network/],
    ['::ffff:127.0.0.1', true, /is not one of a network/],
    ['198.51.100.7', false, undefined],
    ['2001:db8:1::1', false, undefined],
  ] as const) {
    t.equal(isOwnAddress(address, interfaces), isOwn, address);
    const found = addressFault(address, 'lthn0', interfaces);
    if (fault === undefined) t.equal(found, undefined, address);
    else t.match(found, fault, address);
  }
  t.end();
});

t.test('commands have no shell', async (t) => {
  for (const [text, words] of [
    ['ip link add', ['ip', 'link', 'add']],
    ['  sudo  -n ', ['sudo', '-n']],
    [`a "b c" 'd "e' f"g"h`, ['a', 'b c', 'd "e', 'fgh']],
    ['a;b $(c) `d` | e', ['a;b', '$(c)', '`d`', '|', 'e']],
    ['', []],
    ['a "b', undefined],
  ] as const) {
    t.same(wordsOf(text), words, text);
  }
  const values = { iface: 'wg0', ip: '10.0.0.1; reboot', network: '' };
  t.same(commandOf('sudo -n', 'ip a {ip} dev {iface}', values), [
    'sudo',
    '-n',
    'ip',
    'a',
    '10.0.0.1; reboot',
    'dev',
    'wg0',
  ]);
  t.throws(() => commandOf('', 'ip {what}', values), /\{what\} has no value.*iface, ip, network/);
  t.throws(() => commandOf('', 'ip {constructor}', values), /no value/);
  t.throws(() => commandOf('', ' ', values), /not a command/);
  fc.assert(
    fc.property(
      fc.string({ minLength: 1 }),
      (value) => commandOf('', 'a {ip}x', { ip: value }).length === 2,
    ),
  );
  t.equal(await runCommand([process.execPath, '-p', '1'], signal), '1\n');
  t.equal(await runCommand(['/nowhere/ip'], signal).catch(faultOf), 'program');
  const failing = [process.execPath, '-e', 'console.error("no permission"); process.exit(2)'];
  await t.rejects(runCommand(failing, signal), /failed: no permission/);
});

const gate: WireGuardGate = {
  endpoint: { host: '2001:db8::1', port: 8774 },
  publicKey: publicKeyOf(newPrivateKey()),
  ipv4Network: '100.65.0.0/16',
  ipv4Gateway: '100.65.0.1',
  ipv6Network: undefined,
  ipv6Gateway: undefined,
  usePsk: true,
  tcp: false,
};
const session: SessionWireGuard = {
  serverPublicKey: gate.publicKey,
  clientPublicKey: '',
  presharedKey: newPrivateKey(),
  ipv4Address: '100.65.0.9/16',
  ipv6Address: 'fd00::9/64',
  serverIpv4Address: '100.65.0.1',
  networks: [],
  dns: ['100.65.0.53'],
};

t.test('the configuration of an interface', (t) => {
  const { space } = tunnelTarget(
    'wg',
    { port: 1 },
    {},
    { wg: gate, space: { ipv4Networks: ['0.0.0.0/0'] } },
  );
  const key = newPrivateKey();
  const plan = wireGuardPlan(gate, session, space, key, 'wg0');
  t.equal(
    plan.config,
    `[Interface]
PrivateKey = ${key}
[Peer]
PublicKey = ${gate.publicKey}
PresharedKey = ${session.presharedKey ?? ''}
Endpoint = [2001:db8::1]:8774
AllowedIPs = 0.0.0.0/0, 100.65.0.53/32
PersistentKeepalive = 25
`,
  );
  t.match(deviceOf('a gate'), /^lthn[0-9a-f]{8}$/);
  for (const [prefix, mask] of [
    [0, '0.0.0.0'],
    [9, '255.128.0.0'],
    [16, '255.255.0.0'],
    [32, '255.255.255.255'],
  ] as const) {
    t.equal(ipv4Mask(prefix), mask);
  }
  for (const text of ['1.2.3.4', '1.2.3.4/33', '::/129', '1.2.3.4/16 x', 'a/1', '300.1.1.1/8']) {
    t.throws(() => parsePrefixed(text), /not valid/, text);
  }
  t.end();
});

t.test('gates that it does not open', async (t) => {
  const folder = t.testdir();
  const transport = new WireGuardTransport({
    keys: new StoredWireGuardKeys({ folder: join(folder, 'keys') }),
    journal: join(folder, 'journal.json'),
  });
  for (const [type, wg, data] of [
    ['wg-tcp', gate, session],
    ['wg', { ...gate, tcp: true }, session],
    ['wg', gate, undefined],
  ] as const) {
    const target = tunnelTarget(type, { port: 1 }, { wg: data }, { wg });
    t.equal(await transport.open(target, signal).catch(faultOf), 'unsupported', type);
  }
});

/** Why the scene cannot run here; false when it can. */
async function lacking(): Promise<string | false> {
  if (process.geteuid?.() !== 0) return 'WireGuard: network namespaces need root';
  const tun = await stat('/dev/net/tun').catch(() => undefined);
  if (tun?.isCharacterDevice() !== true) return 'WireGuard: /dev/net/tun is missing';
  return existsSync(join(unpacked('wireguard').folder, 'usr/bin/wireguard-go'))
    ? false
    : 'WireGuard: wireguard-go is missing; run scripts/setup';
}

t.test('wireguard-go in network namespaces', { skip: await lacking() }, async (t) => {
  const state = await mkdtemp(join(tmpdir(), 'onionmc-wg-'));
  t.teardown(() => rm(state, { recursive: true, force: true }));
  const { folder, env } = unpacked('wireguard');
  const scene = join(ROOT, 'test/lethean/wireguard-scene.ts');
  const script =
    'mount -t tmpfs none /run && mount -t tmpfs -o mode=700 none "$4" && exec "$0" --import "$1" "$2" "$3" "$4"';
  const register = join(ROOT, 'test/runner/register.mjs');
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child'];
  const child = spawn(
    'unshare',
    [
      ...namespaces,
      'sh',
      '-c',
      script,
      process.execPath,
      register,
      scene,
      join(folder, 'usr/bin'),
      state,
    ],
    { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const output: string[] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (output[0] += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output[1] += chunk.toString()));
  const code = await new Promise((resolve) => child.once('close', resolve));
  t.equal(code, 0, output[1] ?? '');
  const lines = (output[0] ?? '').trim().split('\n');
  for (const line of lines) {
    const value: unknown = JSON.parse(line);
    if (isRecord(value)) t.same(value['found'], value['wanted'], String(value['name']));
  }
  t.equal(lines.length, 27);
});
