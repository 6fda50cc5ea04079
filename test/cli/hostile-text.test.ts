/** Untrusted text at each place where a command reads it: no part of it acts on a terminal. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { REQUEST_SOCKET } from '../../src/ops/request-socket.js';
import { APP_NAME } from '../../src/protocol/constants.js';
import { formatPrivmsg, formatPubmsg } from '../../src/protocol/message.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { runCli, startCli, type Ended, type RunningCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';
import { fakeControl } from '../helpers/fake-control.js';
import { dialRaw, serveRaw, type RawPeer } from '../helpers/raw-peer.js';

/** Hostile text of every kind. Each piece ends in a word by which the test finds it. */
const EVIL = [
  '\u001b]0;title\u0007',
  '\u001b[31m\u001b[2J\u001b[H',
  '\u009b31m\u0085',
  '\u001bP+q\u001b\\\b\r\v\f\t',
  '\u007f\u0000',
  '\u202e\u2066\u200f\u061c',
  '\u200b\u200d\ufeff\u00ad\u034f\ufe0f',
  '\u2028\u2029',
  '\ud800',
  '\u{e0041}\uffff\ue000',
  `a${'\u0301'.repeat(30)}`,
]
  .map((piece) => `${piece}EVIL`)
  .join('');
/** The same without characters that JSON, a line or a file must escape. */
const EVIL_LINE = EVIL.replace(/[\n\r\0]|\p{Cs}/gu, '');
/** The same without blanks, `!` and characters that cannot be signed. */
const EVIL_WORD = EVIL.replace(/[\s!]|\p{Cs}/gu, '');

const ACTS = /[^\P{C}\n]|[\p{Zl}\p{Zp}]|(?!\n)\p{Default_Ignorable_Code_Point}|\p{M}{5}/u;

/** Asserts that both outputs are harmless, and with `shown` that they contain the hostile text. */
function harmless(t: Test, what: string, { stdout, stderr }: Ended, shown = true): void {
  for (const [name, text] of Object.entries({ stdout, stderr })) {
    const [found] = ACTS.exec(text) ?? [];
    t.equal(found, undefined, `${what}: ${name}${found === undefined ? '' : ` ${text}`}`);
  }
  if (shown) t.match(stdout + stderr, /EVIL/i, `${what}: shown`);
}

async function folder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'omch-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function datadirWith(t: Test, config: string): Promise<string> {
  const dir = await folder(t);
  await writeFile(join(dir, 'joinmarket.cfg'), config);
  return dir;
}

async function terminated(cli: RunningCli): Promise<Ended> {
  cli.child.kill('SIGTERM');
  return cli.ended;
}

async function listening(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return address.port;
}

const answer = (changes: object): string =>
  JSON.stringify({
    'app-name': APP_NAME,
    directory: true,
    'proto-ver-min': 5,
    'proto-ver-max': 5,
    features: { peerlist_features: true, [EVIL]: true, ping: EVIL },
    accepted: true,
    nick: 'J5hostileOOOOOOO',
    network: 'signet',
    motd: `DIRECTORY NODE: x\nJOINMARKET VERSION: ${EVIL}\n${EVIL}`,
    ...changes,
  });

const MAKER = createNickKey(randomBytes);
const OFFER = 'sw0reloffer 0 27300 1000000 0 0.00002';

/** The number of messages in `floods` that are not junk. */
const POLITE = 6;

