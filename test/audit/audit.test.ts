/** The audit of directories: its test by seeded simulation, its rounds, its file, and over the wire. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { createAudit, type AuditOptions } from '../../src/audit/audit.js';
import { parseEvidence } from '../../src/audit/evidence.js';
import { createLeaves } from '../../src/audit/leaves.js';
import { judge, leastShare, NEW_PAIR, threshold } from '../../src/audit/pair-test.js';
import { createRounds, type ClosedRound } from '../../src/audit/rounds.js';
import type { ChannelObserver } from '../../src/channel/channel-api.js';
import { silentLog } from '../../src/channel/log.js';
import { openEvidenceFile, readEvidenceFile } from '../../src/ops/evidence-file.js';
import type { EvidenceRecord } from '../../src/orderbook/book-api.js';
import { formatLocation, type Location } from '../../src/protocol/location.js';
import { formatPrivmsg } from '../../src/protocol/message.js';
import { EVIDENCE_FILE, startDirectoryAudit } from '../../src/roles/directory-audit.js';
import { keyOf, openTestChannel } from '../helpers/test-channel.js';
import { startFakeDirectory } from '../helpers/fake-directory.js';
import { createTestClock } from '../helpers/test-clock.js';
import { simulate, type World } from './simulation.js';

const MAKERS = 20;
const MODES = ['one', 'some', 'copies'] as const;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

t.test('false alarms: 2,000 worlds of 20 makers at 5 % random loss', (t) => {
  // Every way in which makers answer, 2 to 5 directories, the loss at all directories or at one.
  let worlds = 0;
  let alarmed = 0;
  for (let seed = 0; seed < 2_000; seed++) {
    const directories = 2 + (seed % 4);
    const everywhere = seed % 8 < 4;
    const world: World = {
      seed,
      directories,
      makers: MAKERS,
      rounds: 150,
      mode: MODES[Math.floor(seed / 8) % 3] ?? 'one',
      loss: Array.from({ length: directories }, (_, d) => (everywhere || d === 0 ? 0.05 : 0)),
    };
    worlds++;
    if (simulate(world).falseAlarms > 0) alarmed++;
  }
  t.equal(worlds, 2_000);
  t.equal(alarmed, 0, 'exact by the seeds; the bound asked for is 20');
  t.end();
});

t.test('a directory that withholds 1 of 20 makers is flagged, and no other pair is', (t) => {
  const rows: readonly (readonly [World['mode'], number, number])[] = [
    // The way makers answer, directories, and the most rounds that it may take.
    ['copies', 2, 45],
    ['copies', 3, 60],
    ['copies', 5, 110],
    ['some', 3, 70],
    ['one', 2, 90],
    ['one', 3, 120],
    ['one', 5, 180],
  ];
  for (const [mode, directories, within] of rows) {
    const firsts: number[] = [];
    let falseAlarms = 0;
    for (let seed = 0; seed < 100; seed++) {
      const loss = Array.from({ length: directories }, () => 0.05);
      const liar = { directory: seed % directories, maker: seed % MAKERS, share: 1 };
      const result = simulate({
        seed: seed + 7_919,
        directories,
        makers: MAKERS,
        rounds: 200,
        mode,
        loss,
        liar,
      });
      firsts.push(result.flaggedAfter ?? Infinity);
      falseAlarms += result.falseAlarms;
    }
    t.ok(
      Math.max(...firsts) <= within,
      `${mode}, ${directories} directories: after ${median(firsts)} rounds, at most ${Math.max(...firsts)}`,
    );
    t.equal(falseAlarms, 0);
  }
  t.end();
});

t.test('withholding half of one maker is flagged when makers answer through all', (t) => {
  const firsts = Array.from({ length: 50 }, (_, seed) => {
    const liar = { directory: 1, maker: 3, share: 0.5 };
    const world = { directories: 3, makers: MAKERS, rounds: 300, loss: [0.05, 0.05, 0.05], liar };
    return simulate({ ...world, seed, mode: 'copies' }).flaggedAfter ?? Infinity;
  });
  t.ok(
    Math.max(...firsts) <= 300,
    `after ${median(firsts)} rounds, at most ${Math.max(...firsts)}`,
  );
  t.end();
});

t.test('the test of one pair', (t) => {
  const limit = threshold(60);
  t.test('a single directory cannot be compared', (t) => {
    t.equal(judge(NEW_PAIR, { eligible: 1, others: 0, delivered: true }, limit), NEW_PAIR);
    t.end();
  });
  t.test('more pairs need more evidence for a flag', (t) => {
    t.ok(threshold(1_500) > threshold(60));
    t.ok(Number.isFinite(threshold(0)));
    t.end();
  });
  t.test('the worst honest share is below an even one', (t) => {
    for (const eligible of [2, 3, 5, 50]) t.ok(leastShare(eligible) < 1 / eligible);
    t.end();
  });
  t.test('a flag ends when messages arrive again', (t) => {
    const miss = { eligible: 2, others: 1, delivered: false };
    let state = NEW_PAIR;
    for (let n = 0; n < 500; n++) state = judge(state, miss, limit);
    t.equal(state.flagged, true);
    let needed = 0;
    while (state.flagged && needed < 100) {
      state = judge(state, { ...miss, delivered: true }, limit);
      needed++;
    }
    t.ok(needed > 1 && needed <= 12, `after ${needed} deliveries: evidence is capped`);
    t.end();
  });
  t.test('for any rounds, the test stays finite, counted and bounded', (t) => {
    const round = fc
      .record({
        eligible: fc.integer({ min: 0, max: 8 }),
        others: fc.nat(8),
        delivered: fc.boolean(),
      })
      .map((one) => ({ ...one, others: Math.min(one.others, Math.max(0, one.eligible - 1)) }));
    fc.assert(
      fc.property(fc.array(round, { maxLength: 200 }), (list) => {
        let state = NEW_PAIR;
        for (const one of list) state = judge(state, one, limit);
        return (
          state.rounds === list.filter(({ eligible }) => eligible >= 2).length &&
          state.delivered <= state.rounds &&
          state.complete <= state.judged &&
          [state.share, state.copies].every((value) => value >= 0 && value <= 2 * limit)
        );
      }),
    );
    t.end();
  });
  t.end();
});

const roundsProbe = (most = 10) => {
  const clock = createTestClock();
  const shown = new Map<string, string[]>();
  const closed: ClosedRound[] = [];
  const rounds = createRounds({
    clock,
    roundMs: 100,
    most,
    shownBy: (nick) => shown.get(nick) ?? [],
    onClosed: (round) => void closed.push(round),
  });
  return { clock, shown, closed, rounds };
};

t.test('rounds', (t) => {
  t.test('a directory that listed the maker all the time is expected to deliver', (t) => {
    const { clock, shown, closed, rounds } = roundsProbe();
    shown.set('m', ['a', 'b', 'c', 'd']);
    rounds.arrived('k', 'm', 'a', true, true);
    rounds.arrived('k', 'm', 'b', true, false);
    rounds.left('m', 'c');
    rounds.left('other', 'd');
    shown.set('m', ['a', 'b', 'c', 'd', 'late']);
    clock.advance(99);
    t.equal(closed.length, 0);
    clock.advance(1);
    t.match(closed, [{ nick: 'm', private: true, eligible: ['a', 'b', 'd'] }]);
    t.strictSame([...(closed[0]?.delivered ?? [])], ['a', 'b']);
    t.equal(rounds.open, 0);
    t.equal(clock.pending, 0);
    t.end();
  });
  t.test('a directory that was lost, or no longer lists the maker, is not judged', (t) => {
    const { clock, shown, closed, rounds } = roundsProbe();
    shown.set('m', ['a', 'b', 'c']);
    rounds.arrived('k', 'm', 'a', true, true);
    rounds.lost('b');
    shown.set('m', ['a', 'b']);
    clock.advance(100);
    t.strictSame(closed[0]?.eligible, ['a']);
    t.end();
  });
  t.test('bounded; an arrival without the right to do so opens no round; close ends all', (t) => {
    const { clock, shown, closed, rounds } = roundsProbe(1);
    shown.set('m', ['a', 'b']);
    rounds.arrived('k0', 'm', 'a', true, false);
    t.equal(rounds.open, 0);
    rounds.arrived('k1', 'm', 'a', true, true);
    rounds.arrived('k2', 'm', 'a', true, true);
    t.equal(rounds.open, 1);
    rounds.close();
    clock.advance(1_000);
    t.strictSame(closed, []);
    t.end();
  });
  t.end();
});

t.test('leaves that the maker itself contradicts', (t) => {
  const clock = createTestClock();
  const leaves = createLeaves(clock, 1_000, 2);
  leaves.left('m', 'a');
  leaves.spoke('m', 'b');
  t.strictSame(leaves.of('a'), { told: 1, contradicted: 1 });
  leaves.spoke('m', 'b');
  t.equal(leaves.of('a').contradicted, 1, 'once');
  leaves.left('m', 'a');
  leaves.spoke('m', 'a');
  t.equal(leaves.of('a').contradicted, 1, 'it came back there');
  leaves.left('m', 'a');
  clock.advance(1_001);
  leaves.spoke('m', undefined);
  t.equal(leaves.of('a').contradicted, 1, 'too long ago');
  leaves.left('x', 'b');
  leaves.left('y', 'b');
  leaves.left('z', 'b');
  leaves.spoke('x', 'a');
  t.strictSame(leaves.of('b'), { told: 3, contradicted: 0 }, 'the memory is bounded');
  t.strictSame(leaves.of('never seen'), { told: 0, contradicted: 0 });
  t.end();
});

const at = (port: number): Location => ({ kind: 'loopback', host: '127.0.0.1', port });

/** A channel with only the members that the audit uses. */
function fakeChannel(names: readonly Location[]) {
  const observers = new Set<ChannelObserver>();
  const listeners = new Set<(info: { location: Location }) => void>();
  const down = new Set<string>();
  const told: unknown[] = [];
  let avoiding: unknown;
  const channel = {
    observe(observer: ChannelObserver) {
      observers.add(observer);
      return () => void observers.delete(observer);
    },
    peer: (nick: string) => ({
      nick,
      location: undefined,
      features: [],
      directories: names,
      direct: false,
    }),
    directories: () =>
      names.map((location) => ({
        location,
        state: down.has(formatLocation(location)) ? ('waiting' as const) : ('up' as const),
        nick: undefined,
        motd: '',
        features: [],
        upForMs: 1,
        retryInMs: undefined,
        lastReason: undefined,
      })),
    on(_: string, listener: never) {
      listeners.add(listener);
    },
    off(_: string, listener: never) {
      listeners.delete(listener);
    },
    avoidDirectories(predicate: unknown) {
      avoiding = predicate;
    },
  };
  return {
    channel: channel satisfies AuditOptions['channel'] as AuditOptions['channel'],
    down,
    told,
    get listening() {
      return observers.size + listeners.size + (avoiding === undefined ? 0 : 1);
    },
    arrive(from: string, directory: Location | undefined, isPrivate = true, neverHeard = true) {
      for (const observer of observers) {
        observer.arrived({
          from,
          directory,
          private: isPrivate,
          id: 'id',
          commands: [],
          neverHeard,
        });
      }
    },
    leave(nick: string, directory: Location) {
      for (const observer of observers) observer.left(nick, directory);
    },
  };
}

