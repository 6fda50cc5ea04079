/** The tables of `onionmc list` and `onionmc bans`. Names and features are untrusted text. */
import { counted, grouped } from '../kit/decimal.js';
import { isRecord, recordOf, type JsonRecord } from '../kit/json-record.js';
import { shownLine } from '../kit/shown-text.js';
import { textTable, type Column } from '../kit/text-table.js';
import { bytes, duration } from './status-page.js';

/** Longest nick, location and list of features in a table. */
const MAX_NAME = 64;
const MAX_LOCATION = 70;
const MAX_FEATURES = 60;

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function text(value: unknown, longest: number): string {
  return typeof value === 'string' && value !== '' ? shownLine(value, longest) : '-';
}

function records(value: unknown): readonly JsonRecord[] {
  return Array.isArray(value) ? value.map(recordOf) : [];
}

/** The names in a list of names, or of objects with a `name`. */
export function namesIn(value: unknown): readonly string[] {
  const names: readonly unknown[] = Array.isArray(value) ? value : [];
  return names.map((item) => text(isRecord(item) ? item['name'] : item, MAX_NAME));
}

function featuresOf(value: unknown): string {
  const names: readonly unknown[] = Array.isArray(value) ? value : [];
  return text(names.map((name) => text(name, MAX_FEATURES)).join(' '), MAX_FEATURES);
}

const PEER_COLUMNS: readonly Column[] = [
  { heading: 'nick' },
  { heading: 'kind' },
  { heading: 'since', numeric: true },
  { heading: 'dir' },
  { heading: 'queue', numeric: true },
  { heading: 'in', numeric: true },
  { heading: 'out', numeric: true },
  { heading: 'features' },
];

function peerCells(peer: JsonRecord): readonly string[] {
  return [
    text(peer['nick'], MAX_NAME),
    text(peer['kind'], MAX_NAME),
    duration(number(peer['connectedSeconds'])),
    text(peer['direction'], MAX_NAME),
    bytes(number(peer['queuedBytes'])),
    grouped(number(peer['messagesIn'])),
    grouped(number(peer['messagesOut'])),
    featuresOf(peer['features']),
  ];
}

/** The answer to `list` as a table, the oldest connection first. */
export function peersTable(answer: JsonRecord, withLocations: boolean): string {
  const peers = records(answer['peers']);
  const total = Math.max(number(answer['total']), peers.length);
  if (total === 0) return 'no peers are connected';
  const columns = withLocations ? [...PEER_COLUMNS, { heading: 'location' }] : PEER_COLUMNS;
  const rows = peers.map((peer) => [
    ...peerCells(peer),
    ...(withLocations ? [text(peer['location'], MAX_LOCATION)] : []),
  ]);
  const more = total - peers.length;
  return [
    ...textTable(columns, rows),
    `${counted(total, 'peer')}${more > 0 ? `, ${grouped(more)} of them not shown` : ''}`,
  ].join('\n');
}

/** The bans in force as a table. */
export function bansTable(value: unknown): string {
  const bans = records(value);
  if (bans.length === 0) return 'no bans are in force';
  const columns = [
    { heading: 'kind' },
    { heading: 'name' },
    { heading: 'expires in', numeric: true },
  ];
  const rows = bans.map((ban) => [
    text(ban['kind'], MAX_NAME),
    text(ban['name'], MAX_NAME),
    duration(number(ban['leftSeconds'])),
  ]);
  return textTable(columns, rows).join('\n');
}

/** The bans that a kick made, and those that it did not make. */
export function banWords(answer: JsonRecord): string {
  const banned = namesIn(answer['banned']);
  const shared = number(answer['sharedWith']);
  const lines = [`banned for ${duration(number(answer['banSeconds']))}: ${banned.join(' ')}`];
  if (shared > 0) {
    lines.push(
      `its onion is not banned, because ${counted(shared, 'other peer declares', 'other peers declare')} it, too; "onionmc kick ONION --ban" closes and bans them all`,
    );
  }
  return lines.join('\n');
}
