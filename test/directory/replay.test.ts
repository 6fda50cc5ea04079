/**
 * The lines that peers of the original sent to a directory of the original, byte for byte and chunk by chunk
 * (`test/transcripts`), are sent to an onionmc directory at the same pace, connection by connection, in the
 * same order.
 *
 * Equivalent means: every connection gets the same lines in the same order, where
 * - two 795 are equal when nick, network, versions, role and `accepted` are; features and MOTD may differ;
 * - two 687 or two 685 are equal when their payloads are;
 * - two 789 are equal when they have the same entries, in any order; a list in several lines is one.
 *
 * A connection has its recorded name and its number in the scene: `taker#2/1`. A close counts as a line.
 *
 * Deliberate differences that hold everywhere are removed before the comparison:
 * - A leave holds only the entry of the leave; the original adds the directory's own entry.
 * - A connection that never was a peer leaves without a message; the original sends all peers the directory's
 *   own entry, or even a leave.
 *
 * All other differences are listed one by one in `DIFFERENCES`, with the reason. The test fails when one of
 * them no longer happens. Scene 7 (malformed lines) is not among the recordings.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { createDirectory, DEFAULT_LIMITS, type Directory } from '../../src/directory/directory.js';
import { parseLocation, type Location } from '../../src/protocol/location.js';
import { createTestClock } from '../helpers/test-clock.js';
import { memoryPeer, type MemoryPeer } from './memory-connection.js';
import { openDirectory } from './three-nodes.js';
import { parseLine, turn, type Line } from './wire.js';

const SCENES = [
  's01_handshake_accepted',
  's02_handshake_rejected',
  's03_pubmsg_broadcast',
  's04_privmsg_forward_peerlist',
  's05_peer_leaves',
  's06_direct_peer_to_peer',
  's09_control_types_from_remote',
  's10_duplicates_and_reconnect',
  's11_directory_goes_away',
] as const;

/** At two nodes of a cluster, two connections with one nick and one location may be those of one peer. */
const AT_ONE_NODE: ReadonlySet<string> = new Set(['s10_duplicates_and_reconnect']);

interface Differences {
  /** By reason: `connection: line` in the short form that `brief` writes. */
  readonly [reason: string]: {
    /** The original sent it, onionmc does not. */
    readonly missing?: readonly string[];
    /** onionmc sends it, the original did not. */
    readonly added?: readonly string[];
  };
}

const CLOSED = 'closed by the directory';
const ACCEPTED = '795 accepted by J57LVN1B4kZ14M7W on signet';
const REFUSED = '795 refused by J57LVN1B4kZ14M7W on signet';

/** The same line on several connections, whose names are separated by blanks. */
function each(line: string, connections: string): string[] {
  return connections.split(' ').map((conn) => `${conn}: ${line}`);
}

const RAW = 'J53Q5YmgN4ZqJaaJ';
const RAW_ENTRY = `${RAW};btrudwtpf7do67mmaz2upgtnhr474b2x3hfuqe3od3ukbrwz6rkbrqqd.onion:5222`;
const VICTIM =
  'J56cWhwLoKEJNPwZ;dpovww4s4lm7gcr3ei53gwkvdug2edrxakjd4x33bjzyrhv2huqzblid.onion:5222';
const VICTIM_2 =
  'J55yXw8Rt6LDE2K1;j5f7cylns6yjntaaipmdhs3n67arq2zzzrpnr4fw7pgnmoxi2onhzcad.onion:5222';
const WATCH = 'J54u4v4eTPsaPMqS';
const WATCH_ENTRY = `${WATCH};xlwygfrdsq56hhv7b32evypjzd6d52vvdnpytqitzjaq25vdjqozdiid.onion:5222`;
const DOUBLE = 'J5ELaiC4JozjxRRq';
const DOUBLE_ENTRY = `${DOUBLE};t23canbvzm7aam7vitr363y3osytrr3f7rejuofasluppln5sy4fhbqd.onion:5222`;
const F1_ENTRY =
  'J5DdDzqHiFvcqfL6;bftrcxzicorvihvo6566twovo47rydaegffqxp7e745twhcvwxkx4cyd.onion:5222';