/** All messages that a directory can send, with each field hostile once. */
function floods(nick: string): readonly (readonly [type: number, payload: string])[] {
  const onion = `${'a'.repeat(55)}${EVIL_WORD}.onion:5222`;
  return [
    [789, `${EVIL};${onion},${EVIL_WORD};NOT-SERVING-ONION,${MAKER.nick};${onion};F:${EVIL}`],
    [789, `${MAKER.nick};NOT-SERVING-ONION;F:${EVIL_WORD}+ping;${EVIL_WORD}`],
    [687, formatPubmsg(MAKER.nick, OFFER)],
    [
      687,
      formatPubmsg(
        MAKER.nick,
        `${EVIL} ${EVIL}!${OFFER.replace(' 0 ', ' 7 ')}${EVIL}!sw0reloffer 1 ${EVIL} 5 0 0.1`,
      ),
    ],
    [685, formatPrivmsg(MAKER, nick, 'error', EVIL_WORD)],
    [687, formatPubmsg(MAKER.nick, `hp2 ${EVIL}`)],
    [687, formatPubmsg(EVIL, `!${OFFER}`)],
    [687, formatPubmsg(EVIL_WORD, OFFER)],
    [687, formatPubmsg(MAKER.nick, `cancel ${EVIL}`)],
    [685, `${EVIL}!${nick}!fill ${EVIL}`],
    [685, formatPrivmsg(MAKER, nick, 'error', EVIL_WORD)],
    [
      685,
      formatPrivmsg(MAKER, nick, 'fill', `${EVIL_WORD} ${EVIL_WORD} ${EVIL_WORD} P${EVIL_WORD}`),
    ],
    [685, formatPrivmsg(MAKER, nick, 'fill', `0 100000 ${'ab'.repeat(32)} P${EVIL_WORD}`)],
    [685, formatPrivmsg(MAKER, nick, 'auth', EVIL_WORD)],
    [685, formatPrivmsg(MAKER, nick, 'push', EVIL_WORD)],
    [685, formatPrivmsg(MAKER, nick, 'sw0reloffer', `0 1 ${EVIL_WORD} 0 0.1!tbond ${EVIL_WORD}`)],
    [685, `${MAKER.nick}!${nick}!error ${EVIL} ${EVIL} ${EVIL}`],
    [Number.NaN, EVIL],
    [31_337, EVIL],
  ];
}

/**
 * A directory that answers every handshake with `changes`, sends a flood to each peer, and answers requests
 * to the maker with a hostile error.
 * @param rude also sends junk, until the peer closes for it
 */
async function hostileDirectory(t: Test, changes: object, rude = false): Promise<string> {
  const server = await serveRaw();
  t.teardown(() => server.close());
  const talk = async (peer: RawPeer): Promise<void> => {
    const { line } = await peer.nextOf(793);
    const { nick }: { nick: string } = JSON.parse(line);
    peer.send(795, answer(changes));
    // A peer tolerates ten junk lines a minute; more of them end the connection.
    const all = floods(nick);
    for (const [type, payload] of rude ? all : all.slice(0, POLITE)) peer.send(type, payload);
    const line687 = `{"type":687,"line":"${MAKER.nick}!PUBLIC!${EVIL_LINE}"}\r\n`;
    if (rude) peer.raw(line687.repeat(11));
    for (;;) {
      const asked = await peer.next();
      if (asked.type !== 685) continue;
      const [from = ''] = asked.line.split('!');
      // Not a copy of the previous message.
      peer.send(685, formatPrivmsg(MAKER, from, 'error', `${EVIL_WORD} ${from}`));
    }
  };
  const accept = async (): Promise<void> => {
    for (;;) talk(await server.accept()).catch(() => {});
  };
  void accept();
  return `${server.location.host}:${server.location.port}`;
}

const DEBUG = ['--log-level', 'DEBUG', '--datadir'];
const FILL = ['fill', '0', '100000', 'ab'.repeat(32), `P${'cd'.repeat(32)}`];

