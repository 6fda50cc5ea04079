/** The network interfaces of this process's namespace. */
import { readFileSync } from 'node:fs';

/** Whether there is one. /proc/net tells the namespace of this process; /sys tells that of its mount. */
export function hasDevice(name: string): boolean {
  try {
    const lines = readFileSync('/proc/net/dev', 'latin1').split('\n');
    return lines.some((line) => line.trimStart().startsWith(`${name}:`));
  } catch {
    return false;
  }
}
