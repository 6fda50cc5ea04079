/** The results of a probe at directories that work, fail, are of another network, or are hostile. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Dialer } from '../../src/channel/ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { formatPeerEntry } from '../../src/protocol/peerlist.js';
import { NOT_SERVING, type Location } from '../../src/protocol/location.js';
import { createNickKey } from '../../src/protocol/nick.js';
import {
  isFine,
  outcomeText,
  probeDirectory,
  type ProbeOptions,
  type ProbeOutcome,
  type ProbeResult,
} from '../../src/probe/probe.js';
import { versionIn } from '../../src/probe/probe-session.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { directoryAnswer } from '../helpers/fake-directory.js';
import { dialRaw } from '../helpers/raw-peer.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { scriptedDirectory, soon, type Guest, type Script } from './scripted-directory.js';

const SOMEWHERE: Location = { kind: 'loopback', host: '127.0.0.1', port: 5222 };

function optionsFor(
  dialer: Dialer,
  clock: TestClock,
  more: Partial<ProbeOptions> = {},
): ProbeOptions {
  return {
    dialer,
    location: SOMEWHERE,
    network: 'signet',
    relay: 'none',
    peerlist: true,
    newNickKey: () => createNickKey(randomBytes),
    clock,
    signal: new AbortController().signal,
    ...more,
  };
}

interface Run {
  readonly result: ProbeResult;
  readonly guests: readonly Guest[];
  readonly isolations: readonly (string | undefined)[];
}

/** Probes a scripted directory; no connection or timer may be left. */
async function run(
  t: Test,
  script: Script,
  more: Partial<ProbeOptions> = {},
  refuse?: Parameters<typeof scriptedDirectory>[1],
): Promise<Run> {
  const clock = createTestClock();
  const directory = scriptedDirectory(script, refuse);
  const result = await soon(clock, probeDirectory(optionsFor(directory, clock, more)));
  t.equal(directory.open, 0, 'no connection is left open');
  t.equal(clock.pending, 0, 'no timer is left');
  return { result, guests: directory.guests, isolations: directory.isolations };
}

/** Accepts every guest; `further` gets each line after the 793. */
function welcoming(
  further: Script = () => {},
  answer: Parameters<typeof directoryAnswer>[0] = {},
): Script {
  return (guest, said, all) => {
    if (said.type === 793) guest.say(795, directoryAnswer(answer));
    else further(guest, said, all);
  };
}

/** Relays as a directory does. */
const relay: Script = (guest, { type, line }, all) => {
  const [, to] = line.split('!');
  for (const other of all) {
    if (other === guest) continue;
    if ((type === 685 && other.nick === to) || (type === 687 && to === 'PUBLIC')) {
      other.say(type, line);
    }
  }
};

/** Without blanks, and LF only. */
const compact: Script = (guest, said) => {
  const answer = { ...JSON.parse(directoryAnswer()), 'location-string': 'x.onion:5222' };
  if (said.type === 793) {
    guest.raw(`${JSON.stringify({ type: 795, line: JSON.stringify(answer) })}\n`);
  }
};

const entry = (i: number, left = false): string =>
  formatPeerEntry(
    { nick: `J5peer${i}`, location: i % 2 ? NOT_SERVING : SOMEWHERE, left, features: [] },
    false,
  );

const answer =
  (payload: string, type = 795): Script =>
  (guest, said) => {
    if (said.type === 793) guest.say(type, payload);
  };

const oneIn: Script = (guest) => {
  const turnedAway = { accepted: false, motd: 'one at a time' };
  guest.say(795, directoryAnswer(guest.dial === 1 ? {} : turnedAway));
};

t.test('an onionmc directory, over sockets', async (t) => {
  const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
  const { location } = await serveDirectory(t, overlay, systemClock, 'J5directoryOOOOO');
  const bystander = await dialRaw(location);
  t.teardown(() => bystander.cut());
  bystander.send(
    793,
    '{"app-name":"joinmarket","directory":false,"location-string":"NOT-SERVING-ONION","proto-ver":5,"features":{},"nick":"J5bystanderOOOOO","network":"signet"}',
  );
  await bystander.nextOf(795);
  const probe = (relayTest: ProbeOptions['relay']): Promise<ProbeResult> =>
    probeDirectory({
      dialer: overlay,
      location,
      network: 'signet',
      relay: relayTest,
      peerlist: true,
      newNickKey: () => createNickKey(randomBytes),
      clock: systemClock,
      signal: new AbortController().signal,
    });

  const all = await probe('all');
  t.match(all, {
    outcome: 'relays',
    location,
    greeting: { nick: 'J5directoryOOOOO', network: 'signet', motd: 'a test', version: undefined },
    // The bystander, and not the probe session itself.
    peerlist: { peers: 1, serving: 0 },
    legs: {
      'private-there': Number,
      'private-back': Number,
      'public-there': Number,
      'public-back': Number,
    },
  });
  t.ok(isFine(all));
  t.equal(outcomeText(all), 'accepts and relays');
  const heard = [await bystander.nextOf(687), await bystander.nextOf(687)];
  for (const { line } of heard) t.match(line, /^J5\w{14}!PUBLIC!cancel 0$/, 'a harmless message');
  const left = await bystander.nextOf(789);
  t.match(left.line, /;D/, 'then it left');

  const quiet = await probe('private');
  t.equal(quiet.outcome, 'relays');
  t.match(await probe('none'), { outcome: 'accepted' });
  bystander.send(791, '');
  for (;;) {
    const { type, line } = await bystander.next();
    t.not(type, 687, 'a private test sends no public message');
    if (type === 789 && !line.includes(';D')) break;
  }
});

