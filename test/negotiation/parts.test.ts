import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import * as fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t, { type Test } from 'tap';
import { DEFAULT_LIMITS, DEFAULT_TIMINGS } from '../../src/channel/channel-settings.js';
import { createInbox } from '../../src/channel/messages/inbox.js';
import { silentLog } from '../../src/channel/log.js';
import { judgeCoins, readDeclaredPart } from '../../src/negotiation/taker/answers.js';
import type { ChainCoin } from '../../src/negotiation/ports.js';
import { createBoxKeyPair, openBoxSession } from '../../src/protocol/encryption.js';
import type { Offer } from '../../src/protocol/offer.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import { ownText } from '../../src/protocol/own-text.js';
import { signText } from '../../src/protocol/signature.js';
import { createBlacklist } from '../../src/negotiation/maker/blacklist.js';
import { createCommitmentRelay } from '../../src/negotiation/maker/commitment-relay.js';
import {
  createRequestLimiter,
  DEFAULT_REQUEST_LIMITS,
  type Link,
} from '../../src/negotiation/maker/request-limits.js';
import {
  formatIoAuth,
  formatRefusal,
  isRefusalTo,
  parseFill,
  parseIoAuth,
  parseSignatureText,
  parseTransactionText,
  shownText,
  type IoAuth,
} from '../../src/negotiation/payloads.js';
import { addressScript } from '../../src/bitcoin/address.js';
import { buildUnsigned, parseUnsigned, signedIds } from '../../src/negotiation/transaction.js';
import { openCommitmentFile } from '../../src/ops/commitment-file.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { announceCommitment } from '../../src/roles/announce-commitment.js';
import { unicodeText } from '../helpers/unicode-text.js';
import { anyPort, openLiveTestChannel } from '../helpers/test-channel.js';
import {
  addressOf,
  createMemoryChain,
  createMemoryCommitments,
  secretOf,
} from '../helpers/coinjoin-world.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { createTestClock } from '../helpers/test-clock.js';

const C = 'ab12'.repeat(16);
const commitmentOf = (n: number): string => n.toString(16).padStart(64, '0');
const link = (port: number): Link => ({
  kind: 'directory',
  location: { kind: 'loopback', host: '127.0.0.1', port },
});

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test('fill', (t) => {
  const key = '1c'.repeat(32);
  const good = ['0', '100000', key, `P${C.toUpperCase()}`];
  t.strictSame(parseFill(good), {
    ok: true,
    value: { oid: 0, amount: 100_000, takerKey: key, commitment: C },
  });
  t.ok(parseFill([...good, 'features=x']).ok, 'further arguments are tolerated');
  const table: readonly (readonly [readonly string[], string])[] = [
    [[], 'fill-arity'],
    [good.slice(0, 3), 'fill-arity'],
    [['-1', ...good.slice(1)], 'fill-oid'],
    [['0', '1e5', ...good.slice(2)], 'fill-amount'],
    [['0', '0', ...good.slice(2)], 'fill-amount'],
    [['0', '2100000000000001', ...good.slice(2)], 'fill-amount'],
    [['0', '99999999999999999999', ...good.slice(2)], 'fill-amount'],
    [[...good.slice(0, 3), `Q${C}`], 'commitment-type'],
    [[...good.slice(0, 3), `P${C}0`], 'commitment-form'],
    [[...good.slice(0, 3), C.replace('a', 'P')], 'commitment-form'],
  ];
  for (const [args, reason] of table) t.strictSame(parseFill(args), { ok: false, reason });
  t.end();
});

