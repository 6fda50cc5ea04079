/** The TCP connections of a process, as the kernel tells them (proc(5)). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Ports of the other ends of its IPv4 connections, in any state but listening. */
export function peerPorts(pid: number): readonly number[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1] ?? [];
      } catch {
        // Closed meanwhile.
        return [];
      }
    }),
  );
  return readFileSync(`/proc/${pid}/net/tcp`, 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode = '']) => state !== '0A' && inodes.has(inode))
    .map(([, , remote = '']) => Number.parseInt(remote.split(':')[1] ?? '', 16));
}

/** Looks at the connections of a process until `action` has settled. */
export async function peersDuring(
  pid: number,
  action: Promise<unknown>,
): Promise<ReadonlySet<number>> {
  const seen = new Set<number>();
  const over = { is: false };
  void action.finally(() => (over.is = true)).catch(() => {});
  while (!over.is) {
    for (const port of peerPorts(pid)) seen.add(port);
    // oxlint-disable-next-line no-await-in-loop -- the kernel tells no change
    await pause(25);
  }
  return seen;
}
