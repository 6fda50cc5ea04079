/** Nick authentication: a value is written again unchanged, and only the valid proof verifies. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { base64 } from '@scure/base';
import {
  createNickChallenge,
  formatNickChallenge,
  formatNickProof,
  formatNickResult,
  NICK_AUTH_CODES,
  parseNickChallenge,
  parseNickProof,
  parseNickResult,
  proveNick,
  verifyNickProof,
} from '../../../src/protocol/nick-auth.js';
import { nickKey } from '../../../src/protocol/nick.js';
import type { Parsed } from '../../../src/protocol/result.js';
import { must, mustEqual, payloadOf, type Target } from '../target.js';

const KEY = nickKey(new Uint8Array(32).fill(7));
const CHALLENGE = createNickChallenge('directory.onion:5222', (count) =>
  new Uint8Array(count).fill(9),
);
const HANDSHAKE = '{"nick": "mine"}';
const PROOF = proveNick(KEY, CHALLENGE, HANDSHAKE);

/** The other signature that the same key and text have; only the one with low S counts. */
function highS(): string {
  const { r, s } = secp256k1.Signature.fromBytes(base64.decode(PROOF.signature), 'der');
  const other = new secp256k1.Signature(r, secp256k1.Point.Fn.neg(s));
  return base64.encode(other.toBytes('der'));
}

function* outcome<T>(
  kind: string,
  parse: (payload: string) => Parsed<T>,
  format: (value: T) => string,
  payload: string,
): Generator<string, T | undefined> {
  const parsed = parse(payload);
  if (!parsed.ok) {
    yield `${kind}-${parsed.reason}`;
    return undefined;
  }
  mustEqual(parse(format(parsed.value)), parsed, 'decode(encode(x)) = x');
  yield kind;
  return parsed.value;
}

export function nickAuthTarget(): Target {
  const seeds = [
    formatNickChallenge(CHALLENGE),
    formatNickProof(PROOF),
    formatNickProof({ ...PROOF, signature: highS() }),
    ...NICK_AUTH_CODES.map(formatNickResult),
    '{"pubkey": "02", "pubkey": "03", "signature": "AA=="}',
  ];
  return {
    name: 'nick-auth',
    seeds: seeds.map((text) => Buffer.from(text)),
    words: ['"challenge":', '"directory-id":', '"pubkey":', '"signature":', '"code":', 'true'],
    maxBytes: 2_000,
    *run(input) {
      const payload = payloadOf(input);
      const challenge = yield* outcome(
        'challenge',
        parseNickChallenge,
        formatNickChallenge,
        payload,
      );
      if (challenge) must(!challenge.directoryId.includes('|'), 'no separator in the signed text');
      yield* outcome('result', parseNickResult, formatNickResult, payload);
      const proof = yield* outcome('proof', parseNickProof, formatNickProof, payload);
      if (!proof) return;
      const canonical = Buffer.from(proof.signature, 'base64').toString('base64');
      mustEqual(proof.signature, canonical, 'a signature has one spelling');
      const holds = verifyNickProof(proof, CHALLENGE, HANDSHAKE, KEY.nick);
      // Signatures are deterministic and low S only, so there is one valid proof.
      mustEqual(
        holds,
        formatNickProof(proof) === formatNickProof(PROOF),
        'only the valid one verifies',
      );
      yield holds ? 'proof-holds' : 'proof-of-nothing';
    },
  };
}
