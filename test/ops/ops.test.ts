import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import t from 'tap';
import { ConfigError } from '../../src/config/config-error.js';
import { silentLog, type Log, type LogFields } from '../../src/channel/log.js';
import { ownMark } from '../../src/platform/process-mark.js';
import { exitCodeOf } from '../../src/ops/exit.js';
import { LockedError, lockInstance, readLock } from '../../src/ops/instance-lock.js';
import { createLog, type LogFormat } from '../../src/ops/log.js';
import { createNotifier } from '../../src/ops/systemd-notifier.js';
import { createRateCappedLog } from '../../src/ops/rate-capped-log.js';
import { createShutdown, type ProcessPort, type Timer } from '../../src/ops/shutdown.js';
import { readStateFile, writeStateFile } from '../../src/ops/state-file.js';
import {
  makeTemporaryFolder,
  sweepTemporaryFolders,
} from '../../src/tor/process/temporary-folder.js';
import { startProgram } from '../helpers/cli.js';
import { createTestClock } from '../helpers/test-clock.js';

/** A log that keeps its lines as `level text {fields}`. */
function memoryLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const line =
    (level: string) =>
    (text: string, fields?: LogFields): void => {
      lines.push(`${level} ${text}${fields === undefined ? '' : ` ${JSON.stringify(fields)}`}`);
    };
  return {
    lines,
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
  };
}

t.test('exit codes', async (t) => {
  const config = new ConfigError({ file: 'f', found: 'x', allowed: 'y' });
  const unreachable = Object.assign(new Error('tor'), { exitCode: 3 });
  const ring = new Error('ring');
  ring.cause = ring;
  const cases = [
    [config, 2],
    [unreachable, 3],
    [new Error('wrapped', { cause: unreachable }), 3],
    [new Error('plain'), 1],
    [Object.assign(new Error('odd'), { exitCode: 77 }), 1],
    [Object.assign(new Error('odd'), { exitCode: '2' }), 1],
    ['text', 1],
    [undefined, 1],
    [ring, 1],
  ] as const;
  for (const [error, code] of cases) t.equal(exitCodeOf(error), code, String(error));
});

/** A log of one format, and the lines that it wrote. */
function writtenBy(format: LogFormat, level: 'DEBUG' | 'INFO' = 'INFO') {
  const lines: string[] = [];
  const sink = (line: string): void => {
    lines.push(line);
  };
  return { lines, log: createLog({ level, format, color: false, write: sink }) };
}

t.test('the log', async (t) => {
  t.test('json', async (t) => {
    const { lines, log } = writtenBy('json');
    log.debug('hidden');
    log.info('peer up', { peers: 3 });
    log.warn('odd\nline', { error: 'a\u001b[2J' });
    log.setLevel('DEBUG');
    log.debug('shown');
    log.setLevel('ERROR');
    log.warn('hidden');
    log.error('last\u202e');
    const parsed = lines.map((line): Record<string, unknown> => JSON.parse(line));
    t.same(
      parsed.map(({ time: _time, ...rest }) => rest),
      [
        { level: 30, peers: 3, msg: 'peer up' },
        { level: 40, error: 'a\\u001b[2J', msg: 'odd\\nline' },
        { level: 20, msg: 'shown' },
        { level: 50, msg: 'last\\u202e' },
      ],
      'no process id, no host name, no raw control characters',
    );
    t.match(parsed[0]?.['time'], /^\d{4}-\d\d-\d\dT/);
  });

  t.test('journal: a priority that journalctl knows, then plain text', async (t) => {
    const { lines, log } = writtenBy('journal', 'DEBUG');
    log.debug('a');
    log.info('b', { peers: 3 });
    log.warn('c');
    log.error('d', { error: 'x\ny' });
    log.info('e', { pid: 7, peers: 3 });
    t.same(lines, [
      '<7>a\n',
      '<6>b {"peers":3}\n',
      '<4>c\n',
      '<3>d {"error":"x\\ny"}\n',
      '<6>(7): e {"peers":3}\n',
    ]);
  });

  t.test('pretty', async (t) => {
    const { lines, log } = writtenBy('pretty');
    log.warn('c', { peers: 3 });
    t.equal(lines.length, 1);
    t.match(lines[0], /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] WARN: c \{"peers":3\}\n$/);
  });
});

