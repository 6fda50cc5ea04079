/** Peer lists: no entry can inject another one, and a list written again is the same list. */
import {
  MAX_LINE_BYTES,
  MessageType,
  PEERLIST_CHUNK_ENTRIES,
} from '../../../src/protocol/constants.js';
import { encodeEnvelope } from '../../../src/protocol/envelope.js';
import { formatLocation, parseDeclaredLocation } from '../../../src/protocol/location.js';
import { isRoutableNick } from '../../../src/protocol/nick.js';
import {
  formatPeerEntry,
  isFeatureName,
  joinPeerEntries,
  parsePeerlist,
  type PeerEntry,
} from '../../../src/protocol/peerlist.js';
import type { Seeds } from '../seeds.js';
import { must, mustEqual, payloadOf, type Target } from '../target.js';

function rewritten(entries: readonly PeerEntry[], withFeatures: boolean): PeerEntry[] {
  const formatted = entries.map((entry) => formatPeerEntry(entry, withFeatures));
  return joinPeerEntries(formatted).flatMap((payload) => {
    const frame = encodeEnvelope(MessageType.PEERLIST, payload);
    must(frame.length <= MAX_LINE_BYTES, 'a peer list written again fits one line');
    const list = parsePeerlist(payload);
    must(list.malformed === 0, 'a written list is well formed');
    must(list.entries.length <= PEERLIST_CHUNK_ENTRIES, 'at most 20 entries in a line');
    return [...list.entries];
  });
}

export function peerlistTarget({ payloads }: Seeds): Target {
  const seeds = payloads.get(MessageType.PEERLIST) ?? [];
  return {
    name: 'peerlist',
    seeds: [
      ...seeds,
      'J5CkonLuuapPSBM1;2bflemtufo2kwoqtnc6umfpe43icesvxdiawxl4fecrtfslxq43yqmad.onion:5222;F:peerlist_features+ping',
      'a;NOT-SERVING-ONION;D,b;127.0.0.1:1;D;F:x',
    ].map((text) => Buffer.from(text)),
    words: [';D', ';F:', ';F:ping+peerlist_features', ',', ';', 'NOT-SERVING-ONION', '127.0.0.1:1'],
    maxBytes: MAX_LINE_BYTES,
    *run(input) {
      const payload = payloadOf(input);
      const { entries, malformed } = parsePeerlist(payload);
      const commas = payload.split(',').length;
      must(entries.length + malformed === (payload === '' ? 0 : commas), 'every entry is counted');
      for (const { nick, location, left, features } of entries) {
        must(isRoutableNick(nick), 'the nick can be routed');
        must(parseDeclaredLocation(formatLocation(location)).ok, 'the location is valid');
        must(features.every(isFeatureName), 'every feature can be listed');
        yield `${left ? 'left' : 'here'}-${location.kind}${features.length > 0 ? '-features' : ''}`;
      }
      if (malformed > 0) yield 'malformed';
      const present = entries.map((entry) => (entry.left ? { ...entry, features: [] } : entry));
      mustEqual(rewritten(entries, true), present, 'decode(encode(x)) = x');
      const plain = entries.map((entry) => ({ ...entry, features: [] }));
      mustEqual(rewritten(entries, false), plain, 'without features the rest is the same');
      const location = parseDeclaredLocation(payload);
      yield location.ok ? `location-${location.value.kind}` : location.reason;
    },
  };
}
