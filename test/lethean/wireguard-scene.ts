/**
 * The client's side of test/lethean/wireguard.test.ts, in namespaces of its own (network, mounts, processes): a real
 * wireguard-go on both ends of a veth pair. Writes a JSON line for each thing that it has seen.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SessionWireGuard, WireGuardGate } from '../../src/lethean/model.js';
import type { Tunnel } from '../../src/lethean/ports.js';
import { connectTcp } from '../../src/lethean/transport/dial.js';
import {
  newPrivateKey,
  publicKeyOf,
  StoredWireGuardKeys,
} from '../../src/lethean/transport/wg-keys.js';
import { WireGuardTransport } from '../../src/lethean/transport/wg-transport.js';
import { echoed, faultOf, tunnelTarget } from '../helpers/lethean-exit.js';

const run = promisify(execFile);
const { signal } = new AbortController();
const PROGRAMS = process.argv[2] ?? '';
const WG = join(PROGRAMS, 'wg');
const WIREGUARD_GO = join(PROGRAMS, 'wireguard-go');
const DEVICE = 'lthn0';
const SERVER = '100.65.0.1';
const CLIENT = '100.65.0.9';
const SERVER6 = 'fd00:65::1';
const CLIENT6 = 'fd00:65::9';
const OUTSIDE = '192.0.2.1';
const PORT = 7_007;

function saw(name: string, found: unknown, wanted: unknown): void {
  process.stdout.write(`${JSON.stringify({ name, found, wanted })}\n`);
}

/** In the namespace of the gate: an echo on every address, and a resolver that knows one name. */
const GATE_PROGRAM = `
const net = require('node:net');
const dgram = require('node:dgram');
net.createServer({ allowHalfOpen: true }, (s) => { s.on('error', () => {}); s.pipe(s); }).listen(${PORT}, '::');
const dns = dgram.createSocket('udp4');
dns.on('message', (question, from) => {
  const known = question.includes('exit-only');
  const head = Buffer.from(question.subarray(0, 12));
  head.writeUInt16BE(known ? 0x8180 : 0x8183, 2);
  head.writeUInt16BE(known ? 1 : 0, 6);
  head.writeUInt16BE(0, 10);
  const end = question.indexOf(0, 12) + 5;
  const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 100, 65, 0, 1]);
  dns.send(Buffer.concat([head, question.subarray(12, end), ...(known ? [answer] : [])]), from.port, from.address);
});
dns.bind(53, '${SERVER}', () => console.log('ready'));
`;