t.test('flags, avoidance and evidence', (t) => {
  const [a, b, c] = [at(1), at(2), at(3)] as const;
  const name = formatLocation;
  const probe = (limits: AuditOptions['limits'] = {}) => {
    const clock = createTestClock();
    const fake = fakeChannel([a, b, c]);
    const written: EvidenceRecord[] = [];
    const said: string[] = [];
    const say = (text: string): void => void said.push(text);
    const audit = createAudit({
      channel: fake.channel,
      clock,
      log: { ...silentLog, info: say, warn: say },
      epochMs: () => 1_700_000_000_000 + clock.now(),
      limits,
      onEvidence: (record) => void written.push(record),
    });
    const round = (maker: string, through: readonly Location[]): void => {
      for (const directory of through) fake.arrive(maker, directory);
      clock.advance(60_000);
    };
    return { clock, fake, written, said, audit, round };
  };

  t.test('a pair is flagged, its directory avoided for all, and cleared again', (t) => {
    const { fake, written, audit, round } = probe();
    let needed = 0;
    while (!audit.avoid(name(c), 'm') && needed < 200) {
      round('m', [a, b]);
      round('other', [a, b, c]);
      needed++;
    }
    t.ok(needed > 5 && needed < 60, `after ${needed} rounds`);
    t.match(written, [
      {
        event: 'flag',
        kind: 'withholds',
        directory: name(c),
        maker: 'm',
        rounds: needed,
        delivered: 0,
        compared: { [name(a)]: { rounds: needed, delivered: needed } },
      },
    ]);
    t.equal(audit.avoid(name(c), 'other'), true);
    t.equal(audit.avoid(name(a), 'm'), false);
    const report = audit.report(name(c));
    t.match(report, { avoided: true, flags: [{ kind: 'withholds', maker: 'm', delivered: 0 }] });
    t.equal(report.rounds, 2 * needed);
    t.equal(report.delivered, needed);
    t.strictSame(audit.report(name(a)).flags, []);
    for (let n = 0; n < 20; n++) round('m', [a, b, c]);
    t.equal(audit.avoid(name(c), 'm'), false);
    t.strictSame(
      written.map(({ event }) => event),
      ['flag', 'clear'],
    );
    t.strictSame(audit.evidence, written);
    audit.close();
    t.equal(fake.listening, 0);
    t.end();
  });

  t.test('where most directories are flagged, each is avoided for its makers only', (t) => {
    const { audit, round } = probe();
    for (let n = 0; n < 200; n++) {
      round('shuns-b', [a, c]);
      round('shuns-c', [a, b]);
    }
    t.equal(audit.avoid(name(b), 'shuns-b'), true);
    t.equal(audit.avoid(name(b), 'other'), false, 'two of three: no directory is better');
    t.equal(audit.report(name(b)).avoided, false);
    audit.close();
    t.end();
  });

  t.test('many makers at once flag the directory itself', (t) => {
    const { audit, round, said } = probe();
    const makers = ['m0', 'm1', 'm2'];
    for (let n = 0; n < 100; n++) for (const maker of makers) round(maker, [a, b]);
    t.match(audit.report(name(c)).flags[0], { kind: 'lossy', maker: undefined });
    t.equal(audit.report(name(c)).flags.length, 4);
    t.match(said, ['a directory seems to withhold messages; it is used last']);
    t.equal(said.length, 1, 'logged once, not for each maker');
    for (let n = 0; n < 100; n++) round('m0', [a, b, c]);
    t.equal(audit.report(name(c)).flagged, 2);
    t.equal(said.length, 1, 'it is still suspected');
    for (let n = 0; n < 100; n++) for (const maker of makers) round(maker, [a, b, c]);
    t.strictSame(said.slice(1), ['a directory is no longer flagged']);
    audit.close();
    t.end();
  });

  t.test('at most a hundred flagged makers are listed', (t) => {
    const { audit, clock, fake } = probe();
    const makers = Array.from({ length: 130 }, (_, i) => `m${i}`);
    for (let n = 0; n < 100; n++) {
      for (const maker of makers) for (const directory of [a, b]) fake.arrive(maker, directory);
      clock.advance(60_000);
    }
    const { flags, flagged } = audit.report(name(c));
    t.equal(flagged, 130);
    t.strictSame(
      [flags[0]?.kind, flags.length, flags[0]?.detail],
      ['lossy', 101, 'messages of 130 of 130 makers are not delivered here'],
    );
    audit.close();
    t.end();
  });

  t.test('an arrival that proves nothing does not count', (t) => {
    const { clock, fake, audit } = probe();
    for (let n = 0; n < 200; n++) {
      fake.arrive('direct', undefined);
      fake.arrive('replayed', a, true, false);
      fake.arrive('public', a, false);
      clock.advance(60_000);
    }
    fake.down.add(name(b)).add(name(c));
    for (let n = 0; n < 200; n++) {
      fake.arrive('alone', a);
      clock.advance(60_000);
    }
    for (const directory of [a, b, c]) {
      t.match(audit.report(name(directory)), { rounds: 0, flags: [] });
    }
    t.match(audit.report(name(b)), { publicExpected: 200, publicDelivered: 0 }, 'shown only');
    audit.close();
    t.end();
  });

  t.test('an old message answers a request; later it may be a copy by any peer', (t) => {
    const { clock, fake, audit } = probe();
    audit.asked();
    fake.arrive('m', a, true, false);
    clock.advance(60_000);
    t.equal(audit.report(name(b)).rounds, 1);
    clock.advance(60_001);
    fake.arrive('m', a, true, false);
    clock.advance(60_000);
    t.equal(audit.report(name(b)).rounds, 1);
    fake.leave('m', b);
    fake.arrive('m', a);
    t.match(audit.report(name(b)), { leaves: 1, leavesContradicted: 1 });
    audit.close();
    t.end();
  });

  t.test('makers are forgotten: when there are too many, and after a day', (t) => {
    const { clock, audit, round, written } = probe({ makers: 2, forgetMs: 86_400_000 });
    for (let n = 0; n < 100; n++) round('m', [a, b]);
    t.equal(audit.report(name(c)).flags.length, 1);
    clock.advance(86_400_000);
    round('x', [a, b, c]);
    t.strictSame(audit.report(name(c)).flags, []);
    t.equal(written.at(-1)?.event, 'clear');
    for (const maker of ['y', 'z', 'w']) round(maker, [a, b, c]);
    t.equal(audit.report(name(c)).flags.length, 0);
    audit.close();
    t.end();
  });
  t.end();
});

