/**
 * The lines that a hand-driven directory sent to a taker of the original in 41 recorded runs, sent to an
 * onionmc channel. Where the original breaks or is too strict, the expected result differs.
 */
import { readFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { formatLocation } from '../../src/protocol/location.js';
import { openTestChannel, type TestChannel } from '../helpers/test-channel.js';
import { directoryAnswer, startFakeDirectory } from '../helpers/fake-directory.js';

const RECORDING = new URL('../transcripts/s13_client_side_of_the_reference.jsonl', import.meta.url);

interface Run {
  /** The 793 of the original. */
  asked: string;
  /** Chunks of the directory, as written. */
  readonly said: string[];
}

type Entry = { kind: string; conn?: string; dir?: string; data?: string };

async function recordedRuns(): Promise<Map<string, Run>> {
  const runs = new Map<string, Run>();
  for (const text of (await readFile(RECORDING, 'utf8')).trim().split('\n')) {
    const entry: Entry = JSON.parse(text);
    const name = entry.conn?.split('->')[0];
    if (entry.kind !== 'data' || name === undefined || entry.data === undefined) continue;
    const run = runs.get(name) ?? { asked: '', said: [] };
    if (entry.dir === 's2c') run.said.push(entry.data);
    else run.asked += entry.data;
    runs.set(name, run);
  }
  return runs;
}

interface Outcome {
  /** `up` and still listening at the end; `unanswered`: open, no valid 795 yet; else the reason. */
  readonly end: 'up' | 'unanswered' | RegExp;
  readonly pubmsgs?: readonly string[];
  /** Peers known at the end, with their location and features. */
  readonly peers?: readonly string[];
  readonly gone?: number;
}

const UP: Outcome = { end: 'up' };
const X = 'J5xOOOOOOOOOOOOO';
const A = 'J5aaaaaaaaaaaaaa';
const A_ONION = 'zklycewkdo64v6wcggzzui64jwtyn37ycr6e44vzqb3yll7ojc567tyd.onion:5222';
const B_ONION = 'hyr6qfqahfmuum4jj5swjynrgsf326qardkcyswlopxk5vm4aco726yd.onion:5222';
const STILL_LISTENS: Outcome = { end: 'up', pubmsgs: ['hp2 x'], peers: [`${X} ?`] };

const EXPECTED: Readonly<Record<string, Outcome>> = {
  'hs-plain': UP,
  'hs-extra-keys-features': UP,
  'hs-range-4-6': UP,
  'hs-range-6-6': { end: /protocol version/ },
  'hs-no-motd': UP,
  // The original ignores this one and hangs; a directory need not have features.
  'hs-no-features': UP,
  'hs-not-accepted': { end: /refused us/ },
  // The original stays connected as a zombie (quirk Q34).
  'hs-wrong-network': { end: /another network/ },
  // The original accepts; directories without a nick could not be told apart in a list.
  'hs-empty-nick': { end: /lacks a field/ },
  'hs-wrong-app': { end: /not a JoinMarket directory/ },
  // The original acts on it before the handshake.
  'no-hs-then-pubmsg': { end: 'unanswered' },
  'hs-793-instead': { end: /a peer, not a directory/ },
  // The original waits for CR LF without end (quirk Q3).
  'hs-lf-only': UP,
  'hs-split': UP,
  'utf8-unescaped': { end: 'up', pubmsgs: ['hp2 é'], peers: [`${X} ?`] },
  'compact-json': { end: 'up', pubmsgs: ['hp2 y'], peers: [`${X} ?`] },
  'type-785-empty': STILL_LISTENS,
  'type-787-empty': STILL_LISTENS,
  'type-789-empty': STILL_LISTENS,
  'type-791-empty': STILL_LISTENS,
  'type-793-empty': STILL_LISTENS,
  'type-795-empty': STILL_LISTENS,
  'type-797-empty': STILL_LISTENS,
  'type-798-empty': STILL_LISTENS,
  // The original loses its connection after these two (quirk Q2).
  'type-799-empty': STILL_LISTENS,
  'type-801-empty': STILL_LISTENS,
  'type-9999-empty': STILL_LISTENS,
  'peerlist-plain': { end: 'up', peers: [`${A} ${A_ONION}`] },
  // The original skips entries with features (quirk Q5).
  'peerlist-features-suffix': { end: 'up', peers: [`${A} ${A_ONION} x y`] },
  'peerlist-empty-third': { end: 'up', peers: [`${A} ${A_ONION}`] },
  'peerlist-without-directory-entry': {
    end: 'up',
    peers: [`${A} ${A_ONION}`, `J5bbbbbbbbbbbbbb ${B_ONION}`],
  },
  'peerlist-not-serving': { end: 'up', peers: [`${A} NOT-SERVING-ONION`] },
  'peerlist-garbage-then-good': { end: 'up', peers: [`${A} ${A_ONION}`] },
  'peerlist-spaces': { end: 'up', peers: [`${A} ${A_ONION}`, `J5bbbbbbbbbbbbbb ${B_ONION}`] },
  'peerlist-D-unknown': UP,
  'peerlist-badport': UP,
  'peerlist-own-location': UP,
  'leave-after-pubmsg-twice-and-again': { end: 'up', pubmsgs: ['hp2 x', 'hp2 x'], gone: 2 },
  'line-40000': { end: 'up', pubmsgs: ['long'], peers: [`${X} ?`] },
  'line-40001': { end: /40,000 bytes/ },
  // The original drops the directory; one bad line is tolerated here.
  'garbage-line': UP,
};

function knownPeers(channel: TestChannel): string[] {
  return channel
    .peers()
    .map(({ nick, location, features }) =>
      [nick, location ? formatLocation(location) : '?', ...features].join(' '),
    )
    .toSorted();
}

async function replay(t: Test, run: Run, expected: Outcome): Promise<void> {
  const directory = await startFakeDirectory();
  const channel = openTestChannel([directory.location]);
  t.teardown(async () => {
    await channel.close();
    await directory.close();
  });
  const peer = await directory.accept();
  const hello = await peer.next();
  const original: { line: string } = JSON.parse(run.asked.split('\r\n')[0] ?? '');
  const ours: Record<string, unknown> = JSON.parse(hello.line);
  const { nick, features, ...rest } = ours;
  t.match(JSON.parse(original.line), rest, 'our 793 equals that of the original');
  t.type(nick, 'string');
  t.strictSame(features, {
    neutrino_compat: true,
    nick_auth: true,
    peerlist_features: true,
    ping: true,
  });

  for (const chunk of run.said) peer.raw(chunk);
  if (expected.end instanceof RegExp) {
    t.match((await channel.next('directory-down')).reason, expected.end);
    await peer.over;
    return;
  }
  if (expected.end === 'unanswered') peer.send(795, directoryAnswer());
  peer.send(798, '');
  await peer.nextOf(799);
  await channel.next('directory-up');
  t.equal(channel.waiting('directory-down'), 0);
  const heard: string[] = [];
  while (channel.waiting('pubmsg') > 0) {
    const { text } = await channel.next('pubmsg');
    heard.push(text.length > 1_000 ? 'long' : text);
  }
  t.strictSame(heard, expected.pubmsgs ?? []);
  t.equal(channel.waiting('peer-gone'), expected.gone ?? 0);
  t.strictSame(knownPeers(channel), expected.peers ?? []);
}

const runs = await recordedRuns();
t.strictSame([...runs.keys()], Object.keys(EXPECTED), 'every recorded run has an expectation');
for (const [name, expected] of Object.entries(EXPECTED)) {
  const run = runs.get(name);
  if (run) t.test(name, (t) => replay(t, run, expected));
}
