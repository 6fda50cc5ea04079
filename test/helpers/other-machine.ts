/** A second machine for the network: a network namespace, and a cable to this machine. */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { startProgram, type RunningCli } from './cli.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface OtherMachine {
  /** The address of this machine at the cable. */
  readonly here: string;
  /** The address of the other machine. */
  readonly there: string;
  /** Runs `onionmc` on the other machine. */
  cli(args: readonly string[]): RunningCli;
}

const ip = (...args: readonly string[]) => execFileSync('ip', args);

/** Whether this user may make one: only root may. */
export const mayHaveOtherMachine = process.geteuid?.() === 0;

/** Removed at the end of the test, or of this process. */
export async function otherMachine(t: Test): Promise<OtherMachine> {
  // It lives as long as its input is open.
  const keeper = spawn('unshare', ['--net', 'sh', '-c', 'echo up; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => keeper.stdin.end());
  await once(keeper.stdout, 'data');
  const space = `--net=/proc/${keeper.pid ?? 0}/ns/net`;
  const name = `om${randomBytes(4).toString('hex')}`;
  const net = `10.${randomInt(200, 250)}.${randomInt(256)}`;
  const ipThere = (...args: readonly string[]) => execFileSync('nsenter', [space, 'ip', ...args]);
  ip('link', 'add', `${name}a`, 'type', 'veth', 'peer', 'name', `${name}b`);
  ip('link', 'set', `${name}b`, 'netns', String(keeper.pid));
  ip('address', 'add', `${net}.1/30`, 'dev', `${name}a`);
  ip('link', 'set', `${name}a`, 'up');
  ipThere('address', 'add', `${net}.2/30`, 'dev', `${name}b`);
  ipThere('link', 'set', `${name}b`, 'up');
  ipThere('link', 'set', 'lo', 'up');
  return {
    here: `${net}.1`,
    there: `${net}.2`,
    cli: (args) => startProgram('nsenter', [space, process.execPath, MAIN, ...args]),
  };
}