const DIFFERENCES: Partial<Record<(typeof SCENES)[number], Differences>> = {
  s02_handshake_rejected: {
    'a refused peer is closed after the answer, and a malformed handshake at once': {
      added: each(
        CLOSED,
        'raw-wrongnet#1/1 raw-proto6#1/1 raw-proto-string#1/1 raw-app#1/1 raw-dirflag#1/1 ' +
          'raw-noport#1/1 raw-port0#1/1 raw-portneg#1/1 raw-hs-missing#1/1 raw-hs-notjson#1/1 ' +
          'taker-app#1/1 taker-app#2/1 taker-proto4#1/1 taker-proto4#2/1 taker-wrongnet#1/1 ' +
          'taker-wrongnet#2/1 taker-wrongnet#3/1',
      ),
    },
    'locations that cannot be dialled are refused (quirk Q11)': {
      missing: each(ACCEPTED, 'raw-badonion#1/1 raw-clearnet#1/1 raw-port70000#1/1'),
      added: [
        ...each(REFUSED, 'raw-badonion#1/1 raw-clearnet#1/1 raw-port70000#1/1'),
        ...each(CLOSED, 'raw-badonion#1/1 raw-clearnet#1/1 raw-port70000#1/1'),
      ],
    },
    'after a malformed handshake there is no second try': {
      missing: each(ACCEPTED, 'raw-hs-notjson#1/1'),
    },
    'nothing is relayed before the handshake (quirk Q9)': {
      missing: ['raw-ok#1/1: 687 J5Bno85gRNZmLtP3!PUBLIC!orderbook'],
    },
  },
  s03_pubmsg_broadcast: {
    'a message without a command is not relayed': {
      missing: each(`687 ${RAW}!PUBLIC!`, 'maker1#1/1 maker2#1/1 taker#1/1'),
    },
    'no peer can send in the name of another (quirks Q9 and Q10)': {
      missing: each(
        '687 J5BzaMvUPhEMY2qs!PUBLIC!sw0absoffer 9 1 2 0 1',
        'maker2#1/1 rawmaker#1/1 taker#1/1',
      ),
    },
    'nothing is relayed before the handshake, it closes (quirk Q9)': {
      missing: each(
        '687 J5A2zmYfnuE5Mp7x!PUBLIC!orderbook',
        'maker1#1/1 maker2#1/1 rawmaker#1/1 taker#1/1',
      ),
      added: each(CLOSED, 'raw-nohs#1/1'),
    },
  },
  s04_privmsg_forward_peerlist: {
    'the sender of a message to an absent nick gets a gone notice': {
      added: ['rawmaker#1/1: 789 J5unknownOOOOOOO;NOT-SERVING-ONION;D'],
    },
    'a payload is not changed, not even by a blank at its end (quirk Q23)': {
      missing: [`rawtaker#1/1: 685 ${RAW}!J58e66TfyH7M3Rur!fill `],
      added: [`rawtaker#1/1: 685 ${RAW}!J58e66TfyH7M3Rur!fill`],
    },
    'a message without a command is not relayed': {
      missing: [
        `rawtaker#1/1: 685 ${RAW}!J58e66TfyH7M3Rur! `,
        `rawtaker#1/1: 789 ${RAW_ENTRY},J57LVN1B4kZ14M7W;127.0.0.1:19010`,
      ],
    },
    'no peer can send in the name of another (quirk Q9)': {
      missing: [
        'rawtaker#1/1: 685 J522DFcripZgL71x!J58e66TfyH7M3Rur!fill x',
        'rawtaker#1/1: 789 J522DFcripZgL71x;127.0.0.1:19012,J57LVN1B4kZ14M7W;127.0.0.1:19010',
        'rawtaker#1/1: 685 J5nobodyOOOOOOOO!J58e66TfyH7M3Rur!fill x',
      ],
    },
    'no message returns to its sender': {
      missing: [
        `rawmaker#1/1: 685 ${RAW}!${RAW}!fill x`,
        'rawmaker#1/1: 789 J57LVN1B4kZ14M7W;127.0.0.1:19010',
      ],
    },
    '791 is answered': {
      added: [
        `rawmaker#1/1: 789 J522DFcripZgL71x;127.0.0.1:19012,${RAW_ENTRY},` +
          'J54ZTGBtkwHT2peV;NOT-SERVING-ONION,J58e66TfyH7M3Rur;NOT-SERVING-ONION',
      ],
    },
  },
  s05_peer_leaves: {
    'a refused peer is closed': { added: each(CLOSED, 'raw-rejected#1/1') },
  },
  s09_control_types_from_remote: {
    '799 and 787 from a peer have no effect, and do not close (quirks Q1 and Q2)': {
      missing: each(CLOSED, 'ctl#1/7 ctl#1/10'),
    },
    'no peer can announce another one as gone, or cut it off from messages (quirk Q1)': {
      missing: [
        ...each(`789 ${VICTIM};D`, 'spoofer#1/1 watch#1/1'),
        ...each(`789 ${VICTIM_2};D`, 'spoofer#1/1 watch#1/1'),
      ],
      added: each(`687 ${WATCH}!PUBLIC!orderbook`, 'victim#1/1 victim#1/1 victim2#1/1'),
    },
  },
  s10_duplicates_and_reconnect: {
    'a live holder keeps its nick; the second is refused, its messages and leave are not sent': {
      missing: [
        `dupB#1/1: ${ACCEPTED}`,
        `dupB#1/1: 687 ${WATCH}!PUBLIC!orderbook`,
        `dupB#1/1: 789 ${DOUBLE_ENTRY};D`,
        `dupB#1/1: 685 ${WATCH}!${DOUBLE}!fill y`,
        `dupB#1/1: 789 ${WATCH_ENTRY},J57LVN1B4kZ14M7W;127.0.0.1:19022`,
        `watch#1/1: 789 ${DOUBLE_ENTRY};D`,
      ],
      added: [`dupB#1/1: ${REFUSED}`, `dupB#1/1: ${CLOSED}`],
    },
    'the holder is probed with a harmless line': {
      added: ['dupA#1/1: 789 J57LVN1B4kZ14M7W;127.0.0.1:19022'],
    },
    'the sender of a message to an absent nick gets a gone notice': {
      added: [`watch#1/1: 789 ${DOUBLE};NOT-SERVING-ONION;D`],
    },
    'a nick is 1 to 64 characters, and has no blanks and separators': {
      missing: [
        ...each(ACCEPTED, 'emptynick#1/1 emptynick2#1/1 oddnick#1/1'),
        `emptynick#1/1: 789 ${F1_ENTRY};D`,
        `emptynick#1/1: 687 ${WATCH}!PUBLIC!orderbook`,
      ],
      added: each(CLOSED, 'emptynick#1/1 emptynick2#1/1 oddnick#1/1'),
    },
    "no peer may serve at the directory's own location": {
      missing: [
        `dirloc#1/1: ${ACCEPTED}`,
        ...each('687 J53x9uGc7iyDBRee!PUBLIC!orderbook', 'dupC#1/1 emptynick#1/1 watch#1/1'),
        ...each('789 J53x9uGc7iyDBRee;127.0.0.1:19022;D', 'dupC#1/1 emptynick#1/1 watch#1/1'),
      ],
      added: [`dirloc#1/1: ${REFUSED}`, `dirloc#1/1: ${CLOSED}`],
    },
  },
};

