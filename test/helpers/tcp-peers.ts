/** The TCP connections of a process, as the kernel tells them (proc(5)). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

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