t.test('no server, over sockets', async (t) => {
  const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
  const served = await overlay.serve(() => {}, { signal: new AbortController().signal });
  await served.close();
  const [location] = served.locations;
  const result = await probeDirectory({
    ...optionsFor(overlay, createTestClock(), { location }),
    clock: systemClock,
  });
  t.match(result, { outcome: 'unreachable', reason: /ECONNREFUSED/, error: Error });
  t.notOk(isFine(result));
});

t.test('dialects', async (t) => {
  const REF = 'DIRECTORY NODE: x.onion:5222\nJOINMARKET VERSION: 0.9.12\nhello';
  const RS = 'DIRECTORY NODE: x.onion:5222\nJOINMARKET VERSION: joinmarket-rs/0.3.0-alpha\nhi';
  const NG = 'Welcome https://example.org/\nJoinMarket NG version: 0.37.0';
  const cases: readonly [string, string, string | undefined][] = [
    ['the original', REF, '0.9.12'],
    ['joinmarket-rs', RS, 'joinmarket-rs/0.3.0-alpha'],
    ['joinmarket-ng', NG, 'joinmarket-ng/0.37.0'],
    ['a placeholder', 'replace me', undefined],
    ['version without a number', 'JOINMARKET VERSION:  \nx', undefined],
    ['colours', 'JOINMARKET VERSION: \u001b[31m1.0', '[31m1.0'],
  ];
  for (const [name, motd, version] of cases) {
    const { result } = await run(
      t,
      welcoming(() => {}, { motd }),
    );
    t.match(result, { outcome: 'accepted', greeting: { version } }, name);
  }
  t.equal(versionIn(`JOINMARKET VERSION: ${'9'.repeat(1_000)}`)?.length, 80, 'it is bounded');

  const odd = await run(
    t,
    welcoming(() => {}, { motd: 'a\u001b[2J' }),
  );
  t.match(
    odd.result,
    { outcome: 'accepted', greeting: { motd: String.raw`a\u001b[2J` } },
    'its MOTD is safe to show',
  );

  t.equal((await run(t, compact)).result.outcome, 'accepted', 'compact JSON, LF only');

  t.test('a message sent before the nick is routable is sent again', async (t) => {
    let dropped = 0;
    const forgetful = welcoming((guest, said, all) => {
      if (said.type === 685 && dropped < 1) dropped++;
      else relay(guest, said, all);
    });
    const { result } = await run(t, forgetful, { relay: 'private' });
    t.match(result, { outcome: 'relays', legs: { 'private-there': Number } });
  });

  t.test('a directory that pings is answered', async (t) => {
    let pongs = 0;
    const pinging = welcoming((guest, said, all) => {
      if (said.type === 799) pongs++;
      else if (said.type === 685) {
        guest.say(798, '');
        relay(guest, said, all);
      }
    });
    t.equal((await run(t, pinging, { relay: 'private' })).result.outcome, 'relays');
    t.ok(pongs > 0);
  });
});

