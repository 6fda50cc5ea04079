/** The lines of a raw client, and the clock that all processes of a machine share. */
import { MessageType } from '../../src/protocol/constants.js';

export const LF = 0x0a;

/** Monotonic, and the same in all processes of a machine. */
export function micros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** A different nick for each number. */
export function nickOf(number: number): string {
  let rest = number;
  let digits = '';
  for (let i = 0; i < 14; i++) {
    digits = `${BASE58[rest % 58] ?? ''}${digits}`;
    rest = Math.floor(rest / 58);
  }
  return `J5${digits}`;
}

export function frame(type: number, line: string): string {
  return JSON.stringify({ type, line }) + '\r\n';
}

/** A handshake with these features. */
export function hello(nick: string, features: Readonly<Record<string, boolean>> = {}): string {
  const payload = {
    'app-name': 'joinmarket',
    directory: false,
    'location-string': 'NOT-SERVING-ONION',
    'proto-ver': 5,
    features,
    nick,
    network: 'signet',
  };
  return frame(MessageType.HANDSHAKE, JSON.stringify(payload));
}

/** A public message whose frame has that many bytes, with the time at which it was made. */
export function publicFrame(nick: string, bytes: number): string {
  const line = (rest: string): string =>
    frame(
      MessageType.PUBMSG,
      `${nick}!PUBLIC!sw0reloffer 0 27300 500000000 ${rest} at ${micros()}`,
    );
  return line('0'.repeat(Math.max(1, bytes - line('').length)));
}