t.test('ioauth', (t) => {
  const coin = `${'aa'.repeat(32)}:1`;
  const key = `02${'bb'.repeat(32)}`;
  t.match(parseIoAuth(`${coin},${'cc'.repeat(32)}:0 ${key} one two c2ln`), {
    ok: true,
    value: { coins: [{ vout: 1 }, { vout: 0 }], coinjoinAddress: 'one', changeAddress: 'two' },
  });
  const table: readonly (readonly [string, string])[] = [
    ['', 'ioauth-arity'],
    [`${coin} ${key} one two`, 'ioauth-arity'],
    [`${coin},${coin} ${key} one two c2ln`, 'ioauth-coins'],
    [`${coin}, ${key} one two c2ln`, 'ioauth-coins'],
    [
      `${Array.from({ length: 101 }, (_, n) => `${'aa'.repeat(32)}:${n}`).join(',')} ${key} a b c`,
      'ioauth-coins',
    ],
    [`${coin} 05${'bb'.repeat(32)} one two c2ln`, 'ioauth-key'],
    [`${coin} ${key} ${'a'.repeat(101)} two c2ln`, 'ioauth-address'],
  ];
  for (const [text, reason] of table) t.strictSame(parseIoAuth(text), { ok: false, reason });
  t.end();
});

