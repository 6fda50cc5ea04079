/** Turns of the event loop for the wallet's computations, so that other work is not delayed by many at once. */
import { setImmediate } from 'node:timers/promises';

/** Lets other work have a turn. */
export type Turn = () => Promise<void>;

let lastTurn = Promise.resolve();

/** One after the other, so that computations at the same time do not fill one turn together. */
export const nextTurn: Turn = () => {
  lastTurn = lastTurn.then(() => setImmediate());
  return lastTurn;
};
