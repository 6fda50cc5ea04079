/**
 * Names a running process in a file so that another one can tell later whether it still runs: the
 * process id, the time at which that process started, because process ids are used again, the boot of the
 * machine, because times are counted from it, and the namespace of process ids, because a process in
 * another container may use the same folder and has other ids.
 */
import { readFile, readlink } from 'node:fs/promises';

const MARK = /^(\d{1,10}) (\d{1,20} [0-9a-f-]{36}) (\S{1,40})\n$/;

/** The namespace in which this process sees process ids, such as `pid:[4026531836]`. */
function ownNamespace(): Promise<string> {
  return readlink('/proc/self/ns/pid').catch(() => 'unknown');
}

/** Fields of proc(5) from the third one on, the state. */
async function fieldsOf(pid: number | 'self'): Promise<readonly string[]> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the program's name in brackets, and may hold anything.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Whether a process is stopped, by a signal or a debugger. */
export async function isStopped(pid: number): Promise<boolean> {
  const [state = ''] = await fieldsOf(pid);
  return state === 'T' || state === 't';
}

/** When a process started, in clock ticks, and since which boot; undefined when it does not run. */
async function startOf(pid: number | 'self'): Promise<string | undefined> {
  const fields = await fieldsOf(pid);
  // Field 22 of proc(5); the third is the first here. A zombie runs no more.
  if (fields[0] === 'Z' || fields[19] === undefined) return undefined;
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return `${fields[19]} ${boot.trim()}`;
}

/** The mark of this process. Undefined on a system without /proc, where nobody could check it. */
export async function ownMark(): Promise<string | undefined> {
  const start = await startOf('self');
  return start === undefined ? undefined : `${process.pid} ${start} ${await ownNamespace()}\n`;
}

export interface MarkedProcess {
  readonly pid: number;
  /** Seen from here; means nothing where `isLocal` is false. */
  readonly runs: boolean;
  /** Its process ids are ours. False in another container, whose processes cannot be seen from here. */
  readonly isLocal: boolean;
}

/** What a mark says of its process; undefined for another text. */
export async function readMark(text: string): Promise<MarkedProcess | undefined> {
  const [, pid, start, namespace] = MARK.exec(text) ?? [];
  if (pid === undefined) return undefined;
  const runs = (await startOf(Number(pid))) === start;
  return { pid: Number(pid), runs, isLocal: namespace === (await ownNamespace()) };
}