t.test('how a taker reads an ioauth', (t) => {
  const secret = secretOf('maker');
  const mine = createBoxKeyPair(randomBytes);
  const takerKeys = createBoxKeyPair(randomBytes);
  const box = openBoxSession(mine, takerKeys.publicKeyHex);
  if (!box.ok) throw new Error(box.reason);
  const chain = createMemoryChain();
  const coin = chain.mint(secret, 1_500_000);
  const good: IoAuth = {
    coins: [coin],
    authPublicKey: bytesToHex(secp256k1.getPublicKey(secret, true)),
    coinjoinAddress: addressOf('maker coinjoin'),
    changeAddress: addressOf('maker change'),
    signature: signText(takerKeys.publicKeyHex, secret),
  };
  const read = (change: Partial<IoAuth>, taken: readonly string[] = []) =>
    readDeclaredPart(formatIoAuth({ ...good, ...change }), box.value, {
      network: 'signet',
      makerCoins: 2,
      taken: new Set(taken),
    });
  const declared = read({});
  if (!declared.ok) throw new Error(declared.detail);
  const script = addressScript('signet', good.changeAddress) ?? '';
  const lies: readonly (readonly [ReturnType<typeof read>, string])[] = [
    [read({ signature: signText(mine.publicKeyHex, secret) }), 'bad-auth-signature'],
    [read({ signature: signText(takerKeys.publicKeyHex, secretOf('x')) }), 'bad-auth-signature'],
    [read({ authPublicKey: `02${'00'.repeat(32)}` }), 'bad-auth-signature'],
    [read({ coinjoinAddress: 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4' }), 'bad-address'],
    [read({ changeAddress: good.coinjoinAddress }), 'shared'],
    [read({}, [formatOutpoint(coin)]), 'shared'],
    [read({}, [script]), 'shared'],
    [read({ coins: [0, 1, 2].map((vout) => ({ ...coin, vout })) }), 'bad-ioauth'],
  ];
  for (const [judged, fault] of lies) t.match(judged, { ok: false, fault });

  const found = { script: coin.script, value: coin.value, confirmations: 1 };
  const offer: Offer = {
    type: 'sw0absoffer',
    oid: 0,
    minsize: 1,
    maxsize: 1_000_000,
    txfee: 100,
    cjfee: '500',
  };
  const judge = (changed: Partial<ChainCoin> | undefined) =>
    judgeCoins(declared.value, [changed && { ...found, ...changed }], offer, 1_000_000);
  t.match(judge({}), { ok: true, value: { change: 500_400, fee: 500, txfee: 100 } });
  t.match(judge({ value: 1_000_000 + 100 - 500 + 27_300 }), { ok: true });
  const faults: readonly (readonly [ReturnType<typeof judge>, string])[] = [
    [judge(undefined), 'coin-missing'],
    [judge({ confirmations: 0 }), 'coin-unconfirmed'],
    [judge({ script: `76a914${'00'.repeat(20)}88ac` }), 'coin-kind'],
    [judge({ script: `0014${'00'.repeat(20)}` }), 'coin-key'],
    [judge({ value: 1_000_000 + 100 - 500 + 27_299 }), 'coins-small'],
  ];
  for (const [judged, fault] of faults) t.match(judged, { ok: false, fault });
  t.end();
});

t.test('addresses belong to one network', (t) => {
  const signet = addressOf('address');
  t.match(addressScript('signet', signet), /^0014[0-9a-f]{40}$/);
  t.equal(addressScript('mainnet', signet), undefined);
  t.equal(addressScript('regtest', signet), undefined);
  t.equal(addressScript('signet', `${signet.slice(0, -1)}x`), undefined);
  t.equal(addressScript('signet', ''), undefined);
  t.end();
});

t.test('transactions to be signed', (t) => {
  const input = { txid: 'aa'.repeat(32), vout: 1, sequence: 0xffff_fffe };
  const output = { script: `0014${'bb'.repeat(20)}`, value: 1_000 };
  const tx = buildUnsigned([input], [output], 7);
  if (!tx.ok) throw new Error(tx.reason);
  t.match(parseUnsigned(tx.value.bytes), {
    ok: true,
    value: { version: 2, lockTime: 7, inputs: [input], outputs: [output] },
  });
  t.equal(signedIds(tx.value.bytes)?.unsignedTxid, tx.value.txid);
  const changed = (at: number, value: number): Uint8Array => {
    const bytes = Uint8Array.from(tx.value.bytes);
    bytes[at] = value;
    return bytes;
  };
  const table: readonly (readonly [string, Uint8Array, string])[] = [
    ['version 3', changed(0, 3), 'tx-version'],
    ['cut', tx.value.bytes.slice(0, -1), 'tx-form'],
    ['longer', Uint8Array.from([...tx.value.bytes, 0]), 'tx-form'],
    ['too large', new Uint8Array(20_001), 'tx-size'],
    ['nothing', new Uint8Array(), 'tx-form'],
  ];
  for (const [name, bytes, reason] of table) {
    t.strictSame(parseUnsigned(bytes), { ok: false, reason }, name);
  }
  t.match(buildUnsigned([input, input], [output], 0), { reason: 'tx-double-spend' });
  const rich = { ...output, value: 2_100_000_000_000_000 };
  t.match(buildUnsigned([input], [rich, output], 0), { reason: 'tx-value' });
  t.end();
});

t.test('no text makes a parser throw', (t) => {
  const near = fc.oneof(
    fc.string(),
    unicodeText(),
    fc.stringMatching(/^[0-9a-fA-F:, |]{0,200}$/),
    fc.base64String(),
  );
  fc.assert(
    fc.property(near, fc.uint8Array({ maxLength: 400 }), (text, bytes) => {
      parseFill(text.split(' '));
      parseIoAuth(text);
      parseSignatureText(text);
      parseTransactionText(text);
      parseUnsigned(bytes);
      signedIds(bytes);
      addressScript('mainnet', text);
      return /^\P{C}{0,200}$/u.test(shownText(text));
    }),
  );
  fc.assert(
    fc.property(near, unicodeText(), (reason, key) => {
      const refusal = formatRefusal(reason, key);
      const mine = formatRefusal(reason, C);
      return /^[ -~]{1,200}$/.test(refusal) && isRefusalTo(mine, C) && ownText(key) === key;
    }),
  );
  t.notOk(isRefusalTo(formatRefusal('oid not found', C), commitmentOf(1)));
  const valid = buildUnsigned(
    [{ txid: 'aa'.repeat(32), vout: 0, sequence: 0 }],
    [{ script: '51', value: 1 }],
    0,
  );
  const bytes = valid.ok ? valid.value.bytes : new Uint8Array();
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
      const mutated = Uint8Array.from(bytes);
      mutated[at] = value;
      const parsed = parseUnsigned(mutated);
      // The parsed value equals the input, to the byte.
      return !parsed.ok || Buffer.from(parsed.value.bytes).equals(Buffer.from(mutated));
    }),
  );
  t.pass('and the parsed value equals the input');
  t.end();
});

