/**
 * What `onionmc list`, `kick`, `bans`, `unban` and `doctor` ask a running directory over its request socket,
 * and the answers. Only the user of the directory and root can use that socket, so the answers name peers.
 */
import type { Log } from '../channel/log.js';
import { MAX_BAN_MS, type Ban, type BanSubject } from '../directory/entry/bans.js';
import type { KickTarget, Operator, PeerRow } from '../directory/entry/operator.js';
import { isRecord, parseRecord } from '../kit/json-record.js';
import { shownLine } from '../kit/shown-text.js';
import { formatLocation, isLocationKind } from '../protocol/location.js';
import { isRoutableNick } from '../protocol/nick.js';
import { fail, ok, type Parsed } from '../protocol/result.js';

export type OperatorRequest =
  | { readonly ask: 'list' | 'bans' }
  /** The Tor clients of a private directory have changed. */
  | { readonly ask: 'tor-clients' }
  /** A test of the operator is about to connect under these nicks. */
  | { readonly ask: 'self-test'; readonly nicks: readonly string[] }
  | {
      readonly ask: 'kick';
      readonly target: KickTarget;
      /** How long they are banned, milliseconds; undefined: they may connect again at once. */
      readonly banMs: number | undefined;
      /** Whether the log names the peers. */
      readonly logNames: boolean;
    }
  | {
      readonly ask: 'unban';
      /** A nick or a host; undefined: all. */
      readonly name: string | undefined;
      readonly logNames: boolean;
    };

/** Most peers in one answer. */
export const MAX_LISTED = 10_000;
/** Most features of one peer in an answer, and the longest of each: a handshake has room for thousands. */
const MAX_FEATURES = 16;
const MAX_FEATURE_CHARS = 40;
/** Nicks of one test in a request. */
const MAX_TEST_NICKS = 2;
/** Longest name in a request. */
const MAX_NAME_CHARS = 128;

function targetOf(value: unknown): KickTarget | undefined {
  if (!isRecord(value)) return undefined;
  const { by } = value;
  const name = nameOf(value['name']);
  if (typeof by !== 'string' || name === undefined) return undefined;
  return by === 'nick' || isLocationKind(by) ? { by, name } : undefined;
}

function nameOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= MAX_NAME_CHARS ? value : undefined;
}

function isBanTime(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value <= MAX_BAN_MS;
}

/** The nicks of one test. */
function nicksOf(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_TEST_NICKS) return undefined;
  const nicks = value.filter((nick) => typeof nick === 'string' && isRoutableNick(nick));
  return nicks.length === value.length ? nicks : undefined;
}

/** One line of the socket. Never throws. */
export function parseOperatorRequest(line: string): Parsed<OperatorRequest> {
  const fields = parseRecord(line) ?? {};
  const { ask, target: to, banMs, name: text } = fields;
  const logNames = fields['logNames'] === true;
  const name = nameOf(text);
  switch (ask) {
    case 'list':
    case 'bans':
    case 'tor-clients':
      return ok({ ask });
    case 'self-test': {
      const nicks = nicksOf(fields['nicks']);
      return nicks === undefined ? fail('nicks') : ok({ ask, nicks });
    }
    case 'kick': {
      const target = targetOf(to);
      if (target === undefined) return fail('target');
      if (banMs !== undefined && !isBanTime(banMs)) return fail('ban-time');
      return ok({ ask, target, banMs, logNames });
    }
    case 'unban':
      return text === undefined || name !== undefined ? ok({ ask, name, logNames }) : fail('name');
    default:
      return fail('request');
  }
}

/** A refusal, as `onionmc upgrade` gets it too. */
export interface RefusedRequest {
  readonly done: false;
  readonly why: string;
}

export function refusedRequest(reason: string): RefusedRequest {
  return { done: false, why: reason };
}

const seconds = (ms: number): number => Math.round(ms / 1000);

function rowJson(peer: PeerRow): Readonly<Record<string, unknown>> {
  const { nick, kind, location, features, direction, connectedMs, queuedBytes } = peer;
  return {
    nick,
    kind,
    location: formatLocation(location),
    features: features.slice(0, MAX_FEATURES).map((name) => shownLine(name, MAX_FEATURE_CHARS)),
    direction,
    connectedSeconds: seconds(connectedMs),
    queuedBytes,
    messagesIn: peer.messagesIn,
    messagesOut: peer.messagesOut,
  };
}

function banJson({ kind, name, leftMs }: Ban): Readonly<Record<string, unknown>> {
  return { kind, name, leftSeconds: Math.ceil(leftMs / 1000) };
}

/** Names for the log, if the operator asked for them. */
function named(logNames: boolean, names: readonly string[]): { readonly names?: string } {
  return logNames ? { names: shownLine(names.join(' ')) } : {};
}

function namesOf(subjects: readonly BanSubject[]): readonly string[] {
  return subjects.map(({ name }) => name);
}

const FAULTS = {
  'unknown-peer': 'no such peer is connected now',
  'too-many-bans': 'the list of bans is full: lift some with "onionmc unban"',
} as const;

function kick(
  operator: Operator,
  { target, banMs, logNames }: Extract<OperatorRequest, { ask: 'kick' }>,
  log: Log,
): unknown {
  const result = operator.kick(target, banMs);
  if (!result.done) return refusedRequest(FAULTS[result.fault]);
  const { nicks, banned, sharedWith } = result;
  const ban = banMs === undefined ? {} : { banSeconds: seconds(banMs) };
  const names = new Set([...nicks, ...namesOf(banned)]);
  log.info('the operator closed peers', {
    peers: nicks.length,
    bans: banned.length,
    ...ban,
    ...named(logNames, [...names]),
  });
  return { done: true, kicked: nicks, banned, ...ban, sharedWith };
}

function unban(
  operator: Operator,
  { name, logNames }: Extract<OperatorRequest, { ask: 'unban' }>,
  log: Log,
): unknown {
  const lifted = operator.unban(name);
  if (lifted.length === 0 && name !== undefined) return refusedRequest('no such ban is in force');
  log.info('the operator lifted bans', {
    bans: lifted.length,
    ...named(logNames, namesOf(lifted)),
  });
  return { done: true, lifted: lifted.map(banJson) };
}

/** Carries a request out; the result is the answer, as JSON. */
export function answerOperator(
  operator: Operator,
  request: Exclude<OperatorRequest, { readonly ask: 'tor-clients' | 'self-test' }>,
  log: Log,
): unknown {
  switch (request.ask) {
    case 'list': {
      const peers = operator.list(MAX_LISTED);
      return { peers: peers.map(rowJson), total: operator.peerCount };
    }
    case 'bans':
      return { bans: operator.bans().map(banJson) };
    case 'kick':
      return kick(operator, request, log);
    case 'unban':
      return unban(operator, request, log);
  }
}