const record = (rounds: number): EvidenceRecord => ({
  atEpoch: 1,
  directory: 'a.onion:5222',
  event: 'flag',
  kind: 'withholds',
  maker: 'J5m',
  rounds,
  delivered: 0,
  evidence: 16.5,
  compared: { 'a.onion:5222': { rounds, delivered: 0 } },
});

t.test('the file of evidence', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'onionmc-evidence-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const fail = (error: unknown): void => void t.fail(String(error));

  t.test('appended, private, and read back', async (t) => {
    const path = join(folder, 'sub', 'e.jsonl');
    const file = openEvidenceFile<EvidenceRecord>({ path, onError: fail });
    file.append(record(1));
    await file.close();
    chmodSync(path, 0o644);
    file.append(record(2));
    await file.close();
    t.equal(statSync(path).mode & 0o777, 0o600);
    writeFileSync(path, '{"cut', { flag: 'a' });
    t.strictSame(await readEvidenceFile(path, parseEvidence), [record(1), record(2)]);
    t.strictSame(await readEvidenceFile(join(folder, 'none'), parseEvidence), []);
  });

  t.test('an incomplete line after a power cut costs no other record', async (t) => {
    const path = join(folder, 'cut.jsonl');
    writeFileSync(path, `${JSON.stringify(record(1))}\n{"atEpoch":1,"direc`);
    const file = openEvidenceFile<EvidenceRecord>({ path, onError: fail });
    file.append(record(2));
    await file.close();
    const read = await readEvidenceFile(path, parseEvidence);
    t.strictSame(
      read.map(({ rounds }) => rounds),
      [1, 2],
    );
  });

  t.test('bounded by rotation', async (t) => {
    const path = join(folder, 'r.jsonl');
    const size = JSON.stringify(record(100)).length + 1;
    const file = openEvidenceFile<EvidenceRecord>({ path, maxBytes: 3 * size, onError: fail });
    for (let n = 100; n < 110; n++) {
      file.append(record(n));
      // oxlint-disable-next-line no-await-in-loop -- one batch each
      await file.close();
    }
    const counts = (await readEvidenceFile(path, parseEvidence)).map(({ rounds }) => rounds);
    t.strictSame(counts, [106, 107, 108, 109], 'the newest, in order');
    t.equal(statSync(`${path}.1`).mode & 0o777, 0o600);
    t.ok(readFileSync(path).length <= 3 * size);
  });

  t.test('a disk error is logged once', async (t) => {
    const path = join(folder, 'sub', 'e.jsonl', 'impossible');
    const errors: unknown[] = [];
    const file = openEvidenceFile<EvidenceRecord>({
      path,
      onError: (error) => void errors.push(error),
    });
    for (let n = 0; n < 3; n++) {
      file.append(record(n));
      // oxlint-disable-next-line no-await-in-loop -- one batch each
      await file.close();
    }
    t.equal(errors.length, 1);
  });

  t.test('hostile lines', (t) => {
    const good = record(3);
    t.strictSame(parseEvidence(JSON.parse(JSON.stringify(good))), good);
    const bad: readonly (readonly [string, unknown])[] = [
      ['event', 'explode'],
      ['kind', 7],
      ['maker', 'two words'],
      ['maker', ''],
      ['directory', 'x'.repeat(129)],
      ['directory', '\u001b[2J'],
      ['rounds', -1],
      ['rounds', 1.5],
      ['delivered', '0'],
      ['evidence', null],
      ['atEpoch', 'now'],
      ['compared', []],
      ['compared', { a: { rounds: 'x', delivered: 0 } }],
      ['compared', { 'a b': { rounds: 1, delivered: 0 } }],
    ];
    for (const [key, value] of bad) {
      t.equal(parseEvidence({ ...good, [key]: value }), undefined, `${key}: ${String(value)}`);
    }
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        parseEvidence(value);
      }),
    );
    t.end();
  });
});

