/** The payloads of 793 and 795. */
import { MAX_LINE_BYTES, MessageType } from '../../../src/protocol/constants.js';
import { encodeEnvelope } from '../../../src/protocol/envelope.js';
import {
  formatDirectoryHandshake,
  formatPeerHandshake,
  isMismatch,
  parseDirectoryHandshake,
  parsePeerHandshake,
} from '../../../src/protocol/handshake.js';
import { parseRoute } from '../../../src/protocol/message.js';
import { isRoutableNick } from '../../../src/protocol/nick.js';
import {
  formatPeerEntry,
  isFeatureName,
  parsePeerlist,
  type PeerEntry,
} from '../../../src/protocol/peerlist.js';
import type { Seeds } from '../seeds.js';
import { must, mustEqual, payloadOf, type Target } from '../target.js';

const MAX_FEATURES = 32;
const WORDS = [
  '"app-name"',
  '"joinmarket"',
  '"location-string"',
  '"NOT-SERVING-ONION"',
  '"127.0.0.1:5222"',
  '2bflemtufo2kwoqtnc6umfpe43icesvxdiawxl4fecrtfslxq43yqmad.onion:5222',
  '"directory"',
  '"network"',
  '"mainnet"',
  '"signet"',
  '"proto-ver"',
  '"proto-ver-min"',
  '"proto-ver-max"',
  '"accepted"',
  '"motd"',
  '{"ping": true}',
];

const MANY_FEATURES =
  '{"app-name": "joinmarket", "directory": false, "location-string": "NOT-SERVING-ONION", "proto-ver": 5, "features": {"ping": true, "a": true, "peerlist_features": true, "b": false}, "nick": "J5CkonLuuapPSBM1", "network": "signet"}';

function bytes(payloads: readonly string[] | undefined): Uint8Array[] {
  return (payloads ?? []).map((payload) => Buffer.from(payload));
}

function mustBeFeatures(features: readonly string[]): void {
  must(features.length <= MAX_FEATURES, 'at most 32 features');
  must(features.every(isFeatureName), 'every feature can be listed');
  must(new Set(features).size === features.length, 'no feature twice');
  mustEqual(features, features.toSorted(), 'features are sorted');
}

/** An accepted peer is one entry of a peer list, and its nick is the sender of messages. */
function mustBeListed(entry: PeerEntry): void {
  const list = parsePeerlist(`${formatPeerEntry(entry, true)},other;NOT-SERVING-ONION`);
  mustEqual(list.entries[0], entry, 'an entry is read as it was written');
  must(list.entries.length === 2 && list.malformed === 0, 'an entry is one entry');
  const route = parseRoute(`${entry.nick}!PUBLIC!text`);
  must(route.ok && route.value.from === entry.nick, 'a nick can be the sender of a message');
}

export function handshakeTarget({ payloads }: Seeds): Target {
  return {
    name: 'handshake',
    seeds: [...bytes(payloads.get(MessageType.HANDSHAKE)), Buffer.from(MANY_FEATURES)],
    words: WORDS,
    maxBytes: MAX_LINE_BYTES,
    *run(input) {
      const payload = payloadOf(input);
      for (const via of ['onion', 'loopback'] as const) {
        const rules = { network: 'signet', kinds: new Set([via]) } as const;
        const parsed = parsePeerHandshake(payload, rules);
        if (!parsed.ok) {
          yield `${isMismatch(parsed.reason) ? 'answered' : 'closed'}-${parsed.reason}`;
          continue;
        }
        const { nick, location, features } = parsed.value;
        must(isRoutableNick(nick), 'the nick can be routed');
        must(
          location.kind === 'not-serving' || location.kind === via,
          'no location of another kind',
        );
        mustBeFeatures(features);
        mustBeListed({ nick, location, left: false, features });
        const written = formatPeerHandshake(parsed.value);
        const frame = encodeEnvelope(MessageType.HANDSHAKE, written);
        must(frame.length <= MAX_LINE_BYTES, 'a handshake written again fits one line');
        mustEqual(parsePeerHandshake(written, rules), parsed, 'decode(encode(x)) = x');
        yield `ok-${location.kind}`;
      }
    },
  };
}

export function directoryHandshakeTarget({ payloads }: Seeds): Target {
  return {
    name: 'directory-handshake',
    seeds: bytes(payloads.get(MessageType.DN_HANDSHAKE)),
    words: WORDS,
    maxBytes: MAX_LINE_BYTES,
    *run(input) {
      const parsed = parseDirectoryHandshake(payloadOf(input), 'signet');
      if (!parsed.ok) {
        yield parsed.reason;
        return;
      }
      mustBeFeatures(parsed.value.features);
      if (parsed.value.accepted) must(isRoutableNick(parsed.value.nick), 'the nick can be routed');
      const written = formatDirectoryHandshake(parsed.value);
      mustEqual(parseDirectoryHandshake(written, 'signet'), parsed, 'decode(encode(x)) = x');
      yield parsed.value.accepted ? 'accepted' : 'refused';
    },
  };
}