t.test('a repeated line is capped and counted', async (t) => {
  const clock = createTestClock();
  const memory = memoryLog();
  const log = createRateCappedLog(memory, clock, { lines: 2, windowMs: 1000, texts: 2 });
  for (let i = 0; i < 100; i += 1) log.warn('flood', { n: i });
  log.info('flood');
  t.same(memory.lines, ['warn flood {"n":0}', 'warn flood {"n":1}', 'info flood']);
  clock.advance(999);
  t.equal(memory.lines.length, 3, 'silent until the window ends');
  clock.advance(1);
  t.equal(memory.lines.at(-1), 'warn flood {"repeated":98,"seconds":1}');
  t.equal(clock.pending, 0, 'no timer is left');

  for (let i = 0; i < 50; i += 1) log.warn(`text ${i}`);
  t.equal(clock.pending, 3, 'different texts share one count once there are too many');
  log.close();
  t.equal(clock.pending, 0);
  t.same(memory.lines.slice(4), [
    'warn text 0',
    'warn text 1',
    'warn text 2',
    'warn text 3',
    'warn further lines held back {"repeated":46,"seconds":1}',
  ]);
});

const nothing = (): void => {};

/** A process whose signals the test sends, and whose timers it fires. */
function fakeProcess() {
  const handlers = new Map<string, () => void>();
  const exits: number[] = [];
  const timers = new Map<number, () => void>();
  let exited: (code: number) => void = nothing;
  const done = new Promise<number>((resolve) => {
    exited = resolve;
  });
  const port: ProcessPort = {
    on: (signal, handler) => handlers.set(signal, handler),
    off: (signal) => handlers.delete(signal),
    exit(code) {
      exits.push(code);
      exited(code);
    },
  };
  const timer: Timer = (ms, fn) => {
    timers.set(ms, fn);
    return () => timers.delete(ms);
  };
  const signal = (name: string): void => handlers.get(name)?.();
  return { port, timer, timers, signal, exits, done, handlers };
}

