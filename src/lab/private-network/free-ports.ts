/** Finds free ports for programs that need a fixed one. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the ephemeral ports of Linux and others (32768 and up): an outgoing connection cannot take such
 * a port between the search and its use, or while its program restarts.
 */
const LOWEST = 10_000;
const BEYOND = 32_768;
const TRIES = 1_000;

/** Whether the port is free; it is released when this resolves. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listening = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
  });
  if (listening) await new Promise((resolve) => server.close(resolve));
  return listening;
}

/** TCP ports of 127.0.0.1 that are free, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries++) {
    if (tries > TRIES + count) throw new Error(`no ${count} ports are free on 127.0.0.1`);
    const port = randomInt(LOWEST, BEYOND);
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

/** One of them. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}
