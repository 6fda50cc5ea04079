import { createHash, createHmac } from 'node:crypto';
import { chmod, chown, mkdir, readFile, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { connectControl, type ControlClient } from '../../src/tor/control/client.js';
import type { ControlEndpoint } from '../../src/tor/control/endpoint.js';
import { infoValue } from '../../src/tor/control/values.js';
import { TorError } from '../../src/tor/tor-error.js';
import { fakeControl } from '../helpers/fake-control.js';
import { startOfflineTor, temporaryFolder, type OfflineTor } from '../helpers/offline-tor.js';

const never = new AbortController().signal;
const tcp = (port: number): ControlEndpoint => ({ kind: 'tcp', host: '127.0.0.1', port });
const PASSWORD = 's3cret "quoted" back\\slash é';

async function failure(promise: Promise<unknown>): Promise<TorError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof TorError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

async function version(client: ControlClient): Promise<string> {
  const reply = await client.command('GETINFO version');
  return infoValue(reply, 'version') ?? '';
}

/** Connects, asks for the version, closes, and waits until the connection is over. */
async function works(endpoint: ControlEndpoint, password?: string): Promise<boolean> {
  const client = await connectControl({
    endpoint,
    signal: never,
    ...(password === undefined ? {} : { password }),
  });
  const found = await version(client);
  client.close();
  return (await client.lost) === undefined && /^\d+\.\d+\.\d+\.\d+/.test(found);
}

/** HashedControlPassword of a password (RFC 2440 iterated and salted SHA-1, 65,536 bytes). */
function hashPassword(password: string): string {
  const salt = Buffer.from('0102030405060708', 'hex');
  const block = Buffer.concat([salt, Buffer.from(password)]);
  const input = Buffer.alloc(65_536);
  for (let at = 0; at < input.length; at += block.length) block.copy(input, at);
  const digest = createHash('sha1').update(input).digest();
  return `16:${Buffer.concat([salt, Buffer.from([0x60]), digest])
    .toString('hex')
    .toUpperCase()}`;
}

t.test('a real tor, cookie authentication', async (t) => {
  const { dir, remove } = await temporaryFolder();
  const socket = join(dir, 'ctl.sock');
  const cookie = join(dir, 'control_auth_cookie');
  const tor = await startOfflineTor(dir, [
    'ControlPort 127.0.0.1:auto',
    `ControlPort unix:${socket}`,
    'CookieAuthentication 1',
  ]);
  t.teardown(async () => {
    await tor.kill();
    await remove();
  });
  const endpoint = tcp(tor.port);
  const fails = (at: ControlEndpoint = endpoint, password?: string) =>
    failure(
      connectControl({
        endpoint: at,
        signal: never,
        ...(password === undefined ? {} : { password }),
      }),
    );

  t.ok(await works(endpoint), 'TCP');
  t.ok(await works({ kind: 'unix', path: socket }), 'unix socket');
  t.ok(await works(endpoint, 'a password that is not needed'), 'with a password in addition');

  await t.test('every kind of reply', async (t) => {
    const client = await connectControl({ endpoint, signal: never });
    t.match(await version(client), /^0\.\d/);
    const keys = 'version process/pid';
    t.equal((await client.command(`GETINFO ${keys}`)).lines.length, 3, 'several lines');
    const names = infoValue(await client.command('GETINFO config/names'), 'config/names') ?? '';
    t.ok(names.split('\n').length > 100, 'a data block');
    const refusals: readonly [string, number, RegExp][] = [
      ['GETINFO nosuch', 552, /Unrecognized key "nosuch"/],
      ['FOO', 510, /Unrecognized command "FOO"/],
      ['ADD_ONION', 512, /Need at least 1 argument/],
      ['SETCONF NoSuchOption=1', 552, /Unrecognized option|Unknown option/],
      ['GETCONF NoSuch', 552, /Unrecognized configuration key/],
      ['SETCONF SocksPort=nonsense', 513, /Unacceptable option value/],
      ['DEL_ONION x', 512, /Malformed Onion Service id/],
    ];
    for (const [line, code, text] of refusals) {
      const error = await failure(client.command(line));
      t.match(error, { step: 'command', code: 'rejected', message: text, reply: { code } });
    }
    const secret = await failure(client.command('ADD_ONION ED25519-V3:c2VjcmV0 Port=80'));
    t.notMatch(secret.message, 'c2VjcmV0', 'arguments are not repeated');
    const inOrder = await Promise.all(
      ['version', 'process/pid', 'version'].map(
        async (key) => (await client.command(`GETINFO ${key}`)).lines[0]?.text.split('=')[0],
      ),
    );
    t.strictSame(inOrder, ['version', 'process/pid', 'version'], 'commands given at once');
    for (const line of ['GETINFO version\r\nQUIT', 'GETINFO version\n', 'A\0']) {
      t.match(await failure(client.command(line)), { step: 'command', code: 'bad-line' });
    }
    // Every code of the two hundreds is a success: 251 where a key was there already.
    const auth = `ONION_CLIENT_AUTH_ADD ${'a'.repeat(55)}d x25519:${Buffer.alloc(32, 1).toString('base64')}`;
    const onion = (await client.command('ADD_ONION NEW:ED25519-V3 Port=80')).lines[0]?.text;
    const id = onion?.replace('ServiceID=', '') ?? '';
    for (const code of [250, 251]) {
      t.match(await client.command(auth.replace(/a+d/, id)), { code }, `${code} is a success`);
    }
    client.close();
    t.equal(await client.lost, undefined);
    t.match(await failure(client.command('GETINFO version')), { step: 'lost', code: 'closed' });
  });

  await t.test('events, and SETEVENTS in step with the listeners', async (t) => {
    const client = await connectControl({ endpoint, signal: never });
    const heard: string[] = [];
    const nextEvent = () =>
      new Promise<void>((resolve) => {
        waiting.push(resolve);
      });
    const waiting: (() => void)[] = [];
    const listen = (name: string) => (text: string) => {
      heard.push(`${name} ${text}`);
      waiting.shift()?.();
    };
    const stopA = await client.onEvent('CONF_CHANGED', listen('a'));
    const stopB = await client.onEvent('CONF_CHANGED', listen('b'));
    const both = Promise.all([nextEvent(), nextEvent()]);
    await client.command('SETCONF MaxCircuitDirtiness=100');
    await both;
    t.strictSame(heard.splice(0), [
      'a \nMaxCircuitDirtiness=100\nOK',
      'b \nMaxCircuitDirtiness=100\nOK',
    ]);
    t.match(await failure(client.onEvent('NOSUCH', () => {})), {
      code: 'rejected',
      reply: { code: 552, text: 'Unrecognized event "NOSUCH"' },
    });
    stopA();
    stopA();
    const one = nextEvent();
    await client.command('SETCONF MaxCircuitDirtiness=200');
    await one;
    t.strictSame(
      heard.splice(0),
      ['b \nMaxCircuitDirtiness=200\nOK'],
      'the failure changed nothing',
    );
    stopB();
    await client.command('GETINFO version');
    await client.command('SETCONF MaxCircuitDirtiness=300');
    await client.command('GETINFO version');
    t.strictSame(heard, [], 'no event after the last listener was removed');
    const again = nextEvent();
    await client.onEvent('CONF_CHANGED', listen('c'));
    await client.command('SETCONF MaxCircuitDirtiness=400');
    await again;
    t.equal(heard.length, 1);
    client.close();
    await client.lost;
  });

  await t.test('a cookie that cannot be used', async (t) => {
    const good = await readFile(cookie);
    const error = async () => {
      const found = await fails();
      t.match(found, { step: 'authenticate', code: 'auth-failed', remedy: 'unreachable' });
      t.match(found.message, `cannot authenticate to Tor at 127.0.0.1:${tor.port}`);
      t.match(found.message, cookie);
      t.notMatch(found.message, /\bCOOKIE:/, 'not tried a second time for the same reason');
      return found.message;
    };
    for (const size of [0, 31, 33]) {
      await writeFile(cookie, Buffer.concat([good, good]).subarray(0, size));
      t.match(await error(), `SAFECOOKIE: the cookie file ${cookie} has ${size} bytes, not 32`);
    }
    await writeFile(cookie, Buffer.alloc(32, 7));
    t.match(
      await error(),
      /server hash does not match: not talking to the Tor that owns the cookie/,
    );
    await unlink(cookie);
    t.match(await error(), `the cookie file ${cookie} does not exist on this machine`);
    await writeFile(cookie, good, { mode: 0o600 });
    t.ok(await works(endpoint), 'works again with the right cookie');

    await chmod(cookie, 0o000);
    await chmod(dir, 0o711);
    const root = process.geteuid?.() === 0;
    // Not root's group, since no fix asks a user to join it.
    if (root) await chown(cookie, 0, 65_534);
    // Root can read every file, so the test takes the view of another user.
    if (root) process.seteuid?.(65_534);
    try {
      const message = await error();
      const { mode } = await stat(cookie);
      t.equal(mode & 0o777, 0);
      t.match(
        message,
        new RegExp(`no permission to read the cookie file ${cookie}: ${cookie} is owned by`),
      );
      t.match(
        message,
        /mode 0000; we are user \S+ in groups .*Fix: add "CookieAuthFileGroupReadable 1"/,
      );
    } finally {
      if (root) process.seteuid?.(0);
      await chmod(dir, 0o700);
      await chmod(cookie, 0o600);
    }
  });

  await t.test('tor ends', async (t) => {
    const client = await connectControl({ endpoint, signal: never });
    const other = await connectControl({ endpoint, signal: never });
    await tor.kill();
    t.match(await client.lost, { step: 'lost', code: 'lost', remedy: 'unreachable' });
    t.equal(client.closed, true);
    t.match(await failure(client.command('GETINFO version')), { step: 'lost' });
    t.match(await other.lost, { code: 'lost' });
    const refused = await fails();
    t.match(refused, { step: 'connect', code: 'refused', remedy: 'unreachable' });
    t.match(refused.message, `"ControlPort ${tor.port}" and "CookieAuthentication 1"`);
    await unlink(socket).catch(() => {});
    const gone = await fails({ kind: 'unix', path: socket });
    t.match(gone, { step: 'connect', code: 'no-socket', remedy: 'unreachable' });
    t.match(gone.message, `there is no Tor control socket at unix:${socket}`);
  });
});

t.test('a real tor, password, both, or nothing', async (t) => {
  const hash = hashPassword(PASSWORD);
  const start = async (torrc: readonly string[]): Promise<OfflineTor & { dir: string }> => {
    const { dir, remove } = await temporaryFolder();
    const tor = await startOfflineTor(dir, ['ControlPort 127.0.0.1:auto', ...torrc]);
    t.teardown(async () => {
      await tor.kill();
      await remove();
    });
    return { ...tor, dir };
  };
  const fails = (port: number, password?: string) =>
    failure(
      connectControl({
        endpoint: tcp(port),
        signal: never,
        ...(password === undefined ? {} : { password }),
      }),
    );

  const withPassword = await start([`HashedControlPassword ${hash}`]);
  t.ok(await works(tcp(withPassword.port), PASSWORD), 'right password');
  const wrong = await fails(withPassword.port, 'wrong');
  t.match(wrong, { step: 'authenticate', code: 'auth-failed', remedy: 'configuration' });
  t.match(
    wrong.message,
    /HASHEDPASSWORD: wrong password: Tor answered "515 .*Password did not match/,
  );
  t.notMatch(wrong.message, '"wrong"', 'the password is not repeated');
  const none = await fails(withPassword.port);
  t.match(none, { code: 'auth-failed', remedy: 'configuration' });
  t.match(none.message, /HASHEDPASSWORD: no control password is configured/);
  t.match(await fails(withPassword.port, 'two\r\nlines'), { code: 'bad-password' });

  const both = await start([`HashedControlPassword ${hash}`, 'CookieAuthentication 1']);
  t.ok(await works(tcp(both.port)), 'both: cookie');
  await truncate(join(both.dir, 'control_auth_cookie'), 0);
  t.ok(await works(tcp(both.port), PASSWORD), 'both: an empty cookie file, but the password');
  const everything = await fails(both.port, 'wrong');
  t.match(everything.message, /SAFECOOKIE: the cookie file .* has 0 bytes.*HASHEDPASSWORD: wrong/);
  t.match(await fails(both.port), { remedy: 'unreachable' });

  const open = await start([]);
  t.ok(await works(tcp(open.port)), 'NULL');
  t.ok(await works(tcp(open.port), 'unused'), 'NULL with a password that is not asked for');
});

t.test('malformed and hostile control ports', async (t) => {
  const { dir, remove } = await temporaryFolder();
  t.teardown(remove);
  const cookieFile = join(dir, 'cookie "x"');
  const cookie = Buffer.alloc(32, 9);
  await writeFile(cookieFile, cookie);
  const info = (methods: string, path = cookieFile) =>
    `250-PROTOCOLINFO 1\r\n250-AUTH METHODS=${methods} COOKIEFILE="${path.replace(/["\\]/g, '\\$&')}"\r\n` +
    '250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n';
  /** A fake port; `answer` gets the line and the number of the connection. */
  const serve = async (answer: (line: string, connection: number) => string | undefined) => {
    const fake = await fakeControl((line, socket, connection) => {
      const text = answer(line, connection);
      if (text === undefined || !text.endsWith('HANG UP')) return text;
      socket.end(text.slice(0, -'HANG UP'.length));
      return undefined;
    });
    t.teardown(() => fake.close());
    return fake;
  };
  const connectTo = (port: number, timeoutMs = 5_000, password?: string) =>
    connectControl({
      endpoint: tcp(port),
      signal: never,
      timeoutMs,
      ...(password === undefined ? {} : { password }),
    });

  const notTor: readonly [string, string | undefined][] = [
    ['an HTTP server', 'HTTP/1.1 400 Bad Request\r\n\r\nHANG UP'],
    ['closing at once', 'HANG UP'],
    ['closing in mid-reply', '250-PROTOCOLINFO 1\r\n250-AUTH METHHANG UP'],
    ['a line without an end', '250 '.padEnd(70_000, 'x')],
    ['another answer', '250 OK\r\n'],
    ['a refusal', '510 Unrecognized command\r\n'],
    ['garbage', '\0\x01\xff\r\n'],
  ];
  for (const [name, text] of notTor) {
    const fake = await serve(() => text);
    const error = await failure(connectTo(fake.port));
    t.match(error, { step: 'protocolinfo', code: 'not-tor', remedy: 'unreachable' }, name);
    t.match(error.message, /is not a Tor control port .*Fix: check the control host and port/s);
    t.notMatch(error.message, /\p{C}/u, 'printable');
  }
  const silent = await serve(() => undefined);
  t.match(await failure(connectTo(silent.port, 50)), { step: 'protocolinfo', code: 'no-answer' });
  const abort = new AbortController();
  const hanging = await serve(() => {
    abort.abort();
    return undefined;
  });
  const cancelled = connectControl({ endpoint: tcp(hanging.port), signal: abort.signal });
  t.match(await failure(cancelled), { step: 'authenticate', code: 'aborted' });
  t.match(await failure(connectControl({ endpoint: tcp(hanging.port), signal: abort.signal })), {
    step: 'connect',
    code: 'aborted',
  });

  await t.test('the text of a refusal is safe to show', async (t) => {
    const fake = await serve((line) => {
      if (line.startsWith('PROTOCOLINFO')) return info('NULL');
      return line.startsWith('AUTHENTICATE') ? '250 OK\r\n' : '551 no\u001b[2J\u0007\r\n';
    });
    const client = await connectTo(fake.port);
    const text = String.raw`no\u001b[2J\u0007`;
    const { message, reply } = await failure(client.command('GETINFO version'));
    t.ok(message.endsWith(`551 ${text}`), message);
    t.equal(reply?.text, text);
    client.close();
    await client.lost;
  });

  await t.test('an impostor gets neither the cookie nor its hash', async (t) => {
    const fake = await serve((line) => {
      if (line.startsWith('PROTOCOLINFO')) return info('COOKIE,SAFECOOKIE');
      return `250 AUTHCHALLENGE SERVERHASH=${'0'.repeat(64)} SERVERNONCE=${'1'.repeat(64)}\r\n`;
    });
    const error = await failure(connectTo(fake.port));
    t.match(error.message, /SAFECOOKIE: the server hash does not match/);
    t.notOk(
      fake.lines.some((line) => line.includes('AUTHENTICATE')),
      'nothing was sent',
    );
    t.notOk(fake.lines.join().includes(cookie.toString('hex')));
  });

  await t.test('a path invented by the other side', async (t) => {
    for (const [path, reason] of [
      ['/dev/zero', /not a regular file/],
      [dir, /not a regular file/],
      ['relative/path', /not an absolute path/],
      ['relative\u0007', /not an absolute path \("relative\\u0007"\)/],
    ] as const) {
      const fake = await serve(() => info('COOKIE', path));
      t.match((await failure(connectTo(fake.port))).message, reason);
      t.notOk(fake.lines.some((line) => line.includes('AUTHENTICATE')));
    }
  });

  await t.test("another program's 32 bytes", async (t) => {
    const secret = join(dir, 'cookies-not', 'seed');
    await mkdir(join(dir, 'cookies-not'));
    await writeFile(secret, Buffer.alloc(32, 5));
    const fake = await serve(() => info('COOKIE', secret));
    t.match(
      (await failure(connectTo(fake.port))).message,
      /not named like a cookie.*nothing was sent/,
    );
    t.notOk(fake.lines.some((line) => line.includes('AUTHENTICATE')));
  });

  await t.test('all methods in turn, each on a new connection', async (t) => {
    const fake = await serve((line, connection) => {
      if (line.startsWith('PROTOCOLINFO')) return info('NULL,HASHEDPASSWORD,COOKIE,SAFECOOKIE,NEW');
      if (line === 'QUIT') return 'HANG UP';
      if (line.startsWith('AUTHCHALLENGE')) return '513 no such thing\r\nHANG UP';
      return connection === 4 ? '250 OK\r\n' : '515 Authentication failed\r\nHANG UP';
    });
    const client = await connectTo(fake.port, 5_000, 'pass "word"');
    client.close();
    await client.lost;
    t.strictSame(
      fake.lines
        .map((line) => line.replace(/SAFECOOKIE .*/, 'SAFECOOKIE'))
        .filter((l) => !l.endsWith('QUIT')),
      [
        '1 PROTOCOLINFO 1',
        '1 AUTHCHALLENGE SAFECOOKIE',
        `2 AUTHENTICATE ${cookie.toString('hex')}`,
        '3 AUTHENTICATE "pass \\"word\\""',
        '4 AUTHENTICATE',
      ],
    );
    const refusing = await serve((line) => {
      if (line.startsWith('PROTOCOLINFO')) return info('NULL,HASHEDPASSWORD,COOKIE,SAFECOOKIE');
      return 'HANG UP';
    });
    const { message } = await failure(connectTo(refusing.port, 5_000, 'x'));
    t.match(message, /SAFECOOKIE: .*COOKIE: .*HASHEDPASSWORD: .*NULL: .*was closed by Tor/);
    const unknown = await serve(() => info('HOLOGRAM'));
    t.match((await failure(connectTo(unknown.port))).message, /Tor offers only HOLOGRAM/);
  });

  await t.test('SAFECOOKIE as the specification computes it', async (t) => {
    const nonce = Buffer.alloc(32, 5);
    let expected = '';
    const fake = await serve((line) => {
      if (line.startsWith('PROTOCOLINFO')) return info('SAFECOOKIE');
      const challenge = /^AUTHCHALLENGE SAFECOOKIE ([0-9a-f]{64})$/.exec(line)?.[1];
      if (challenge !== undefined) {
        const input = Buffer.concat([cookie, Buffer.from(challenge, 'hex'), nonce]);
        const hash = (key: string) => createHmac('sha256', key).update(input).digest('hex');
        expected = hash('Tor safe cookie authentication controller-to-server hash');
        const server = hash('Tor safe cookie authentication server-to-controller hash');
        return `250 AUTHCHALLENGE SERVERHASH=${server.toUpperCase()} SERVERNONCE=${nonce.toString('hex')}\r\n`;
      }
      return line === `AUTHENTICATE ${expected}` ? '250 OK\r\n' : '515 no\r\nHANG UP';
    });
    const client = await connectTo(fake.port);
    client.close();
    await client.lost;
    t.equal(fake.lines.filter((line) => line.includes('AUTHENTICATE')).length, 1);
  });

  const afterwards = async (text: string) => {
    const fake = await serve((line) => {
      if (line.startsWith('PROTOCOLINFO')) return info('NULL');
      return line === 'AUTHENTICATE' ? '250 OK\r\n' : text;
    });
    return connectTo(fake.port);
  };
  await t.test('hostile after authentication', async (t) => {
    for (const [text, code] of [
      ['250 OK\r\n250 OK\r\n', 'bad-bytes'],
      ['bogus\r\n', 'bad-bytes'],
      ['250-'.padEnd(70_000, 'x'), 'bad-bytes'],
      ['250-half of an answer\r\nHANG UP', 'lost'],
    ] as const) {
      const client = await afterwards(text);
      const command = client.command('GETINFO version').catch((error: unknown) => error);
      t.match(await client.lost, { step: 'lost', code });
      await command;
      t.equal(client.closed, true);
    }
    const client = await afterwards('250-never an end\r\n');
    const aborter = new AbortController();
    const first = failure(client.command('GETINFO version', { timeoutMs: 30 }));
    const second = failure(client.command('GETINFO version', { signal: aborter.signal }));
    const third = failure(client.command('GETINFO version'));
    aborter.abort();
    t.match(await second, { code: 'aborted' }, 'never sent');
    t.match(await first, { code: 'timeout' });
    const many = Array.from({ length: 1_001 }, () =>
      client.command('GETINFO version').catch((error: unknown) => error),
    );
    t.match(await many.at(-1), { code: 'queue-full' });
    client.close();
    t.match(await third, { step: 'lost', code: 'closed' });
    t.equal(await client.lost, undefined, 'closed although the other side never answers QUIT');
    await Promise.all(many);
  });
});

t.test('no listener', async (t) => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  server.close();
  await once(server, 'close');
  const error = await failure(connectControl({ endpoint: tcp(port), signal: never }));
  t.match(error, { step: 'connect', code: 'refused' });
  t.match(error.message, `nothing listens at the Tor control port 127.0.0.1:${port}`);
});
