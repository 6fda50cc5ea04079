/**
 * The line in which Tor names the circuit of a stream (`HiddenServiceExportCircuitID haproxy` in the
 * manual of tor; version 1 of the PROXY protocol). It comes before the bytes of the peer:
 *
 *   PROXY TCP6 fc00:dead:beef:4dad::0:16 ::1 22 5222 CR LF
 *
 * The last two groups of the first address are the circuit's id, in hex. Read it only on a listener
 * that only Tor can reach, since any client can send such a line.
 */
import { fail, ok, type Parsed } from './result.js';

/** Longest line of the PROXY protocol, CR and LF included. */
export const MAX_PROXY_LINE_BYTES = 107;
/** How each line of Tor begins. */
const PREFIX = new TextEncoder().encode('PROXY TCP6 fc00:dead:beef:4dad::');

/** Whether the first line of a connection begins as one of Tor does; the rest is not looked at. */
export function isProxyLine(line: Uint8Array): boolean {
  return PREFIX.every((code, at) => line[at] === code);
}

const MAX_PORT = 65_535;
const LINE =
  /^PROXY TCP6 fc00:dead:beef:4dad::([\da-f]{1,4}):([\da-f]{1,4}) ::1 (\d{1,5}) (\d{1,5})$/;

export interface ProxyLine {
  /** The id that Tor's control port uses for the circuit. Tor reuses ids later. */
  readonly circuit: number;
  /** The port of the onion that was dialled. */
  readonly virtualPort: number;
}

/** @param line without CR and LF */
export function parseProxyLine(line: string): Parsed<ProxyLine, 'proxy-line'> {
  if (line.length > MAX_PROXY_LINE_BYTES - 2) return fail('proxy-line');
  const [, high, low, sourcePort, virtualPort] = LINE.exec(line) ?? [];
  if (high === undefined || low === undefined) return fail('proxy-line');
  if (Number(sourcePort) > MAX_PORT || Number(virtualPort) > MAX_PORT) return fail('proxy-line');
  return ok({
    circuit: Number.parseInt(high, 16) * 0x1_00_00 + Number.parseInt(low, 16),
    virtualPort: Number(virtualPort),
  });
}
