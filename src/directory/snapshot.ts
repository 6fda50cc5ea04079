/**
 * The state of a directory as plain JSON, for the process that continues. Times are ages in
 * milliseconds, because the clocks of two processes are unrelated. The input comes from another
 * process, perhaps of another version, so it is validated like input of a peer.
 */
import { MAX_LINE_BYTES } from '../protocol/constants.js';
import {
  formatLocation,
  type DeclaredLocation,
  type Location,
  type LocationKind,
} from '../protocol/location.js';
import {
  formatNickChallenge,
  formatNickProof,
  parseNickChallenge,
  parseNickProof,
  type NickAuthChallenge,
  type NickAuthProof,
  formatCarriedProof,
  parseCarriedProof,
  type CarriedProof,
} from '../protocol/nick-auth.js';
import type { Parsed } from '../protocol/result.js';
import {
  PUBLIC_CLASSES,
  RATE_CLASSES,
  type PublicClass,
  type RateClass,
} from './message-classes.js';
import {
  ageOf,
  booleanOf,
  bytesOf,
  countOf,
  declared,
  dialled,
  Fault,
  fieldsOf,
  kindOf,
  listOf,
  nickOf,
  numberOf,
  oneOf,
  optional,
  parsed,
  textOf,
  type Fields,
} from './snapshot-fields.js';

export interface MeterSnapshot {
  readonly kind: RateClass;
  readonly tokens: number;
  readonly filledMs: number;
  readonly minuteMs: number;
  readonly inMinute: number;
}

/** A name and an age. */
export type Aged = readonly [name: string, ms: number];

export interface WaitingSnapshot {
  readonly kind: PublicClass;
  /** One frame, CRLF included. */
  readonly frame: string;
}

/** An open challenge (docs/protocol.md, section 7.6). */
export interface ProvingSnapshot {
  readonly challenge: NickAuthChallenge;
  /** The 793 payload as received. */
  readonly handshake: string;
  readonly askedMs: number;
  /** A proof that arrived and was not checked yet. */
  readonly proof: NickAuthProof | undefined;
}

export interface PeerSnapshot {
  readonly state: 'new' | 'waiting' | 'proving' | 'ready';
  readonly acceptedMs: number;
  readonly heardMs: number;
  readonly pingedMs: number | undefined;
  readonly probedMs: number | undefined;
  /** Empty in state `new`. */
  readonly nick: string;
  /** The kind of location that it dialled; undefined from a program that knew only one. */
  readonly via: LocationKind | undefined;
  /** The host of the peer, where the overlay knows it; see `Connection.peerHost`. */
  readonly peerHost?: string | null | undefined;
  readonly location: DeclaredLocation;
  readonly features: readonly string[];
  readonly verified: boolean;
  /** The key of its nick, if proved; 66 hex digits. */
  readonly provenKey: string | undefined;
  /** The proof of that key, in a cluster. */
  readonly carriedProof?: CarriedProof | undefined;
  /** What let it into a private directory. */
  readonly pass?: string | undefined;
  /** In state `proving` only. */
  readonly proving: ProvingSnapshot | undefined;
  readonly circuit: string | undefined;
  /** Empty when the circuit has them. */
  readonly meters: readonly MeterSnapshot[];
  readonly addressed: readonly Aged[];
  readonly mutual: readonly Aged[];
  readonly spoofs: number;
  readonly goneTold: readonly Aged[];
  /** A partial line. */
  readonly halfLine: Uint8Array;
  /** All bytes that it must still receive, in order. */
  readonly owed: Uint8Array;
  /** Its public messages that wait for the budget. */
  readonly waits: readonly WaitingSnapshot[];
}

export interface CircuitSnapshot {
  readonly id: string;
  readonly meters: readonly MeterSnapshot[];
  /** When its last stream closed; undefined while it has one. */
  readonly leftMs: number | undefined;
}

export interface DialBackSnapshot {
  readonly location: Location;
  readonly ms: number;
  readonly nick: string | undefined;
}