t.test('text of a directory, at a taker', async (t) => {
  const dir = await datadirWith(
    t,
    loopbackConfig({ nodes: await hostileDirectory(t, {}), waitSec: 5 }),
  );
  const taker = (...args: string[]) => runCli(['taker', ...args, ...DEBUG, dir]);
  const asking = ['--wait', '20', '--ask', MAKER.nick, ...FILL];
  const [table, json, asked, askedJson] = await Promise.all([
    taker('--once'),
    taker('--once', '--json'),
    taker(...DEBUG, dir, ...asking),
    taker('--json', ...DEBUG, dir, ...asking),
  ]);
  harmless(t, '--once', table, false);
  t.match(table.stdout, MAKER.nick);
  harmless(t, '--once --json', json);
  t.match(JSON.parse(json.stdout), { directories: [{ motd: /u001b\[31m/ }] });
  harmless(t, '--ask', asked);
  t.match(asked.stdout, /error .*EVIL/);
  harmless(t, '--ask --json', askedJson);
  t.same(JSON.parse(askedJson.stdout).commands[0].args[0], EVIL_WORD, 'JSON holds the text itself');
  const rude = await datadirWith(t, loopbackConfig({ nodes: await hostileDirectory(t, {}, true) }));
  const live = startCli(['taker', ...DEBUG, rude]);
  await live.shows('stderr', /meaningless/);
  harmless(t, 'live', await terminated(live), false);
});

t.test('text of a directory, at a maker and a watcher', async (t) => {
  const nodes = `${await hostileDirectory(t, {}, true)},${await hostileDirectory(t, {})}`;
  const maker = startCli(['maker', ...DEBUG, await datadirWith(t, loopbackConfig({ nodes }))]);
  await maker.shows('stderr', /meaningless/);
  const watcher = startCli([
    'ob-watcher',
    '--port',
    '0',
    ...DEBUG,
    await datadirWith(t, loopbackConfig({ nodes })),
  ]);
  const [url] = await watcher.shows('stdout', /http:\S+/);
  await watcher.shows('stderr', /meaningless/);
  const page = await (await fetch(new URL('orderbook.json', url))).text();
  t.match(page, 'EVIL');
  t.notMatch(page, ACTS);
  harmless(t, 'maker', await terminated(maker), false);
  harmless(t, 'ob-watcher', await terminated(watcher), false);
});

t.test('text of a directory that refuses', async (t) => {
  const refusing = await hostileDirectory(t, {
    accepted: false,
    nick: EVIL,
    network: EVIL,
    motd: EVIL,
  });
  const dir = await datadirWith(t, loopbackConfig({ nodes: refusing }));
  for (const command of [['taker', '--once'], ['maker'], ['ob-watcher', '--port', '0']]) {
    const cli = startCli([...command, ...DEBUG, dir]);
    await cli.shows('stderr', /refused us.*EVIL/);
    harmless(t, command.join(' '), await terminated(cli));
  }
  const check = (...args: string[]) => runCli(['check', ...args, ...DEBUG, dir]);
  harmless(t, 'check', await check());
  harmless(t, 'check --json', await check('--json'));
});

t.test('text of a directory, at a check', async (t) => {
  const dir = await datadirWith(t, loopbackConfig({ nodes: await hostileDirectory(t, {}) }));
  const check = (...args: string[]) => runCli(['check', ...args, ...DEBUG, dir]);
  const [table, json] = await Promise.all([check(), check('--json')]);
  harmless(t, 'check', table);
  harmless(t, 'check --json', json);
  const history = join(dir, 'history.jsonl');
  await writeFile(history, `{"time":1,"location":"${EVIL_LINE}","ok":true}\n${EVIL}\n`);
  harmless(t, 'check --history', await check('--history', history));
  const unknown = await runCli(['check', EVIL.replaceAll('\0', ''), ...DEBUG, dir]);
  t.equal(unknown.code, 2);
  harmless(t, 'check ADDRESS', unknown);
});

/** A 793 of a client. */
const hello = (changes: object): string =>
  JSON.stringify({
    'app-name': APP_NAME,
    directory: false,
    'location-string': 'NOT-SERVING-ONION',
    'proto-ver': 5,
    features: { [EVIL]: true, ping: EVIL },
    nick: MAKER.nick,
    network: 'signet',
    ...changes,
  });

t.test('text of peers, at a directory', async (t) => {
  const dir = await datadirWith(t, loopbackConfig({}));
  const directory = startCli(['directory', ...DEBUG, dir]);
  const [, port = ''] = await directory.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
  const location = { kind: 'loopback', host: '127.0.0.1', port: Number(port) } as const;
  const wrong = ['app-name', 'directory', 'location-string', 'proto-ver', 'nick', 'network'];
  for (const field of wrong) {
    const peer = await dialRaw(location);
    peer.send(793, hello({ [field]: EVIL }));
    await peer.over;
  }
  for (const text of [EVIL_LINE, `{"type":793,"line":"${EVIL_LINE}"}`, `{"${EVIL_LINE}":1}`]) {
    const peer = await dialRaw(location);
    peer.raw(`${text}\r\n`);
    peer.send(793, hello({}));
    const said = await peer.nextOf(795).catch(() => undefined);
    if (said !== undefined) {
      for (const [type, payload] of floods(MAKER.nick)) peer.send(type, payload);
      // Its answer shows that all lines before it have been read.
      peer.send(797, '');
    }
    peer.end();
    await peer.over;
  }
  harmless(t, 'directory', await terminated(directory), false);
});

const http = (body: string, status = '200 OK', headers = ''): string =>
  `HTTP/1.1 ${status}\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`;

t.test('text of a status page', async (t) => {
  let said = '';
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end(said));
  });
  const port = await listening(t, server);
  const url = `http://127.0.0.1:${port}`;
  const dir = await datadirWith(t, loopbackConfig({ statusPort: port }));
  const page = JSON.stringify({
    peers: 1,
    version: EVIL,
    network: EVIL,
    state: EVIL,
    location: EVIL,
    ok: false,
    reason: EVIL,
    health: { ok: false, reason: EVIL },
    canary: { state: EVIL, testedSecondsAgo: 1 },
    dropped: { [EVIL]: 5 },
    [EVIL]: EVIL,
  });
  const raw = EVIL_LINE.replace(/\p{Cc}/gu, '');
  const answers: readonly (readonly [what: string, text: string])[] = [
    ['a page', http(page)],
    ['not JSON', http(EVIL)],
    ['JSON with raw text', http(`{"peers":"${raw}","reason":"${raw}"`)],
    ['a redirect', http('', '302 Found', `location: ${encodeURI('/\u202eEVIL')}\r\n`)],
    ['a reason phrase', http('', `500 ${raw}`)],
    ['not HTTP', `SSH-2.0 ${EVIL}\r\n`],
  ];
  for (const [what, text] of answers) {
    said = text;
    const all = [
      ['status', '--url', url],
      ['doctor', '--datadir', dir],
      ['status', '--json', '--url', url],
      ['doctor', '--json', '--datadir', dir],
    ];
    const commands = what === 'a page' ? all : all.slice(0, 2);
    const ended = await Promise.all(commands.map((args) => runCli(args)));
    for (const [i, one] of ended.entries()) {
      harmless(
        t,
        `${what}, ${commands[i]?.slice(0, 2).join(' ')}`,
        one,
        what === 'a page' && i !== 3,
      );
    }
  }
});