async function folderFor(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'commitments-'));
  t.teardown(() => rm(folder, { recursive: true }));
  return folder;
}

t.test('the file of used commitments', async (t) => {
  const path = join(await folderFor(t), 'cmtdata', 'commitmentlist');
  await t.test('one commitment in four spellings counts once', async (t) => {
    const file = await openCommitmentFile(path);
    const spellings = [
      C,
      C.toUpperCase(),
      `P${C}`,
      ` ${C.slice(0, 32)}${C.slice(32).toUpperCase()} `,
    ];
    const added = await Promise.all(spellings.map((spelling) => file.add(spelling)));
    t.strictSame(added, [true, false, false, false]);
    t.ok(spellings.every((spelling) => file.has(spelling)));
    t.equal(file.size, 1);
    await t.rejects(file.add('not one'), RangeError);
    t.notOk(file.has('not one'));
    await file.close();
    t.equal(await readFile(path, 'latin1'), `${C}\n`);
    t.equal((await stat(path)).mode & 0o777, 0o600);
  });

  await t.test('a commitment reported as written is on disk before the close', async (t) => {
    const file = await openCommitmentFile(path);
    await Promise.all([1, 2, 3].map((n) => file.add(commitmentOf(n))));
    t.equal((await readFile(path, 'latin1')).trim().split('\n').length, 4);
    await file.close();
  });

  await t.test('a crash costs only the line that it cut', async (t) => {
    await appendFile(path, commitmentOf(4).slice(0, 40));
    const file = await openCommitmentFile(path);
    t.match({ size: file.size, ignoredLines: file.ignoredLines }, { size: 4, ignoredLines: 1 });
    await file.add(commitmentOf(5));
    await file.close();
    const again = await openCommitmentFile(path);
    t.ok([C, ...[1, 2, 3, 5].map(commitmentOf)].every((known) => again.has(known)));
    t.equal(again.ignoredLines, 1);
    await again.close();
  });

  await t.test("the original's file is read: no line feed at the end, any case", async (t) => {
    await writeFile(path, [C.toUpperCase(), commitmentOf(1), commitmentOf(2)].join('\n'));
    const file = await openCommitmentFile(path);
    t.equal(file.size, 3);
    await file.add(commitmentOf(3));
    await file.close();
    const lines = (await readFile(path, 'latin1')).split('\n').filter((line) => line !== '');
    t.strictSame(lines.slice(2), [commitmentOf(2), commitmentOf(3)]);
  });

  await t.test('a large file, and lines without end', async (t) => {
    const many = Array.from({ length: 20_000 }, (_, n) => commitmentOf(n));
    await writeFile(path, `${many.join('\n')}\n${'f'.repeat(300_000)}\n${C}`);
    const file = await openCommitmentFile(path);
    t.match(
      { size: file.size, ignoredLines: file.ignoredLines },
      { size: 20_001, ignoredLines: 1 },
    );
    await file.close();
  });
});

t.test('used commitments are relayed once, at a bounded rate', async (t) => {
  const clock = createTestClock();
  const told: string[] = [];
  const relay = createCommitmentRelay({
    announce: async (commitment) => void told.push(commitment),
    clock,
    log: silentLog,
    limits: { perMinute: 3 },
  });
  t.equal(relay.relay(C, 'others'), true);
  t.equal(relay.relay(C, 'others'), false, 'by a second directory');
  t.equal(relay.relay(C, 'us'), false);
  for (const n of [1, 2, 3, 4]) relay.relay(commitmentOf(n), 'others');
  await nextTurn();
  t.strictSame(told, [C, commitmentOf(1), commitmentOf(2)]);
  t.equal(relay.relay(commitmentOf(9), 'us'), true, 'our own commitments have their own budget');
  clock.advance(20_000);
  t.equal(relay.relay(commitmentOf(3), 'others'), true, 'a refused commitment may come again');
  await nextTurn();
  t.equal(told.length, 5);
  relay.close();
  t.equal(relay.relay(commitmentOf(7), 'us'), false);
});

