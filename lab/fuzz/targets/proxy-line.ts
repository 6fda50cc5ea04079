/** The line by which Tor names a circuit: one spelling, bounded, and no byte after it is lost. */
import { Socket } from 'node:net';
import { readCircuit } from '../../../src/overlay/circuit-socket.js';
import { MAX_PROXY_LINE_BYTES, parseProxyLine } from '../../../src/protocol/proxy-line.js';
import { createTestClock } from '../../../test/helpers/test-clock.js';
import { must, mustEqual, pieces, type Target } from '../target.js';

const SEEDS = [
  'PROXY TCP6 fc00:dead:beef:4dad::0:16 ::1 22 5222\r\n',
  'PROXY TCP6 fc00:dead:beef:4dad::ffff:ffff ::1 65535 5222\r\n{"type": 793, "line": ""}\r\n',
  'PROXY TCP4 127.0.0.1 127.0.0.1 22 5222\r\n',
  'PROXY UNKNOWN\r\n',
  '{"type": 793, "line": "{}"}\r\n',
];

interface Read {
  /** Undefined when the connection was refused, or sent too little. */
  readonly circuit: string | undefined;
  readonly refused: boolean;
  /** The bytes that the owner of the connection reads then. */
  readonly rest: string;
}

/** Feeds a socket that has no other end, as the network would. */
function readIn(chunks: readonly Uint8Array[]): Read {
  const clock = createTestClock();
  const socket = new Socket();
  let circuit: string | undefined;
  let refusals = 0;
  readCircuit(socket, clock, {
    use(id) {
      must(circuit === undefined, 'the owner gets the connection once');
      circuit = id;
    },
    onRefused: () => refusals++,
  });
  const behind: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (circuit !== undefined) behind.push(chunk);
    else if (!socket.destroyed) socket.emit('data', Buffer.from(chunk));
  }
  const refused = socket.destroyed;
  const kept: unknown = socket.read();
  const first = kept instanceof Uint8Array ? kept : Buffer.alloc(0);
  if (circuit === undefined && !refused) clock.advance(60_000);
  must(circuit !== undefined || socket.destroyed, 'a silent connection is closed in time');
  must(clock.pending === 0, 'no timer is left');
  must(refusals === (circuit === undefined ? 1 : 0), 'each refusal is reported once');
  socket.destroy();
  return { circuit, refused, rest: Buffer.concat([first, ...behind]).toString('latin1') };
}

/** The same rules in the simplest form, on all bytes at once. */
function expected(text: string): Read {
  const end = text.indexOf('\n');
  const line = end === -1 ? text : text.slice(0, end);
  if (line.length >= MAX_PROXY_LINE_BYTES) return { circuit: undefined, refused: true, rest: '' };
  if (end === -1) return { circuit: undefined, refused: false, rest: '' };
  const parsed = line.endsWith('\r') ? parseProxyLine(line.slice(0, -1)) : undefined;
  if (parsed?.ok !== true) return { circuit: undefined, refused: true, rest: '' };
  return { circuit: String(parsed.value.circuit), refused: false, rest: text.slice(end + 1) };
}

export function proxyLineTarget(): Target {
  return {
    name: 'proxy-line',
    seeds: SEEDS.map((text) => Buffer.from(text)),
    words: ['PROXY TCP6 ', 'fc00:dead:beef:4dad::', ' ::1 ', '\r\n', '5222', ':ffff', '00000'],
    maxBytes: 1_000,
    *run(input, random) {
      const text = Buffer.from(input).toString('latin1');
      for (const line of text.split('\r\n')) {
        const parsed = parseProxyLine(line);
        if (!parsed.ok) {
          yield parsed.reason;
          continue;
        }
        const { circuit, virtualPort } = parsed.value;
        must(Number.isInteger(circuit) && circuit >= 0 && circuit < 2 ** 32, 'an id has 32 bits');
        must(virtualPort >= 0 && virtualPort <= 65_535, 'a port is valid');
        yield 'ok';
      }
      const whole = readIn([input]);
      mustEqual(whole, expected(text), 'the circuit is that of the first line');
      mustEqual(readIn(pieces(input, random)), whole, 'split anywhere equals whole');
      if (whole.refused) yield 'refused';
      else if (whole.circuit === undefined) yield 'half-line';
      else yield whole.rest === '' ? 'circuit' : 'circuit-and-more';
    },
  };
}