/** Everything except the peers. */
export interface DirectorySnapshot {
  /** The directory's own nick, which its peers know. */
  readonly nick: string;
  /** Counters by name; those of a kind as `kind.name`. The reader skips unknown names. */
  readonly tally: Readonly<Record<string, number>>;
  /** The rest of the budgets; undefined: full. */
  readonly deliveries: number | undefined;
  readonly requests: number | undefined;
  readonly circuits: readonly CircuitSnapshot[];
  readonly dialBacks: readonly DialBackSnapshot[];
  /** Locations that waited to be dialled or were being dialled. */
  readonly toDial: readonly Location[];
  /** What `Neighbours.snapshot` returned; undefined without other nodes. Its reader validates it. */
  readonly neighbours: unknown;
}

/** Most peers, circuits and locations that are read. */
const MAX_ITEMS = 200_000;
const MAX_FEATURES = 1_024;
const MAX_FRAME_CHARS = MAX_LINE_BYTES + 2;
const STATES: readonly PeerSnapshot['state'][] = ['new', 'waiting', 'proving', 'ready'];
/** Printable ASCII and the end of the line; no other bytes may be sent to a peer. */
const FRAME = /^[\x20-\x7e]+\r\n$/;

function agedOf(value: unknown): Aged {
  const [name, ms] = listOf(value, 2, (item) => item);
  return [nickOf(name), ageOf(ms)];
}

function meterOf(value: unknown): MeterSnapshot {
  const fields = fieldsOf(value);
  return {
    kind: oneOf(fields['kind'], RATE_CLASSES),
    tokens: ageOf(fields['tokens']),
    filledMs: ageOf(fields['filledMs']),
    minuteMs: ageOf(fields['minuteMs']),
    inMinute: countOf(fields['inMinute']),
  };
}

function metersOf(value: unknown): readonly MeterSnapshot[] {
  return listOf(value, RATE_CLASSES.length, meterOf);
}

function waitingOf(value: unknown): WaitingSnapshot {
  const fields = fieldsOf(value);
  const frame = textOf(fields['frame'], MAX_FRAME_CHARS);
  if (!FRAME.test(frame)) throw new Fault('frame');
  return { kind: oneOf(fields['kind'], PUBLIC_CLASSES), frame };
}

function keyOf(value: unknown): string {
  const key = textOf(value, 66);
  if (!/^0[23][0-9a-f]{64}$/.test(key)) throw new Fault('key');
  return key;
}

function carriedProofOf(value: unknown): CarriedProof {
  const proof = parseCarriedProof(value);
  if (!proof) throw new Fault('nick-auth');
  return proof;
}

function provingOf(value: unknown): ProvingSnapshot {
  const fields = fieldsOf(value);
  const challenge = parseNickChallenge(textOf(fields['challenge'], MAX_LINE_BYTES));
  const proof = optional(fields['proof'], (text) => parseNickProof(textOf(text, MAX_LINE_BYTES)));
  if (!challenge.ok || proof?.ok === false) throw new Fault('nick-auth');
  return {
    challenge: challenge.value,
    handshake: textOf(fields['handshake'], MAX_LINE_BYTES),
    askedMs: ageOf(fields['askedMs']),
    proof: proof?.value,
  };
}

function circuitOf(value: unknown): string {
  const id = textOf(value, 32);
  if (!/^\d+(\/\d+)?$/.test(id)) throw new Fault('circuit');
  return id;
}

function peerHostIn({ peerHost }: Fields): Pick<PeerSnapshot, 'peerHost'> {
  if (peerHost === undefined) return {};
  return { peerHost: peerHost === null ? null : textOf(peerHost, 255) };
}

function tallyOf(value: unknown): Readonly<Record<string, number>> {
  const entries = Object.entries(fieldsOf(value));
  if (entries.length > MAX_FEATURES) throw new Fault('list');
  return Object.fromEntries(entries.map(([name, count]) => [name, countOf(count)]));
}