t.test('text of a Tor, and of another server at its port', async (t) => {
  const rude: readonly (readonly [what: string, reply: (line: string) => string])[] = [
    ['garbage', () => `${EVIL}\r\n`],
    ['a refusal', () => `510 ${EVIL}\r\n`],
    [
      'a cookie file',
      () =>
        `250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE COOKIEFILE="${EVIL_WORD.replace(/["\\]/g, '')}"\r\n250-VERSION Tor="0.4.9.1"\r\n250 OK\r\n`,
    ],
    [
      'a refused password',
      (line) =>
        line.startsWith('PROTOCOLINFO')
          ? '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250 OK\r\n'
          : `515 ${EVIL}\r\n`,
    ],
    [
      'a version',
      (line) =>
        line.startsWith('AUTHENTICATE')
          ? '250 OK\r\n'
          : `250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL,${EVIL_WORD}\r\n250-VERSION Tor="${EVIL_WORD}"\r\n250 OK\r\n`,
    ],
  ];
  for (const [what, reply] of rude) {
    const control = await fakeControl((line) => reply(line));
    t.teardown(() => control.close());
    const config = loopbackConfig({}).replace(
      'regtest_count = 1,1',
      `tor_mode = control\ntor_control_host = 127.0.0.1\ntor_control_port = ${control.port}\nsocks5_host = 127.0.0.1\nsocks5_port = ${control.port}`,
    );
    const dir = await datadirWith(t, config);
    harmless(t, `${what}, doctor`, await runCli(['doctor', '--datadir', dir]));
    // The directory continues with a Tor of such a version.
    if (what === 'a version') continue;
    const directory = startCli(['directory', ...DEBUG, dir]);
    const told = await Promise.race([
      directory.ended,
      directory.shows('stderr', /EVIL/).then(() => terminated(directory)),
    ]);
    harmless(t, `${what}, directory`, told);
  }
});

t.test('text of a SOCKS proxy', async (t) => {
  const port = await listening(
    t,
    createServer((socket) => {
      socket.on('error', () => {}).once('data', () => socket.end(EVIL));
    }),
  );
  const dir = await datadirWith(t, loopbackConfig({}).replace('regtest_count = 1,1', ''));
  const onion = `${'2'.repeat(56)}.onion`;
  const args = ['check', onion, '--socks', `127.0.0.1:${port}`, ...DEBUG, dir];
  harmless(t, 'check --socks', await runCli(args), false);
});

