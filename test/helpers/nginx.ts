/** The real nginx, from the folder into which scripts/setup unpacked it; never installed. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

const FOLDER = fileURLToPath(new URL('../../.build/debian/nginx', import.meta.url));

async function libraryFolders(): Promise<string> {
  const lib = join(FOLDER, 'usr', 'lib');
  const names = existsSync(lib) ? await readdir(lib) : [];
  return names.map((name) => join(lib, name)).join(':');
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    const done = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}

/**
 * Runs nginx with these `server` blocks, as they would stand in a file of `sites-enabled`, until the end
 * of the test. Resolves when it accepts connections at the port.
 */
export async function startNginx(t: Test, servers: string, port: number): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-nginx-'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${dir}/${name};`)
    .join(' ');
  const conf = [
    ...(process.geteuid?.() === 0 ? ['user root;'] : []),
    `daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;`,
    `events { worker_connections 64; }`,
    `http { access_log off; ${temporary}`,
    servers,
    '}',
  ].join('\n');
  await writeFile(join(dir, 'nginx.conf'), conf);
  const program = join(FOLDER, 'usr', 'sbin', 'nginx');
  const args = ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'error.log')];
  const env = { ...process.env, LD_LIBRARY_PATH: await libraryFolders() };
  const child = spawn(program, args, { env, stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  let over = false;
  void ended.then(() => (over = true));
  t.teardown(async () => {
    child.kill('SIGTERM');
    await ended;
    await rm(dir, { recursive: true, force: true });
  });
  while (!(await answers(port))) {
    if (over) {
      const reason = await readFile(join(dir, 'error.log'), 'utf8').catch(
        () => 'run scripts/setup',
      );
      throw new Error(`nginx did not start: ${reason}`);
    }
    // oxlint-disable-next-line no-await-in-loop -- nginx does not report when it listens
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