/** Rounds of 20 makers that answer through both directories; the first one drops one maker. */
t.test('over the wire: a directory that withholds is flagged and avoided', async (t: Test) => {
  const folder = mkdtempSync(join(tmpdir(), 'onionmc-audit-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const [liar, honest] = [await startFakeDirectory(), await startFakeDirectory()];
  t.teardown(async () => {
    await Promise.all([liar.close(), honest.close()]);
  });
  const channel = openTestChannel([liar.location, honest.location]);
  t.teardown(() => channel.close());
  const [first, second] = await Promise.all([liar.acceptHandshake(), honest.acceptHandshake()]);
  await channel.next('welcome');
  const { clock } = channel;
  const path = join(folder, EVIDENCE_FILE);
  const audit = await startDirectoryAudit({ channel, clock, log: silentLog, path });

  const makers = Array.from({ length: 20 }, (_, n) => keyOf(10 + n));
  const [victim] = makers;
  if (!victim) throw new Error('no makers');
  for (const { nick } of makers) {
    for (const session of [first, second]) session.pubmsg(nick, 'sw0absoffer 0 27300 90000 0 9');
  }
  const lines = makers.map((key) => ({
    nick: key.nick,
    line: formatPrivmsg(key, channel.nick, 'sw0absoffer', '0 27300 90000 0 9'),
  }));
  /** Resolves when the channel has read all lines sent before. */
  const readAll = async (mark: string): Promise<void> => {
    for (const [n, session] of [first, second].entries()) {
      session.pubmsg(keyOf(9).nick, `hp2 ${mark}-${n}`);
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- one directory after the other
        const { text } = await channel.next('pubmsg');
        if (text === `hp2 ${mark}-${n}`) break;
      }
    }
  };
  let rounds = 0;
  const liarName = formatLocation(liar.location);
  while (audit.report(liarName).flags.length === 0 && rounds < 60) {
    rounds++;
    audit.asked();
    for (const { nick, line } of lines) {
      if (nick !== victim.nick) first.send(685, line);
      second.send(685, line);
    }
    // oxlint-disable-next-line no-await-in-loop -- rounds are one after the other
    await readAll(`round${rounds}`);
    clock.advance(120_000);
  }
  t.match(audit.report(liarName), {
    avoided: true,
    flags: [{ kind: 'withholds', maker: victim.nick, delivered: 0 }],
  });
  t.strictSame(audit.report(formatLocation(honest.location)).flags, []);
  t.comment(`flagged after ${rounds} rounds`);

  for (const { nick } of makers) {
    t.match(
      channel.send(nick, 'error', 'x'),
      { sent: true, route: { location: honest.location } },
      'a random choice would take the first',
    );
  }
  await audit.close();
  t.match(channel.send(victim.nick, 'error', 'y'), { route: { location: liar.location } });
  t.match(await readEvidenceFile(path, parseEvidence), [{ event: 'flag', maker: victim.nick }]);

  const again = await startDirectoryAudit({ channel, clock, log: silentLog, path });
  t.match(again.evidence, [{ event: 'flag', maker: victim.nick }], 'shown after a restart');
  t.strictSame(again.report(liarName).flags, [], 'it flags nothing by itself');
  await again.close();
});
