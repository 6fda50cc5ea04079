/** The open descriptors of a process, from /proc. */
import { readdir, readFile, readlink } from 'node:fs/promises';

const LISTENS = '0A';

/** The inodes of connections (not of the listener) at a TCP port of this machine. */
async function connectionsAt(port: number): Promise<ReadonlySet<string>> {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = (await readFile('/proc/net/tcp', 'latin1')).split('\n').slice(1);
  const fields = rows.map((row) => row.trim().split(/\s+/));
  return new Set(
    fields
      .filter(([, local, , state]) => local?.endsWith(end) === true && state !== LISTENS)
      .map((row) => row[9] ?? ''),
  );
}

/**
 * The descriptors of a process, each as its target, without connections at one port: those of a reader of the
 * status page come and go as the program of the reader keeps them.
 */
export async function openDescriptors(pid: number, exceptPort: number): Promise<readonly string[]> {
  const folder = `/proc/${pid}/fd`;
  const targets = await Promise.all(
    (await readdir(folder)).map((fd) => readlink(`${folder}/${fd}`).catch(() => undefined)),
  );
  const pages = await connectionsAt(exceptPort);
  return targets.filter((target): target is string => {
    if (target === undefined) return false;
    const [, inode] = /^socket:\[(\d+)\]$/.exec(target) ?? [];
    return inode === undefined || !pages.has(inode);
  });
}
