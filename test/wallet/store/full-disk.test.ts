/** A wallet on a file system of 256 KiB, which is full. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { bundle } from './children.js';

/** Runs a shell command in a namespace of its own: its lines, and its errors. */
function inNamespace(command: string, args: readonly string[]) {
  const asRoot = process.geteuid?.() === 0 ? '' : 'r';
  const unshare = [`-m${asRoot}`, 'sh', '-ec', command, 'sh', ...args];
  return new Promise<{ readonly lines: readonly unknown[]; readonly errors: string }>((resolve) => {
    const child = spawn('unshare', unshare, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.once('close', () => {
      const lines = text.split('\n').filter((line) => line !== '');
      resolve({ lines: lines.map((line): unknown => JSON.parse(line)), errors });
    });
  });
}

t.test(
  'a real full disk: the wallet opens, writes nothing, and goes on when there is room',
  async (t) => {
    const folder = t.testdir();
    const child = bundle(join(import.meta.dirname, 'full-disk-child.ts'), folder);
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    const { lines, errors } = await inNamespace(
      'mount -t tmpfs -o size=256k none "$1"; exec "$2" "$3" "$1"',
      [disk, process.execPath, child],
    );
    t.equal(errors, '');
    t.strictSame(lines, [
      ['append', 'disk'],
      ['password', 'disk'],
      ['backup', 'disk'],
      ['records', ['first']],
      ['append again', 'disk'],
      ['with room', null],
      ['at last', [['first', 'later'], 0]],
    ]);
  },
);