/** One recorded moment of a connection to the directory. */
type Moment =
  | { readonly at: number; readonly conn: string; readonly kind: 'open' | 'close' | 'closed' }
  | { readonly at: number; readonly conn: string; readonly kind: 'said'; readonly bytes: Buffer }
  | { readonly at: number; readonly conn: string; readonly kind: 'heard'; readonly text: string }
  | { readonly at: number; readonly conn: string; readonly kind: 'directory-gone' };

interface Scene {
  readonly nick: string;
  readonly location: Location;
  readonly moments: readonly Moment[];
}

type Json = { readonly [key: string]: unknown };

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function bytesOf(record: Json): Buffer {
  return typeof record['b64'] === 'string'
    ? Buffer.from(record['b64'], 'base64')
    : Buffer.from(text(record['data']), 'utf8');
}

/** @param conn a unique name for each connection; empty when it is not to the directory */
function moment(record: Json, conn: string): Moment | undefined {
  const at = Math.round(Number(record['t']) * 1_000);
  if (conn === '') return undefined;
  const fromPeer = record['dir'] === 'c2s';
  switch (record['kind']) {
    case 'open':
      return { at, conn, kind: 'open' };
    case 'close':
      return { at, conn, kind: fromPeer ? 'close' : 'closed' };
    case 'data':
      return fromPeer
        ? { at, conn, kind: 'said', bytes: bytesOf(record) }
        : { at, conn, kind: 'heard', text: bytesOf(record).toString('latin1') };
    default:
      return undefined;
  }
}