async function startGate(serverKey: string, clientPublic: string): Promise<void> {
  const holder = spawn('unshare', ['-n', 'sleep', 'infinity'], { stdio: 'ignore' });
  const pid = String(holder.pid);
  while (readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync('/proc/self/ns/net')) {
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  const inside = (...command: readonly string[]) => run('nsenter', ['-t', pid, '-n', ...command]);
  await run('ip', ['link', 'set', 'lo', 'up']);
  await run('ip', ['link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1', 'netns', pid]);
  await run('ip', ['address', 'add', '10.9.0.2/24', 'dev', 'v0']);
  await run('ip', ['link', 'set', 'v0', 'up']);
  await inside('ip', 'link', 'set', 'lo', 'up');
  await inside('ip', 'address', 'add', '10.9.0.1/24', 'dev', 'v1');
  await inside('ip', 'address', 'add', `${OUTSIDE}/32`, 'dev', 'v1');
  await inside('ip', 'link', 'set', 'v1', 'up');
  await run('ip', ['route', 'add', 'default', 'via', '10.9.0.1']);
  await inside(WIREGUARD_GO, 'wgs');
  const file = join(await mkdtemp(join(tmpdir(), 'gate-')), 'wg.conf');
  await writeFile(
    file,
    `[Interface]\nPrivateKey = ${serverKey}\nListenPort = 8774\n[Peer]\nPublicKey = ${clientPublic}\nAllowedIPs = ${CLIENT}/32, ${CLIENT6}/128\n`,
  );
  await inside(WG, 'setconf', 'wgs', file);
  await inside('ip', 'address', 'add', `${SERVER}/16`, 'dev', 'wgs');
  await inside('ip', 'address', 'add', `${SERVER6}/64`, 'dev', 'wgs');
  await inside('ip', 'link', 'set', 'wgs', 'up');
  const gate = spawn('nsenter', ['-t', pid, '-n', process.execPath, '-e', GATE_PROGRAM], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(gate.stdout, 'data');
}

/** What `ip` prints; nothing for a table that does not exist. */
async function outputs(...commands: readonly (readonly string[])[]): Promise<string> {
  const all = await Promise.all(
    commands.map((args) => run('ip', [...args]).catch(() => ({ stdout: '' }))),
  );
  return all.map(({ stdout }) => stdout).join('');
}

/** What a tunnel may leave: interface, rules, routes, processes, files. */
async function left(): Promise<unknown> {
  const [links, rules, routes, processes, names] = await Promise.all([
    run('ip', ['-o', 'link']),
    outputs(['-4', 'rule'], ['-6', 'rule']),
    outputs(['-4', 'route', 'show', 'table', '51888'], ['-6', 'route', 'show', 'table', '51888']),
    run('ps', ['-eo', 'args=']),
    readdir(tmpdir()),
  ]);
  return {
    link: links.stdout.includes(DEVICE),
    rule: rules.includes('51888'),
    routes,
    process: processes.stdout.includes(`wireguard-go ${DEVICE}`),
    files: names.filter((name) => name.startsWith('onionmc-lethean-')),
  };
}

const NOTHING = { link: false, rule: false, routes: '', process: false, files: [] };

const [, , , state = '', mode] = process.argv;
const keys = new StoredWireGuardKeys({ folder: join(state, 'keys') });

async function gateIdKey(): Promise<string> {
  return keys.publicKey(tunnelTarget('wg', { port: 1 }, {}, { wg: gateOf('') }).gate.gateId);
}

function gateOf(publicKey: string): WireGuardGate {
  return {
    endpoint: { host: '10.9.0.1', port: 8774 },
    publicKey,
    ipv4Network: '100.65.0.0/16',
    ipv4Gateway: SERVER,
    ipv6Network: 'fd00:65::/64',
    ipv6Gateway: SERVER6,
    usePsk: false,
    tcp: false,
  };
}

function transport(timeoutMs = 15_000): WireGuardTransport {
  const { gateId } = tunnelTarget('wg', { port: 1 }, {}, { wg: gateOf('') }).gate;
  return new WireGuardTransport({
    keys,
    journal: join(state, 'journal.json'),
    wg: WG,
    commands: { createInterface: `${WIREGUARD_GO} {iface}` },
    devices: new Map([[gateId, DEVICE]]),
    timeoutMs,
  });
}

async function open(
  serverPublic: string,
  other: Partial<SessionWireGuard> = {},
  timeoutMs?: number,
): Promise<Tunnel> {
  const wg: SessionWireGuard = {
    serverPublicKey: serverPublic,
    clientPublicKey: await gateIdKey(),
    presharedKey: undefined,
    ipv4Address: `${CLIENT}/16`,
    ipv6Address: `${CLIENT6}/64`,
    serverIpv4Address: SERVER,
    networks: ['100.65.0.0/16', 'fd00:65::/64'],
    dns: [SERVER],
    ...other,
  };
  const target = tunnelTarget('wg', { port: 1 }, { wg }, { wg: gateOf(serverPublic) });
  return transport(timeoutMs).open(target, signal);
}

async function main(): Promise<void> {
  const keyFile = join(state, 'server-public');
  if (mode === 'hang') {
    await open(await readFile(keyFile, 'utf8'));
    process.stdout.write('stands\n');
    await new Promise(() => setInterval(() => {}, 1_000));
  }
  const serverKey = newPrivateKey();
  const serverPublic = publicKeyOf(serverKey);
  await writeFile(keyFile, serverPublic);
  await startGate(serverKey, await gateIdKey());

  const tunnel = await open(serverPublic);
  const stream = await tunnel.connect(SERVER, PORT, signal);
  const payload = Buffer.alloc(200_000, 'wg');
  saw('bytes come back through the tunnel', (await echoed(stream, payload)).equals(payload), true);
  saw('they are counted', tunnel.bytes(), { sent: payload.length, received: payload.length });
  const six = await tunnel.connect(SERVER6, PORT, signal);
  saw('also by IPv6', (await echoed(six, Buffer.from('six'))).toString(), 'six');
  const named = await tunnel.connect('exit-only.test', PORT, signal);
  saw('a name of the tunnel', (await echoed(named, Buffer.from('name'))).toString(), 'name');
  const unknown = await tunnel.connect('unknown.test', PORT, signal).catch(faultOf);
  saw('a name that its resolver does not know', unknown, 'destination');
  const direct = await connectTcp({ host: OUTSIDE, port: PORT }, signal);
  saw(
    'a host outside is reached without the tunnel',
    (await echoed(direct, Buffer.from('d'))).toString(),
    'd',
  );
  const outside = await tunnel.connect(OUTSIDE, PORT, signal).catch(faultOf);
  saw('but not by a connection of the tunnel', outside, 'unreachable');
  for (const own of ['127.0.0.1', '10.9.0.2', CLIENT, '::1']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const found = await tunnel.connect(own, PORT, signal).catch(faultOf);
    saw(`no connection of the tunnel ends at this machine: ${own}`, found, 'destination');
  }
  const main4 = await run('ip', ['route', 'show', 'table', 'main']);
  saw('the usual routes of this machine are as before', main4.stdout.includes(DEVICE), false);
  const { stdout } = await run(WG, ['show', DEVICE, 'private-key']);
  saw('the key is that of the files', publicKeyOf(stdout.trim()), await gateIdKey());
  const still = await tunnel.connect(SERVER, PORT, signal);
  const closed = once(still.resume(), 'close');
  await tunnel.close();
  await closed;
  saw('closed: its end', await tunnel.ended, { kind: 'closed' });
  saw('closed: nothing is left', await left(), NOTHING);

  const wrong = await open(publicKeyOf(newPrivateKey()), {}, 2_000).catch(faultOf);
  saw('a gate with another key makes no handshake', wrong, 'timeout');
  saw('no handshake: nothing is left', await left(), NOTHING);
  const swapped = await open(serverPublic, { serverPublicKey: publicKeyOf(newPrivateKey()) }).catch(
    faultOf,
  );
  saw('a session with another key than its gate', swapped, 'identity');
  const strange = await open(serverPublic, { ipv4Address: '1.2.3.4/16; rm' }).catch(faultOf);
  saw('an address that is not one', strange, 'protocol');
  const taken = await open(serverPublic, { ipv4Address: '10.9.0.77/1' }).catch(faultOf);
  saw('an address in another network of this machine', taken, 'unsupported');
  saw('refused: nothing is left', await left(), NOTHING);

  const again = await open(serverPublic);
  await run('ip', ['link', 'delete', 'dev', DEVICE]);
  const end = await again.ended;
  saw('the interface is removed by another program', end, {
    kind: 'lost',
    reason: `the interface ${DEVICE} was removed`,
  });
  await again.close();
  saw('removed: nothing is left', await left(), NOTHING);

  const args = [...process.execArgv, process.argv[1] ?? '', PROGRAMS, state, 'hang'];
  const killed = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  const crashed = await run('ip', ['-o', 'link']);
  saw('a killed client leaves its interface', crashed.stdout.includes(DEVICE), true);
  await transport().cleanUp();
  saw('the next one removes what is left', await left(), NOTHING);

  await run(WIREGUARD_GO, [DEVICE]);
  const foreign = await open(serverPublic).catch(faultOf);
  saw('an interface of another program is not taken', foreign, 'unsupported');
  const there = await run('ip', ['-o', 'link']);
  saw('and stays', there.stdout.includes(DEVICE), true);
  process.exit(0);
}

await main();