t.test('other peers cannot prevent the relay of our own commitments', async (t) => {
  const told: string[] = [];
  const held: (() => void)[] = [];
  const relay = createCommitmentRelay({
    announce: (commitment) => {
      told.push(commitment);
      return new Promise((resolve) => held.push(resolve));
    },
    clock: createTestClock(),
    log: silentLog,
    limits: { perMinute: 10, waiting: 4 },
  });
  const list = createBlacklist(
    { store: createMemoryCommitments(), relay },
    createTestClock(),
    silentLog,
  );
  // Used commitments are public, so any peer can send them to us.
  for (let n = 0; n < 100; n += 1) list.used(commitmentOf(n), 'before');
  t.equal(relay.waiting, 4, 'one is being relayed');
  list.used(C, 'now');
  t.equal(relay.waiting, 5);
  held.shift()?.();
  await nextTurn();
  t.strictSame(told, [commitmentOf(0), C], 'ours is the next');
  relay.close();
  held.shift()?.();
});

t.test('commitments of other peers are accepted within bounds', (t) => {
  const clock = createTestClock();
  const store = createMemoryCommitments();
  const passed: string[] = [];
  const relay = {
    waiting: 0,
    close() {},
    relay: (commitment: string) => passed.push(commitment) > 0,
  };
  const list = createBlacklist({ store, relay, mostHeard: 150 }, clock, silentLog);
  const hp2 = (n: number) => [{ name: 'hp2', args: [commitmentOf(n).toUpperCase()] }];
  list.heard(hp2(1), link(1), 'J5a', false);
  t.ok(store.has(commitmentOf(1)));
  t.strictSame(passed, [], 'a public one is not relayed');
  list.heard(hp2(2), link(1), 'J5a', true);
  t.strictSame(passed, [commitmentOf(2)]);
  for (const bad of ['', 'xyz', C.slice(1), `P${C}`]) {
    list.heard([{ name: 'hp2', args: [bad] }], link(1), 'J5a', true);
  }
  t.equal(store.size, 2);
  for (let n = 10; n < 1_000; n += 1) list.heard(hp2(n), link(1), 'J5a', false);
  t.ok(store.size <= 120, 'one directory has a bounded share');
  for (let n = 1_000; n < 2_000; n += 1) list.heard(hp2(n), link(2), 'J5a', false);
  t.equal(store.size, 150, 'all together have a bound');
  const deaf = createMemoryCommitments();
  createBlacklist({ store: deaf, acceptBroadcasts: false }, clock, silentLog).heard(
    hp2(1),
    link(1),
    'J5a',
    false,
  );
  t.equal(deaf.size, 0);
  t.end();
});