/** The records up to the shutdown of the recorded programs. */
function load(scene: string): Scene {
  const file = new URL(`../transcripts/${scene}.jsonl`, import.meta.url);
  const records = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line): unknown => JSON.parse(line))
    .filter(isJson);
  const end = records.findIndex((record) => text(record['note']).startsWith('end of scene'));
  const told = records.slice(0, end === -1 ? undefined : end);
  const self = told.find(({ who, ev }) => who === 'dir' && ev === 'welcome');
  const location = parseLocation(text(self?.['location']));
  if (!self || !location.ok) throw new Error(`${scene}: no directory in it`);
  const opened = new Map<string, number>();
  const moments = told.flatMap((record): Moment[] => {
    const conn = text(record['conn']);
    if (record['kind'] === 'open') opened.set(conn, (opened.get(conn) ?? 0) + 1);
    if (record['note'] === 'directory killed') {
      return [{ at: Math.round(Number(record['t']) * 1_000), conn: '', kind: 'directory-gone' }];
    }
    const named = conn.includes('->dir#')
      ? `${conn.replace('->dir', '')}/${String(opened.get(conn))}`
      : '';
    const found = moment(record, named);
    return found ? [found] : [];
  });
  return { nick: text(self['nick']), location: location.value, moments };
}

/** A line in the form that is compared. */
function brief({ type, line }: Line): string {
  if (type === 789) return `789 ${line.split(',').toSorted().join(',')}`;
  if (type !== 795) return `${type} ${line}`;
  const body: unknown = JSON.parse(line);
  if (!isJson(body)) return '795 ?';
  const { accepted, nick, network, directory } = body;
  const versions = `${String(body['proto-ver-min'])}-${String(body['proto-ver-max'])}`;
  const fine = body['app-name'] === 'joinmarket' && directory === true && versions === '5-5';
  return fine
    ? `795 ${accepted === true ? 'accepted' : 'refused'} by ${text(nick)} on ${text(network)}`
    : `795 ${line}`;
}

/** Lines by connection, in order. */
type Heard = Map<string, string[]>;

function note(heard: Heard, conn: string, line: string): void {
  const lines = heard.get(conn);
  if (lines) lines.push(line);
  else heard.set(conn, [line]);
}

/** The answers of the original, without the differences that hold everywhere. */
function recorded({ moments, nick }: Scene): Heard {
  const heard: Heard = new Map();
  const half = new Map<string, string>();
  const peers = new Set<string>();
  const nickOf = new Map<string, string>();
  const open = new Set<string>();
  for (const m of moments) {
    if (m.kind === 'open') open.add(m.conn);
    else if (m.kind === 'close') open.delete(m.conn);
    else if (m.kind === 'directory-gone') open.clear();
    else if (m.kind === 'closed' && open.delete(m.conn)) note(heard, m.conn, CLOSED);
    if (m.kind === 'said') {
      const said = /\\"nick\\": \\"([^"\\]*)\\"/.exec(m.bytes.toString());
      if (said?.[1] !== undefined) nickOf.set(m.conn, said[1]);
    }
    if (m.kind !== 'heard') continue;
    const lines = ((half.get(m.conn) ?? '') + m.text).split('\r\n');
    half.set(m.conn, lines.pop() ?? '');
    for (const raw of lines) {
      const line = parseLine(raw);
      const short = brief(line);
      if (short.startsWith('795 accepted')) peers.add(nickOf.get(m.conn) ?? '');
      if (line.type !== 789) {
        note(heard, m.conn, short);
        continue;
      }
      const leaves = line.line.split(',').filter((entry) => entry.endsWith(';D'));
      const known = leaves.filter((entry) => peers.has(entry.split(';')[0] ?? ''));
      const isPush = leaves.length === 0 && heard.get(m.conn)?.at(-1)?.startsWith('685 ');
      if (isPush) note(heard, m.conn, short);
      else if (known.length > 0) note(heard, m.conn, `789 ${known.toSorted().join(',')}`);
      else if (!line.line.split(';')[0]?.includes(nick) && leaves.length === 0) {
        note(heard, m.conn, short);
      }
    }
  }
  return heard;
}

function isList(short: string): boolean {
  return short.startsWith('789 ') && !short.includes(';D');
}

