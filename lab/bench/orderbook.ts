/**
 * The orderbook of 500 makers with bonds, which arrives at once through two directories: how long the event
 * loop of the peer is blocked, with the work in slices and without.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { createServer, type Server, type Socket } from 'node:net';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import {
  formatFidelityBond,
  proveFidelityBond,
  signBondCertificate,
  type OwnBond,
} from '../../src/protocol/fidelity-bond.js';
import { formatDirectoryHandshake } from '../../src/protocol/handshake.js';
import { formatPrivmsg } from '../../src/protocol/message.js';
import { nickKey, type NickKey } from '../../src/protocol/nick.js';
import type { BookReport } from './orderbook-process.js';
import { startChild } from './process.js';
import { printTable, spread } from './table.js';

const MAKERS = 500;
const DIRECTORIES = 2;
const MEGABYTE = 1e6;
const CERT_EXPIRY = 425;
const LOCK_TIME = 1_893_456_000;

interface BenchMaker {
  readonly key: NickKey;
  readonly bond: OwnBond;
}

function secret(kind: number, n: number): Uint8Array {
  const key = new Uint8Array(32).fill(kind);
  new DataView(key.buffer).setUint32(28, n + 1);
  return key;
}

function makeMaker(n: number): BenchMaker {
  const certPrivateKey = secret(2, n);
  const utxoKey = secret(3, n);
  const certKey = bytesToHex(secp256k1.getPublicKey(certPrivateKey, true));
  return {
    key: nickKey(secret(1, n)),
    bond: {
      certPrivateKey,
      certExpiry: CERT_EXPIRY,
      certSignature: signBondCertificate(certKey, CERT_EXPIRY, utxoKey),
      utxoPublicKeyHex: bytesToHex(secp256k1.getPublicKey(utxoKey, true)),
      utxo: { txid: n.toString(16).padStart(64, '0'), vout: 0 },
      lockTime: LOCK_TIME,
    },
  };
}

function answerOf({ key, bond }: BenchMaker, taker: string): string {
  const proof = formatFidelityBond(proveFidelityBond(bond, key.nick, taker));
  const args = `0 27300 500000000 0 0.00002!tbond ${proof}`;
  return encodeEnvelope(685, formatPrivmsg(key, taker, 'sw0reloffer', args));
}

interface Relay {
  readonly server: Server;
  readonly port: number;
  /** The only client, and its nick. */
  readonly client: Promise<{ readonly socket: Socket; readonly nick: string }>;
}

/** A directory that accepts one client and sends the lines that it is given. */
function startRelay(nick: string): Promise<Relay> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    const client = new Promise<{ socket: Socket; nick: string }>((onClient) => {
      server.once('connection', (socket) => {
        socket.on('error', () => {});
        socket.once('data', (chunk) => {
          const { line }: { line: string } = JSON.parse(chunk.toString());
          const { nick: clientNick }: { nick: string } = JSON.parse(line);
          const answer = formatDirectoryHandshake({
            nick,
            network: 'signet',
            accepted: true,
            motd: '',
            features: [],
          });
          socket.write(encodeEnvelope(795, answer));
          socket.resume();
          onClient({ socket, nick: clientNick });
        });
      });
    });
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = address !== null && typeof address === 'object' ? address.port : 0;
      resolve({ server, port, client });
    });
  });
}

async function once(makers: readonly BenchMaker[], sliced: boolean): Promise<BookReport> {
  const relays = await Promise.all(
    Array.from({ length: DIRECTORIES }, (_, n) => startRelay(`J5benchdir${n}OOOOO`)),
  );
  const peer = startChild('orderbook-process.js', []);
  try {
    const opened = peer.ask('open', sliced ? 1 : 0, ...relays.map(({ port }) => port));
    const clients = await Promise.all(relays.map(({ client }) => client));
    await opened;
    const [first] = clients;
    if (!first) throw new Error('no directory was reached');
    const lines = makers.map((maker) => answerOf(maker, first.nick)).join('');
    const report = peer.ask('collect', makers.length);
    for (const { socket } of clients) socket.write(lines);
    return JSON.parse(await report);
  } finally {
    await peer.stop();
    for (const { server, client } of relays) {
      server.close();
      void client.then(({ socket }) => socket.destroy());
    }
  }
}

function row(name: string, reports: readonly BookReport[]): string[] {
  const of = (read: (report: BookReport) => number, digits: number): string =>
    spread(reports.map(read), digits);
  return [
    name,
    of(({ worstMs }) => worstMs, 1),
    of(({ p99Ms }) => p99Ms, 1),
    of(({ worstCpuMs }) => worstCpuMs, 1),
    of(({ tookMs }) => tookMs / 1000, 2),
    of(({ cpuMs }) => cpuMs / 1000, 2),
    of(({ snapshotMs }) => snapshotMs, 1),
    of(({ statisticsMs }) => statisticsMs, 1),
    of(({ heapBytes }) => heapBytes / MEGABYTE, 0),
  ];
}

export async function benchOrderbook(quick: boolean): Promise<void> {
  const makers = Array.from({ length: MAKERS }, (_, n) => makeMaker(n));
  const times = quick ? 1 : 5;
  const rows: string[][] = [];
  for (const [name, sliced] of [
    ['in slices', true],
    ['as it comes', false],
  ] as const) {
    const reports: BookReport[] = [];
    for (let n = 0; n < times; n++) {
      // oxlint-disable-next-line no-await-in-loop -- in turn, to spare the machine
      reports.push(await once(makers, sliced));
    }
    rows.push(row(name, reports));
  }
  console.log(
    `The answers of ${MAKERS} makers, each signed and with a bond of its own, arrive at once through ` +
      `${DIRECTORIES} directories: ${MAKERS * 3} signatures to check.\n`,
  );
  printTable(
    [
      '',
      'loop blocked at most, ms',
      'p99, ms',
      'CPU between two timers at most, ms',
      'until all bonds are checked, s',
      'CPU, s',
      'snapshot, ms',
      'statistics, ms',
      'heap, MB',
    ],
    rows,
  );
}