t.test('peer lists', async (t) => {
  const features = ['peerlist_features'];
  const entries = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, i) => entry(from + i)).join(',');
  const cases: readonly [string, readonly string[], unknown][] = [
    ['in lines of twenty', [entries(0, 20), entries(20, 40), entries(40, 45)], [45, 23]],
    ['full to the last line', [entries(0, 20), entries(20, 40)], [40, 20]],
    ['in one line', [entries(0, 200)], [200, 100]],
    ['empty', [''], [0, 0]],
    ['a leave in between', [entry(99, true), entries(0, 3)], [3, 2]],
    ['the same nick twice', [`${entry(1)},${entry(1)}`], [1, 0]],
    ['only leaves', [entry(99, true)], 'silent'],
    ['no answer', [], 'silent'],
  ];
  for (const [name, lines, expected] of cases) {
    const listing = welcoming(
      (guest, { type }) => {
        if (type === 791) for (const line of lines) guest.say(789, line);
      },
      { features },
    );
    const { result } = await run(t, listing);
    const peerlist = result.outcome === 'accepted' ? result.peerlist : undefined;
    const found = typeof peerlist === 'object' ? [peerlist.peers, peerlist.serving] : peerlist;
    t.strictSame(found, expected, name);
  }
  let asked = 0;
  const counting = welcoming((_, { type }) => void (type === 791 && asked++));
  const { result } = await run(t, counting);
  t.equal(result.outcome, 'accepted');
  t.notOk('peerlist' in result);
  t.equal(asked, 0, 'not asked without the feature');
});

t.test('the outcome names the stage of the failure', async (t) => {
  const changed = (keys: object): Script =>
    answer(JSON.stringify({ ...JSON.parse(directoryAnswer()), ...keys }));
  const hello = '{"app-name":"joinmarket","directory":false}';
  const cases: readonly [string, Script, ProbeOutcome, RegExp][] = [
    ['silence', () => {}, 'no-answer', /no handshake came back within 60 s/],
    ['hangs up', (guest) => guest.hangUp(), 'no-answer', /connected, then closed/],
    ['not JSON', answer('{'), 'unfit', /not JSON/],
    ['no fields', answer('{}'), 'unfit', /lacks a field/],
    ['a peer', answer(hello, 793), 'unfit', /a peer, not a directory/],
    ['another network', changed({ network: 'mainnet' }), 'unfit', /another network/],
    ['another protocol', changed({ 'proto-ver-min': 6 }), 'unfit', /protocol version/],
    ['another program', changed({ 'app-name': 'x' }), 'unfit', /not a JoinMarket/],
    [
      'full',
      changed({ accepted: false, motd: 'full,\ncome later' }),
      'refused',
      /full, come later/,
    ],
    [
      'another network, no reason',
      changed({ accepted: false, motd: '', network: 'mainnet' }),
      'refused',
      /a directory of mainnet/,
    ],
    ['an endless line', (guest) => guest.raw('x'.repeat(50_000)), 'no-answer', /40,000 bytes/],
    ['not UTF-8', (guest) => guest.raw(Buffer.from([0xff, 10])), 'no-answer', /UTF-8/],
    ['junk first', (guest) => guest.raw('x\n'.repeat(200)), 'no-answer', /meaningless/],
  ];
  for (const [name, script, outcome, text] of cases) {
    const { result } = await run(t, script, { relay: 'all' });
    t.equal(result.outcome, outcome, name);
    t.match(outcomeText(result), text, name);
    t.notMatch(outcomeText(result), /\n/, 'one line');
    t.notOk(isFine(result));
  }

  const late = await run(t, welcoming(), {}, () => 'pending');
  t.match(late.result, { outcome: 'unreachable', reason: 'no connection within 90 s' });
  const failing = await run(t, welcoming(), {}, () => new Error('no such onion'));
  t.match(failing.result, { outcome: 'unreachable', reason: 'no such onion' });

  t.test('relaying', async (t) => {
    const only =
      (...types: number[]): Script =>
      (guest, said, all) => {
        if (types.includes(said.type)) relay(guest, said, all);
      };
    const altering: Script = (guest, said, all) => {
      relay(guest, { ...said, line: said.line.replace('relay test', 'relay  test') }, all);
    };
    const relayCases: readonly [string, Script, ProbeOutcome, RegExp][] = [
      ['nothing', () => {}, 'accepts-only', /^accepts but does not relay$/],
      ['private only', only(685), 'relays-in-part', /lost: public-there, public-back$/],
      ['public only', only(687), 'relays-in-part', /lost: private-there, private-back$/],
      ['altered', altering, 'relays-in-part', /lost: private/],
      ['all', relay, 'relays', /^accepts and relays$/],
      ['hangs up', (guest) => guest.hangUp(), 'accepts-only', /does not relay/],
    ];
    for (const [name, script, outcome, text] of relayCases) {
      const { result, isolations } = await run(t, welcoming(script), { relay: 'all' });
      t.equal(result.outcome, outcome, name);
      t.match(outcomeText(result), text, name);
      t.equal(new Set(isolations).size, 2, 'two nicks, two circuits');
    }
    const { result } = await run(t, oneIn, { relay: 'all' });
    t.equal(
      outcomeText(result),
      'accepts; relay not tested: a second nick did not get in (refused: one at a time)',
    );
    t.notOk(isFine(result));
    const gone = await run(t, welcoming(), { relay: 'all' }, (dial) =>
      dial === 2 ? new Error('gone') : undefined,
    );
    t.match(gone.result, { outcome: 'relay-untested', reason: /unreachable: gone/ });
  });
});