/** Notes a line; a list that continues another one is joined to it. */
function noteLine(heard: Heard, conn: string, short: string): void {
  const [pushed = '', last = ''] = heard.get(conn)?.slice(-2) ?? [];
  if (!isList(short) || !isList(last) || pushed.startsWith('685 ')) {
    note(heard, conn, short);
    return;
  }
  const entries = [...last.slice(4).split(','), ...short.slice(4).split(',')];
  heard.get(conn)?.splice(-1, 1, `789 ${entries.toSorted().join(',')}`);
}

/** The answers of onionmc. */
async function replayed(scene: Scene, isOneNode: boolean): Promise<Heard> {
  const clock = createTestClock();
  /** Milliseconds of the recording that have passed. */
  let passed = 0;
  const peers = new Map<string, MemoryPeer>();
  const heard: Heard = new Map();
  const done = new Map<string, number>();
  const make = (): Promise<Directory> =>
    openDirectory(
      (given) =>
        createDirectory({
          network: 'signet',
          nick: scene.nick,
          location: () => scene.location,
          reachable: new Set(['loopback'] as const),
          motd: () => 'ours',
          limits: DEFAULT_LIMITS,
          random: () => 0,
          log: silentLog,
          publicWindowMs: 0,
          flushWindowMs: 0,
          ...given,
        }),
      clock,
      isOneNode,
    );
  let directory = await make();

  /** Every peer reads all its bytes. */
  function read(): void {
    for (const [conn, peer] of peers) {
      const wasClosed = peer.closed;
      peer.drain();
      const lines = peer.received.split('\r\n').slice(done.get(conn) ?? 0, -1);
      done.set(conn, (done.get(conn) ?? 0) + lines.length);
      for (const line of lines) noteLine(heard, conn, brief(parseLine(line)));
      if (wasClosed || peer.closed) {
        note(heard, conn, CLOSED);
        peers.delete(conn);
      }
    }
  }

  for (const m of scene.moments) {
    while (passed < m.at) {
      const step = Math.min(100, m.at - passed);
      clock.advance(step);
      passed += step;
      read();
    }
    switch (m.kind) {
      case 'open': {
        const peer = memoryPeer();
        peers.set(m.conn, peer);
        directory.accept(peer.connection);
        break;
      }
      case 'said':
        peers.get(m.conn)?.say(m.bytes);
        break;
      case 'close': {
        const peer = peers.get(m.conn);
        peers.delete(m.conn);
        peer?.leave();
        break;
      }
      case 'directory-gone':
        peers.clear();
        // oxlint-disable-next-line no-await-in-loop -- in the order of the recording
        directory = await make();
        break;
      case 'heard':
      case 'closed':
        break;
    }
    read();
    // Nodes of a cluster tell each other at the end of a turn.
    // oxlint-disable-next-line no-await-in-loop -- in the order of the recording
    await turn();
    read();
  }
  return heard;
}

/** Removes the lines of `some` from `all`, the last of equal ones; returns the lines that `all` lacks. */
function without(all: Heard, some: readonly string[]): string[] {
  return some.filter((entry) => {
    const cut = entry.indexOf(': ');
    const lines = all.get(entry.slice(0, cut));
    const index = lines?.lastIndexOf(entry.slice(cut + 2)) ?? -1;
    if (index === -1) return true;
    lines?.splice(index, 1);
    return false;
  });
}

function flat(heard: Heard): string[] {
  return [...heard]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .flatMap(([conn, lines]) => lines.map((line) => `${conn}: ${line}`));
}

void t.test('the recorded scenes', async (t) => {
  for (const name of SCENES) {
    const scene = load(name);
    const expected = recorded(scene);
    // oxlint-disable-next-line no-await-in-loop -- one scene after the other
    const actual = await replayed(scene, AT_ONE_NODE.has(name));
    const total = flat(expected).length;
    const listed = Object.values(DIFFERENCES[name] ?? {});
    const missing = listed.flatMap((difference) => difference.missing ?? []);
    const added = listed.flatMap((difference) => difference.added ?? []);
    t.strictSame(without(expected, missing), [], `${name}: each missing line was recorded`);
    t.strictSame(without(actual, added), [], `${name}: each added line is there`);
    t.strictSame(flat(actual), flat(expected), `${name}: ${total} lines, the rest is the same`);
  }
});