/** Never throws. */
export function parsePeerSnapshot(value: unknown): Parsed<PeerSnapshot> {
  return parsed(value, (fields) => {
    const state = oneOf(fields['state'], STATES);
    const halfLine = bytesOf(fields['halfLine']);
    if (halfLine.length > MAX_LINE_BYTES + 1 || halfLine.includes(0x0a)) throw new Fault('line');
    const owed = bytesOf(fields['owed']);
    // A peer has no queue before its handshake.
    if ((state === 'new' || state === 'waiting') && owed.length > 0) throw new Fault('owed');
    const proving = optional(fields['proving'], provingOf);
    if ((proving !== undefined) !== (state === 'proving')) throw new Fault('nick-auth');
    return {
      state,
      acceptedMs: ageOf(fields['acceptedMs']),
      heardMs: ageOf(fields['heardMs']),
      pingedMs: optional(fields['pingedMs'], ageOf),
      probedMs: optional(fields['probedMs'], ageOf),
      nick: state === 'new' ? '' : nickOf(fields['nick']),
      via: optional(fields['via'], kindOf),
      ...peerHostIn(fields),
      location: declared(fields['location']),
      features: listOf(fields['features'], MAX_FEATURES, (name) => textOf(name, 1_024)),
      verified: booleanOf(fields['verified']),
      provenKey: optional(fields['provenKey'], keyOf),
      carriedProof: optional(fields['carriedProof'], carriedProofOf),
      pass: optional(fields['pass'], (pass) => textOf(pass, 64)),
      proving,
      circuit: optional(fields['circuit'], circuitOf),
      meters: metersOf(fields['meters']),
      addressed: listOf(fields['addressed'], 1_024, agedOf),
      mutual: listOf(fields['mutual'], 1_024, agedOf),
      spoofs: countOf(fields['spoofs']),
      goneTold: listOf(fields['goneTold'], 1_024, agedOf),
      halfLine,
      owed,
      waits: listOf(fields['waits'], 1_024, waitingOf),
    };
  });
}

/** The JSON of a peer, for `parsePeerSnapshot`. */
export function formatPeerSnapshot(peer: PeerSnapshot): unknown {
  return {
    ...peer,
    location: formatLocation(peer.location),
    carriedProof: peer.carriedProof && formatCarriedProof(peer.carriedProof),
    proving: peer.proving && {
      ...peer.proving,
      challenge: formatNickChallenge(peer.proving.challenge),
      proof: peer.proving.proof && formatNickProof(peer.proving.proof),
    },
    halfLine: Buffer.from(peer.halfLine).toString('base64'),
    owed: Buffer.from(peer.owed).toString('base64'),
  };
}

/** Never throws. */
export function parseDirectorySnapshot(value: unknown): Parsed<DirectorySnapshot> {
  return parsed(value, (fields) => ({
    nick: nickOf(fields['nick']),
    tally: tallyOf(fields['tally']),
    deliveries: optional(fields['deliveries'], numberOf),
    requests: optional(fields['requests'], numberOf),
    circuits: listOf(fields['circuits'], MAX_ITEMS, (item) => {
      const circuit = fieldsOf(item);
      return {
        id: circuitOf(circuit['id']),
        meters: metersOf(circuit['meters']),
        leftMs: optional(circuit['leftMs'], ageOf),
      };
    }),
    dialBacks: listOf(fields['dialBacks'], MAX_ITEMS, (item) => {
      const answer = fieldsOf(item);
      return {
        location: dialled(answer['location']),
        ms: ageOf(answer['ms']),
        nick: optional(answer['nick'], nickOf),
      };
    }),
    toDial: listOf(fields['toDial'], MAX_ITEMS, dialled),
    neighbours: fields['neighbours'],
  }));
}

/** The JSON of a directory, for `parseDirectorySnapshot`. */
export function formatDirectorySnapshot(directory: DirectorySnapshot): unknown {
  return {
    ...directory,
    dialBacks: directory.dialBacks.map((answer) => ({
      ...answer,
      location: formatLocation(answer.location),
    })),
    toDial: directory.toDial.map(formatLocation),
  };
}
