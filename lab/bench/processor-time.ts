/** Processor times out of /proc: of a process, and of the whole machine. */
import { readFileSync } from 'node:fs';

/** Ticks of /proc per second; the same on every Linux. */
const TICKS_PER_SECOND = 100;

/** Processor time of a process with all its threads, in seconds, to a hundredth. */
export function processSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // After the program's name, which may contain blanks: fields 14 and 15 of proc(5).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Ticks of all processors since the start of the machine. */
export interface MachineTicks {
  readonly idle: number;
  readonly all: number;
}

export function machineTicks(): MachineTicks {
  const [line = ''] = readFileSync('/proc/stat', 'latin1').split('\n');
  // user, nice, system, idle, iowait, irq, softirq, steal; the guests' times are part of the first two.
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return {
    idle: (ticks[3] ?? 0) + (ticks[4] ?? 0),
    all: ticks.reduce((sum, each) => sum + each, 0),
  };
}

/** The share of the machine's time without work between two readings, 0 to 1. */
export function idleShare(from: MachineTicks, to: MachineTicks): number {
  return (to.idle - from.idle) / Math.max(1, to.all - from.all);
}