t.test('shutdown', async (t) => {
  t.test('parts stop in turn, the last one first, and the exit code is 0', async (t) => {
    const host = fakeProcess();
    const order: string[] = [];
    const shutdown = createShutdown({
      log: silentLog,
      process: host.port,
      timer: host.timer,
      onStopping: () => order.push('stopping'),
    });
    shutdown.onStop('tor', async () => {
      order.push('tor');
    });
    const remove = shutdown.onStop('gone', () => {
      order.push('gone');
    });
    shutdown.onStop('directory', async () => {
      order.push('directory begins');
      await Promise.resolve();
      order.push('directory ends');
    });
    remove();
    t.equal(shutdown.signal.aborted, false);
    host.signal('SIGTERM');
    t.equal(shutdown.signal.aborted, true, 'parts that are starting get the signal at once');
    t.equal(await host.done, 0);
    t.same(order, ['stopping', 'directory begins', 'directory ends', 'tor']);
    t.equal(host.timers.size, 0, 'no timer is left');
    t.equal(host.handlers.size, 0, 'no handler is left');
  });

  t.test('a part that hangs delays neither the others nor the end', async (t) => {
    const host = fakeProcess();
    const log = memoryLog();
    const shutdown = createShutdown({ log, process: host.port, timer: host.timer });
    let torStopped = nothing;
    const stopped = new Promise<void>((resolve) => {
      torStopped = resolve;
    });
    shutdown.onStop('tor', () => {
      torStopped();
      return new Promise<void>(() => {});
    });
    shutdown.onStop('peers', () => new Promise<void>(() => {}));
    host.signal('SIGINT');
    host.timers.get(2000)?.();
    await stopped;
    t.same(host.exits, [], 'not before the deadline');
    host.timers.get(4500)?.();
    t.equal(await host.done, 0);
    t.match(log.lines.at(-1), /stopped without waiting further.*peers, tor/);
  });

  t.test('a part that fails is reported and the rest still stops', async (t) => {
    const host = fakeProcess();
    const log = memoryLog();
    const shutdown = createShutdown({ log, process: host.port, timer: host.timer });
    let stopped = false;
    shutdown.onStop('first', () => {
      stopped = true;
    });
    shutdown.onStop('second', () => {
      throw new Error('no');
    });
    await shutdown.stop(3);
    t.same(host.exits, [3]);
    t.equal(stopped, true);
    t.match(log.lines, [/a part failed to stop \{"part":"second","error":"no"\}/]);
  });

  t.test('a second signal changes nothing, since the stop is bounded', async (t) => {
    const host = fakeProcess();
    const shutdown = createShutdown({ log: silentLog, process: host.port, timer: host.timer });
    shutdown.onStop('hangs', () => new Promise<void>(() => {}));
    host.signal('SIGINT');
    t.same(host.exits, []);
    host.signal('SIGINT');
    host.signal('SIGTERM');
    t.same(host.exits, [], 'a part that hangs keeps its time');
    host.timers.get(4500)?.();
    await shutdown.stop();
    t.same(host.exits, [0]);
  });

  t.test('SIGHUP ends a program that has nothing to re-read', async (t) => {
    const host = fakeProcess();
    const shutdown = createShutdown({ log: silentLog, process: host.port, timer: host.timer });
    host.signal('SIGHUP');
    await shutdown.stop();
    t.same(host.exits, [0]);
  });

  t.test('SIGHUP reloads, and a reload that fails changes nothing', async (t) => {
    const host = fakeProcess();
    const log = memoryLog();
    let reloads = 0;
    let reloadFailed = nothing;
    const failed = new Promise<void>((resolve) => {
      reloadFailed = resolve;
    });
    const shutdown = createShutdown({
      log: {
        ...log,
        error(text, fields) {
          log.error(text, fields);
          reloadFailed();
        },
      },
      process: host.port,
      timer: host.timer,
      onReload() {
        reloads += 1;
        if (reloads === 2) throw new Error('bad value');
      },
    });
    host.signal('SIGHUP');
    await Promise.resolve();
    host.signal('SIGHUP');
    await failed;
    t.equal(reloads, 2);
    t.match(log.lines, [/reload failed; nothing changed \{"error":"bad value"\}/]);
    t.same(host.exits, []);
    shutdown.close();
    t.equal(host.handlers.size, 0);
  });
});

/** A stand-in for the program that appends its arguments to a file, or fails. */
const fakeNotify = async (dir: string, exit = 0): Promise<NodeJS.ProcessEnv> => {
  const program = join(dir, 'systemd-notify');
  await writeFile(
    program,
    `#!/bin/sh\nprintf '%s|' "$@" >>'${dir}/sent'\necho >>'${dir}/sent'\nexit ${exit}\n`,
  );
  await chmod(program, 0o755);
  return { PATH: `${dir}:${process.env['PATH'] ?? ''}`, NOTIFY_SOCKET: '/run/systemd/notify' };
};
const sent = async (dir: string): Promise<readonly string[]> =>
  (await readFile(join(dir, 'sent'), 'utf8')).trim().split('\n');

