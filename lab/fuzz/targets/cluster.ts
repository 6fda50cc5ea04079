/**
 * What a node of a directory on several machines reads: packets and records of other nodes, and the state of the
 * process before. Whatever is read can be written and read again.
 */
import { fingerprintText, SetDigest } from '../../../src/cluster/digest.js';
import { formatMoved, parseMoved } from '../../../src/cluster/moved.js';
import { openPacket } from '../../../src/cluster/packet.js';
import {
  formatClusterRecord,
  formatEntry,
  parseClusterRecord,
  parseEntry,
} from '../../../src/cluster/record.js';
import { parseRecord } from '../../../src/kit/json-record.js';
import { must, mustEqual, type Target } from '../target.js';

const HOST = '2bflemtufo2kwoqtnc6umfpe43icesvxdiawxl4fecrtfslxq43yqmad.onion';
const KEY = `02${'ab'.repeat(32)}`;
const ENTRY = `{"n":"J5Maker","l":"${HOST}:5222","f":["ping"],"r":1,"a":7,"k":"${KEY}"}`;

const RECORDS = [
  '{"t":"b","n":3,"h":"0011223344556677","d":[1.5,0],"v":"1.0"}',
  '{"t":"q"}',
  `{"t":"j","e":${ENTRY}}`,
  '{"t":"l","n":"J5Maker"}',
  '{"t":"m","p":"J5Maker!PUBLIC!sw0reloffer 0"}',
  '{"t":"p","p":"J5Maker!J5Taker!fill 0"}',
  '{"t":"u","f":"J5Maker","o":"J5Taker"}',
  '{"t":"n","x":"0011"}',
  '{"t":"o","x":"0011","s":9}',
  '{"t":"w","i":1}',
  `{"t":"s","i":1,"k":0,"z":2,"e":[${ENTRY}]}`,
  `{"t":"c","n":"J5Maker","l":"NOT-SERVING-ONION","k":"${KEY}"}`,
  '{"t":"x","n":"J5Maker"}',
  '{"t":"a","n":"J5Maker","g":true}',
  '{"t":"y","n":"J5Maker"}',
  '{"t":"r","n":"J5Maker"}',
];

const MOVED = `{"epoch":"ab","toAll":7,"toNodes":{"b":3},"own":[${ENTRY}],"nodes":[{"name":"b","epoch":"cd","toAll":1,"toUs":2,"entries":[${ENTRY}]}]}`;

function packet(records: readonly string[]): Uint8Array {
  const body = `{"c":"pit.signet","f":"a","e":"ab","t":"*","s":1,"r":[${records.join(',')}]}`;
  return Buffer.concat([Buffer.alloc(64, 0x20), Buffer.from(body)]);
}

function* recordOutcomes(value: unknown): Generator<string> {
  const record = parseClusterRecord(value);
  if (typeof record !== 'object') {
    yield record === 'unknown' ? 'record-unknown' : 'record-unreadable';
    return;
  }
  yield `record-${record.type}`;
  mustEqual(parseClusterRecord(formatClusterRecord(record)), record, 'a record');
  if (record.type === 'join') {
    const { entry } = record;
    mustEqual(parseEntry(formatEntry(entry)), entry, 'an entry');
    const digest = new SetDigest();
    const empty = digest.text;
    digest.toggle(entry);
    digest.toggle({ ...entry, ageMs: 0 });
    must(digest.text === empty, 'an entry leaves the digest as it came');
  }
}

export function clusterTarget(): Target {
  return {
    name: 'cluster',
    seeds: [
      packet(RECORDS),
      packet([]),
      Buffer.from(MOVED),
      ...RECORDS.map((text) => Buffer.from(text)),
    ],
    words: ['"t":', '"n":', '"J5Maker"', '"e":', '"r":[', '-1', '1.5', 'null', '[]', '{}', '*'],
    maxBytes: 8_192,
    *run(input) {
      const opened = openPacket(input);
      yield opened ? 'packet' : 'no-packet';
      must((opened?.seq ?? 1) >= 1, 'a packet has a number');
      for (const value of opened?.records ?? []) yield* recordOutcomes(value);
      const text = Buffer.from(input).toString('utf8');
      must(fingerprintText(text) === fingerprintText(text), 'a fingerprint is always the same');
      const fields = parseRecord(text);
      if (!fields) return;
      yield* recordOutcomes(fields);
      const moved = parseMoved(fields);
      if (!moved) return;
      yield 'moved';
      mustEqual(
        formatMoved(parseMoved(formatMoved(moved)) ?? moved),
        formatMoved(moved),
        'a state',
      );
    },
  };
}
