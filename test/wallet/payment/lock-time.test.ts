/** Lock times of payments: the height of the tip, sometimes a little less. */
import t from 'tap';
import { paymentLockTime } from '../../../src/wallet/payment/lock-time.js';

/** Random bytes that draw these numbers, one after the other. */
function drawing(...numbers: readonly number[]): (bytes: number) => Uint8Array {
  const left = [...numbers];
  return (bytes) => {
    const drawn = new Uint8Array(bytes);
    new DataView(drawn.buffer).setUint32(0, left.shift() ?? 0);
    return drawn;
  };
}

const tipAt = (height: number) => ({ height, hash: '00'.repeat(32), time: 0, medianTime: 0 });

const ROWS: readonly (readonly [
  title: string,
  height: number,
  drawn: readonly number[],
  number,
])[] = [
  ['nine of ten: the height of the tip', 900_000, [1], 900_000],
  ['one of ten: up to 99 blocks less', 900_000, [0, 99], 899_901],
  ['never below 0', 50, [0, 99], 0],
  ['Knots refuses 21 (findings/knots-locktime-21.sh): 20 instead', 120, [0, 99], 20],
  ['the same where the tip is at 21', 21, [1], 20],
  ['22 stays', 121, [0, 99], 22],
];

for (const [title, height, drawn, expected] of ROWS) {
  t.test(title, async (t) => {
    t.equal(paymentLockTime([], tipAt(height), drawing(...drawn)), expected);
  });
}