t.test('systemd is told through systemd-notify', async (t) => {
  t.test('in order, one message each', async (t) => {
    const dir = t.testdir();
    const env = await fakeNotify(dir);
    const notifier = createNotifier({ log: silentLog, clock: createTestClock(), env });
    notifier.status('starting\nTor');
    notifier.ready('serving\nMAINPID=1');
    notifier.reloading();
    notifier.ready();
    notifier.stopping();
    await notifier.close();
    t.same(await sent(dir), [
      'STATUS=starting\\nTor|',
      'READY=1|STATUS=serving\\nMAINPID=1|',
      'RELOADING=1|',
      'READY=1|',
      'STOPPING=1|',
    ]);
  });

  t.test('the watchdog gets its message with ready, and then at half its time', async (t) => {
    const dir = t.testdir();
    const env = { ...(await fakeNotify(dir)), WATCHDOG_USEC: '20000000' };
    const clock = createTestClock();
    const notifier = createNotifier({ log: silentLog, clock, env });
    clock.advance(60_000);
    notifier.ready();
    clock.advance(9999);
    notifier.status('still one');
    clock.advance(1);
    clock.advance(10_000);
    await notifier.close();
    t.same(await sent(dir), ['READY=1|WATCHDOG=1|', 'WATCHDOG=1|', 'STATUS=still one|']);
    t.equal(clock.pending, 0);
  });

  t.test(
    'while systemd is slow, the watchdog comes first and the last status counts',
    async (t) => {
      const dir = t.testdir();
      const env = { ...(await fakeNotify(dir)), WATCHDOG_USEC: '20000000' };
      const clock = createTestClock();
      const notifier = createNotifier({ log: silentLog, clock, env });
      notifier.ready();
      for (let percent = 0; percent <= 100; percent += 1) notifier.status(`${percent} %`);
      notifier.stopping();
      notifier.status('on its way down');
      clock.advance(10_000);
      clock.advance(10_000);
      await notifier.close();
      t.same(await sent(dir), [
        'READY=1|WATCHDOG=1|',
        'WATCHDOG=1|',
        'STATUS=100 %|',
        'STOPPING=1|',
        'STATUS=on its way down|',
      ]);
    },
  );

  t.test('no watchdog messages for another process, or without a watchdog', async (t) => {
    for (const extra of [
      { WATCHDOG_USEC: '20000000', WATCHDOG_PID: '1' },
      { WATCHDOG_USEC: 'x' },
    ]) {
      const dir = t.testdir();
      const env = { ...(await fakeNotify(dir)), ...extra };
      const clock = createTestClock();
      const notifier = createNotifier({ log: silentLog, clock, env });
      notifier.ready();
      t.equal(clock.pending, 0);
      await notifier.close();
      t.same(await sent(dir), ['READY=1|']);
    }
  });

  t.test('one log line when it fails, and no line outside systemd', async (t) => {
    const dir = t.testdir();
    const log = memoryLog();
    const env = await fakeNotify(dir, 1);
    const notifier = createNotifier({ log, clock: createTestClock(), env });
    notifier.ready();
    notifier.stopping();
    await notifier.close();
    t.match(log.lines, [/^warn the state of the service could not be reported to systemd/]);
    t.equal(log.lines.length, 1);

    const missing = createNotifier({
      log,
      clock: createTestClock(),
      env: { PATH: '/nonexistent', NOTIFY_SOCKET: '/run/systemd/notify' },
    });
    missing.ready();
    await missing.close();
    t.equal(log.lines.length, 2, 'a missing program gives one line as well');

    const outside = createNotifier({ log, clock: createTestClock(), env: { PATH: dir } });
    outside.ready();
    outside.stopping();
    await outside.close();
    t.equal((await sent(dir)).length, 2, 'nothing sent');
  });
});

t.test('state files', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'state', 'peers.json');
  t.equal(await readStateFile(path, 100), undefined, 'no file');
  await writeStateFile(path, '{"a":1}');
  await writeStateFile(path, '{"a":2}');
  t.equal(Buffer.from((await readStateFile(path, 100)) ?? []).toString(), '{"a":2}');
  t.equal((await stat(path)).mode & 0o777, 0o600);
  t.equal((await stat(join(dir, 'state'))).mode & 0o777, 0o700);
  t.same(await readdir(join(dir, 'state')), ['peers.json'], 'no temporary file is left');

  t.equal((await readStateFile(path, 7))?.length, 7, 'exactly as large as allowed');
  await t.rejects(readStateFile(path, 6), { name: 'StateFileTooLargeError' });
  await t.rejects(writeStateFile(dir, 'x'), 'a folder is not replaced');
  t.same(await readdir(dir), ['state'], 'the attempt leaves no file');
});