t.test('text in files', async (t) => {
  const config = loopbackConfig({});
  const files: readonly (readonly [what: string, text: string])[] = [
    ['a key', `${config}\n${EVIL_WORD.replace(/[=:#;[\]]/g, '')} = 1\n`],
    ['a value', config.replace('network = signet', `network = ${EVIL_WORD}`)],
    ['a section', `${config}\n[${EVIL_WORD.replace(/[[\]]/g, '')}]\nx = 1\n`],
    ['a directory', config.replace('directory_nodes = ', `directory_nodes = ${EVIL_WORD}`)],
    ['no section', EVIL_LINE],
    ['a host', config.replace('serving_host = 127.0.0.1', `serving_host = ${EVIL_WORD}`)],
  ];
  for (const [what, text] of files) {
    const dir = await datadirWith(t, text);
    if (what === 'a value' || what === 'no section') {
      harmless(t, `${what}, maker`, await runCli(['maker', '--datadir', dir]));
    }
    harmless(
      t,
      `${what}, doctor`,
      await runCli(['doctor', '--datadir', dir]),
      what !== 'a section',
    );
  }
  const dir = await datadirWith(t, config.replace('regtest_count = 1,1', 'tor_mode = control'));
  const keyDir = join(dir, 'hidden_service');
  await mkdir(keyDir, { mode: 0o700 });
  for (const name of ['hs_ed25519_secret_key', 'hs_ed25519_public_key', 'hostname']) {
    await writeFile(join(keyDir, name), EVIL, { mode: 0o600 });
  }
  harmless(t, 'key files, doctor', await runCli(['doctor', '--datadir', dir]), false);
  harmless(t, 'key files, init', await runCli(['init', '--datadir', dir]), false);
});

t.test('text of a program that answers in place of the directory', async (t) => {
  const dir = await datadirWith(t, loopbackConfig({}));
  const path = join(dir, REQUEST_SOCKET);
  for (const said of [
    { done: false, why: EVIL },
    { done: true, pid: 1, peers: 1, heldMs: 1, version: EVIL },
  ]) {
    const server = createServer((socket) => {
      socket.on('error', () => {}).once('data', () => socket.end(`${JSON.stringify(said)}\n`));
    });
    server.listen(path);
    await once(server, 'listening');
    harmless(t, 'upgrade', await runCli(['upgrade', '--datadir', dir]));
    harmless(t, 'upgrade --json', await runCli(['upgrade', '--json', '--datadir', dir]));
    server.close();
    await once(server, 'close');
  }
  const peer = { nick: EVIL, kind: EVIL, location: EVIL, features: [EVIL], direction: EVIL };
  const said = {
    peers: [peer],
    bans: [{ kind: EVIL, name: EVIL }],
    done: true,
    kicked: [EVIL],
    banned: [{ name: EVIL }],
    lifted: [],
  };
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end(`${JSON.stringify(said)}\n`));
  });
  server.listen(path);
  await once(server, 'listening');
  for (const args of [['list', '--locations'], ['kick', 'J5x', '--ban', '1h'], ['bans']]) {
    const command = [...args, '--datadir', dir];
    harmless(t, args[0] ?? '', await runCli(command));
    harmless(t, `${args[0]} --json`, await runCli([...command, '--json']));
  }
  server.close();
  await once(server, 'close');
});

t.test('text on the command line', async (t) => {
  const word = EVIL.replaceAll('\0', '');
  for (const args of [[word], ['check', '--interval', word]]) {
    const ended = await runCli(args);
    t.equal(ended.code, 2);
    harmless(t, args.join(' ').slice(0, 6), ended);
  }
});

t.test('no command writes an output except through the guard', async (t) => {
  const src = fileURLToPath(new URL('../../src/', import.meta.url));
  const names = await readdir(src, { recursive: true });
  const past: string[] = [];
  for (const name of names.filter((one) => one.endsWith('.ts'))) {
    const text = await readFile(join(src, name), 'utf8');
    if (/\bstd(out|err)\.write\(/.test(text) && name !== 'cli/print.ts') past.push(name);
    if (/\\u001b|\\x1b|\\u009b/i.test(text) && name !== 'kit/terminal.ts') past.push(name);
    if (/^(cli|demo)\//.test(name) && text.includes('JSON.stringify')) past.push(name);
  }
  t.same(past, []);
});