t.test('the request limiter', (t) => {
  const clock = createTestClock();
  const limiter = createRequestLimiter(clock, DEFAULT_REQUEST_LIMITS);
  t.equal(limiter.mayAskOrderbook('J5a', link(1)), true);
  t.equal(limiter.mayAskOrderbook('J5a', link(2)), false, 'not again by another route');
  clock.advance(10_000);
  t.equal(limiter.mayAskOrderbook('J5a', link(2)), true);

  const asked = (name: string, port: number): number =>
    Array.from({ length: 10_000 }, (_, n) =>
      limiter.mayAskOrderbook(`J5${name}${n}`, link(port)),
    ).filter(Boolean).length;
  t.equal(asked('flood', 1), 50, 'fresh nicks by one directory');
  t.equal(asked('other', 2), 49, 'leave the other directory its share');
  t.equal(asked('third', 3), 0, 'all together have a bound');
  const fills = Array.from({ length: 10_000 }, (_, n) => limiter.mayFill(`J5fill${n}`, link(1)));
  t.equal(fills.filter(Boolean).length, 20);
  t.equal(
    Array.from({ length: 20 }, () => limiter.mayFill('J5one', link(2))).filter(Boolean).length,
    6,
    'also for one nick',
  );
  t.equal(limiter.mayFill('J5one', link(1)), false);
  clock.advance(10_000);
  t.equal(limiter.mayFill('J5one', link(3)), true, 'requests on another route do not count');
  const direct = Array.from({ length: 10_000 }, (_, n) =>
    limiter.mayFill(`J5direct${n}`, { kind: 'direct' }),
  );
  t.equal(direct.filter(Boolean).length, 20, 'fresh nicks over direct links');
  t.equal(limiter.mayFill('J5two', link(3)), true, 'leave the directories their share');
  t.ok(limiter.remembered <= 5 * DEFAULT_REQUEST_LIMITS.remembered);
  t.end();
});

t.test('the record of a peer does not keep its lines in memory', (t) => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  const heap = (): number => {
    if (typeof collect === 'function') collect();
    return process.memoryUsage().heapUsed;
  };
  const clock = createTestClock();
  const limiter = createRequestLimiter(clock, DEFAULT_REQUEST_LIMITS);
  const store = createMemoryCommitments();
  const list = createBlacklist({ store }, clock, silentLog);
  const inbox = createInbox('J5me', { timings: DEFAULT_TIMINGS, limits: DEFAULT_LIMITS }, clock);
  const before = heap();
  const lines = 1_000;
  for (let n = 0; n < lines; n += 1) {
    clock.advance(1_000);
    const nick = `J5${n.toString(36).padStart(14, 'x')}`;
    // As received from the socket: one string of 39,000 characters.
    const line = Buffer.from(`${nick}!PUBLIC!hp2 ${commitmentOf(n)} ${'x'.repeat(39_000)}`);
    const heard = inbox.public(line.toString('latin1'), 'a');
    if (heard.verdict !== 'fresh') throw new Error('an hp2');
    const { from, commands } = heard.message;
    list.heard(commands, link(1), from, false);
    limiter.mayAskOrderbook(from, link(1));
  }
  t.equal(store.size, lines);
  const kept = (heap() - before) / lines;
  t.ok(kept < 4_000, `${Math.round(kept)} bytes for each`);
  t.ok(limiter.remembered > 0);
  t.end();
});

t.test('hp2 is sent under a fresh nick and over fresh circuits', async (t) => {
  const directory = await serveDirectory(t, anyPort(), systemClock, 'J5directoryOOOOO');
  const listener = openLiveTestChannel([directory.location]);
  t.teardown(() => listener.close());
  await listener.next('welcome');
  const isolations: string[] = [];
  const overlay = anyPort();
  const options = {
    network: 'signet' as const,
    directories: [directory.location],
    overlay: {
      ...overlay,
      dial: (...[location, dialOptions]: Parameters<typeof overlay.dial>) => {
        isolations.push(dialOptions.isolation ?? '');
        return overlay.dial(location, dialOptions);
      },
    },
    clock: systemClock,
    random: Math.random,
    randomBytes,
  };
  const { signal } = new AbortController();
  await announceCommitment(C, signal, options);
  await announceCommitment(commitmentOf(1), signal, options);
  const [first, second] = [await listener.next('pubmsg'), await listener.next('pubmsg')];
  t.strictSame([first.text, second.text], [`hp2 ${C}`, `hp2 ${commitmentOf(1)}`]);
  t.not(first.from, second.from);
  t.equal(new Set(isolations).size, 2);
  t.ok(isolations.every((name) => name.startsWith('hp2:')));
  await t.rejects(announceCommitment(C, AbortSignal.abort(), options));
});