t.test('a temporary folder is removed when its owner has ended, and only then', async (t) => {
  const parent = t.testdir({});
  const kept = await makeTemporaryFolder(parent, 'omc-');
  await sweepTemporaryFolders(parent, 'omc-');
  t.same(await readdir(parent), [basename(kept)], 'that of this process');

  const mark = await readFile(join(kept, 'owner'), 'utf8');
  const marks: readonly (readonly [string, string, boolean])[] = [
    ['of a process that has this number now', mark.replace(/ \d+ /, ' 1 '), true],
    // Two containers may share a folder; each one sees only its own processes.
    ['of another container', mark.replace(/ \d+ /, ' 1 ').replace(/\S+\n$/, 'pid:[1]\n'), false],
    ['that is malformed', 'hello\n', false],
  ];
  for (const [name, text, isRemoved] of marks) {
    await writeFile(join(kept, 'owner'), text);
    await sweepTemporaryFolders(parent, 'omc-');
    t.equal((await readdir(parent)).length, isRemoved ? 0 : 1, name);
    if (isRemoved) await mkdir(kept);
  }
});

t.test('a lock has one owner, and is free when the owner was killed', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'maker.lock');
  await t.rejects(readLock(path), { code: 'ENOENT' });
  const lock = await lockInstance(path);
  const second = await lockInstance(path).catch((error: unknown) => error);
  t.ok(second instanceof LockedError && second.pid === process.pid, 'the owner is named');
  t.same(await readLock(path), { state: 'held', pid: process.pid });
  t.equal((await stat(path)).mode & 0o777, 0o600);
  await lock.release();
  t.same(await readLock(path), { state: 'free' });
  t.equal(await readFile(path, 'utf8'), '');

  // The file that a killed process or a power cut leaves.
  for (const text of ['', (await ownMark()) ?? '']) {
    await writeFile(path, text);
    const taken = await lockInstance(path);
    await t.rejects(lockInstance(path), LockedError);
    await taken.release();
  }

  await writeFile(path, 'another program wrote this');
  await t.rejects(lockInstance(path), { message: `${path} is locked by another program` });
  t.same(await readLock(path), { state: 'foreign' });
  t.equal(await readFile(path, 'utf8'), 'another program wrote this');
  await writeFile(path, '');

  const all = await Promise.allSettled(Array.from({ length: 20 }, () => lockInstance(path)));
  const owners = all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  t.equal(owners.length, 1, '20 at once: one gets it');
  await Promise.all(owners.map((owner) => owner.release()));
});

t.test('a lock is seen from another container, and ends with its process', async (t) => {
  const path = join(t.testdir(), 'maker.lock');
  const module = new URL('../../dist/ops/instance-lock.js', import.meta.url).href;
  const program = `import { lockInstance } from '${module}';
    globalThis.lock = await lockInstance(process.argv[1]);
    console.log('locked');
    setInterval(() => {}, 1_000);`;
  const asRoot = process.geteuid?.() === 0 ? '' : 'r';
  const container = startProgram('unshare', [
    `-mpf${asRoot}`,
    '--mount-proc',
    '--kill-child',
    process.execPath,
    '--input-type=module',
    '-e',
    program,
    path,
  ]);
  await container.shows('stdout', /locked/);
  const held = await lockInstance(path).catch((error: unknown) => error);
  t.ok(held instanceof LockedError && held.pid === undefined, 'its process has no number here');
  t.same(await readLock(path), { state: 'held', pid: undefined });

  container.child.kill('SIGKILL');
  await container.ended;
  const lock = await lockInstance(path);
  await lock.release();
});