t.test('an abort at every stage', async (t) => {
  const features = ['peerlist_features'];
  const stages: readonly [string, Script, ((dial: number) => 'pending' | undefined)?][] = [
    ['dial', welcoming(), () => 'pending'],
    ['handshake', () => {}],
    ['peer list', welcoming(() => {}, { features })],
    ['second dial', welcoming(), (dial) => (dial === 2 ? 'pending' : undefined)],
    ['relay', welcoming()],
  ];
  for (const [name, script, refuse] of stages) {
    const stop = new AbortController();
    const clock = createTestClock();
    const directory = scriptedDirectory(script, refuse);
    const more = { relay: 'all', signal: stop.signal } as const;
    const probing = probeDirectory(optionsFor(directory, clock, more));
    clock.after(1_000, () => stop.abort());
    const result = await soon(clock, probing);
    t.equal(result.outcome, 'stopped', name);
    t.ok(result.tookMs <= 1_050, 'at once');
    t.equal(directory.open, 0);
    t.equal(clock.pending, 0);
  }
  const dead = AbortSignal.abort();
  const { result, isolations } = await run(t, welcoming(), { signal: dead });
  t.equal(result.outcome, 'stopped');
  t.strictSame(isolations, [], 'no dial is made');
});

t.test('for any lines of the directory, the probe ends', async (t) => {
  const line = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({
        type: fc.constantFrom(685, 687, 785, 787, 789, 793, 795, 797, 798),
        line: fc.string(),
      })
      .map((envelope) => JSON.stringify(envelope)),
    fc
      .record({
        accepted: fc.boolean(),
        motd: fc.string(),
        network: fc.string(),
        features: fc.json(),
      })
      .map((keys) =>
        JSON.stringify({
          type: 795,
          line: JSON.stringify({ ...JSON.parse(directoryAnswer()), ...keys }),
        }),
      ),
    fc.constant(
      JSON.stringify({ type: 795, line: directoryAnswer({ features: ['peerlist_features'] }) }),
    ),
  );
  const outcomes = new Set<string>();
  const property = fc.asyncProperty(fc.array(line, { maxLength: 6 }), async (lines) => {
    const clock = createTestClock();
    const directory = scriptedDirectory((guest, { type }) => {
      // No answer to a pong: with a ping among the lines the exchange would never end.
      if (type !== 799) for (const text of lines) guest.raw(`${text}\r\n`);
    });
    const options = optionsFor(directory, clock, { relay: 'all' });
    const result = await soon(clock, probeDirectory(options), 30_000);
    outcomes.add(result.outcome);
    return directory.open === 0 && clock.pending === 0 && !/\p{Cc}/u.test(outcomeText(result));
  });
  const report = fc.defaultReportMessage(await fc.check(property, { numRuns: 150 }));
  t.equal(report, undefined);
  t.ok(outcomes.has('no-answer') && outcomes.has('accepts-only'), 'both ends were reached');
});

t.test('recorded lines of the original', async (t) => {
  const file = new URL('../transcripts/s13_client_side_of_the_reference.jsonl', import.meta.url);
  const expected: Readonly<Record<string, ProbeOutcome>> = {
    'hs-plain': 'accepted',
    'hs-extra-keys-features': 'accepted',
    'hs-range-4-6': 'accepted',
    'hs-range-6-6': 'unfit',
    'hs-no-motd': 'accepted',
    'hs-no-features': 'accepted',
    'hs-not-accepted': 'refused',
    'hs-wrong-network': 'unfit',
    'hs-wrong-app': 'unfit',
    'hs-793-instead': 'unfit',
    'hs-lf-only': 'accepted',
    'hs-split': 'accepted',
    'no-hs-then-pubmsg': 'no-answer',
  };
  const said = new Map<string, string[]>();
  for (const text of (await readFile(file, 'utf8')).trim().split('\n')) {
    const part: { kind: string; conn?: string; dir?: string; data?: string } = JSON.parse(text);
    const name = part.conn?.split('->')[0];
    if (part.kind !== 'data' || part.dir !== 's2c' || name === undefined) continue;
    said.set(name, [...(said.get(name) ?? []), part.data ?? '']);
  }
  for (const [name, outcome] of Object.entries(expected)) {
    const script: Script = (guest, { type }) => {
      if (type === 793) for (const chunk of said.get(name) ?? []) guest.raw(chunk);
    };
    t.equal((await run(t, script)).result.outcome, outcome, name);
  }
});
