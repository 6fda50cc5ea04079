/**
 * Identifies a running process in a file, so that another process can tell later whether it still runs.
 * The mark has the process id; the start time of the process, because ids are reused; the boot id of
 * the machine, because times are counted from the boot; and the namespace of process ids, because a
 * process in another container may use the same folder and has other ids.
 */
import { readFile, readlink } from 'node:fs/promises';

const MARK = /^(\d{1,10}) (\d{1,20} [0-9a-f-]{36}) (\S{1,40})\n$/;

/** The namespace in which this process sees process ids, such as `pid:[4026531836]`. */
function ownNamespace(): Promise<string> {
  return readlink('/proc/self/ns/pid').catch(() => 'unknown');
}

/** Fields of proc(5) from the third one (the state) on. */
async function fieldsOf(pid: number | 'self'): Promise<readonly string[]> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the program's name in brackets and may contain any character.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Whether a process is stopped, by a signal or a debugger. */
export async function isStopped(pid: number): Promise<boolean> {
  const [state = ''] = await fieldsOf(pid);
  return state === 'T' || state === 't';
}

/** The start time of a process in clock ticks, and the boot id; undefined when it does not run. */
async function startOf(pid: number | 'self'): Promise<string | undefined> {
  const fields = await fieldsOf(pid);
  // Field 22 of proc(5); the third field is the first here. A zombie does not count as running.
  if (fields[0] === 'Z' || fields[19] === undefined) return undefined;
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return `${fields[19]} ${boot.trim()}`;
}

/** The mark of this process. Undefined on a system without /proc, where it could not be checked. */
export async function ownMark(): Promise<string | undefined> {
  const start = await startOf('self');
  return start === undefined ? undefined : `${process.pid} ${start} ${await ownNamespace()}\n`;
}

export interface MarkedProcess {
  readonly pid: number;
  /** Whether a process with this id and start time runs; has no meaning when `isLocal` is false. */
  readonly runs: boolean;
  /**
   * Whether its process ids are those of this process. False for another container, whose processes are
   * not visible here.
   */
  readonly isLocal: boolean;
}

/** The process that a mark describes; undefined when the text is not a mark. */
export async function readMark(text: string): Promise<MarkedProcess | undefined> {
  const [, pid, start, namespace] = MARK.exec(text) ?? [];
  if (pid === undefined) return undefined;
  const runs = (await startOf(Number(pid))) === start;
  return { pid: Number(pid), runs, isLocal: namespace === (await ownNamespace()) };
}
