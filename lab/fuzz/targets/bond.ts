/**
 * Fidelity bonds: a proof written again is the same, and its fields are in range; signatures that were made
 * elsewhere.
 */
import { base64 } from '@scure/base';
import { parseColdSignature } from '../../../src/bonds/cold-signature.js';
import { bondScriptPubKey } from '../../../src/protocol/bond-script.js';
import {
  certExpired,
  formatFidelityBond,
  parseFidelityBond,
  verifyFidelityBond,
} from '../../../src/protocol/fidelity-bond.js';
import { parseOutpoint, formatOutpoint } from '../../../src/protocol/outpoint.js';
import { bondProof, ownBond } from '../../../test/orderbook/make-bond.js';
import { must, mustEqual, payloadOf, type Target } from '../target.js';

const MAKER = 'J5MakerOOOOOOOOO';
const TAKER = 'J5TakerOOOOOOOOO';

/** A signature of 65 bytes is a header and two numbers; DER of it is what a bond file holds. */
function* coldSignature(text: string): Generator<string, void, undefined> {
  const parsed = parseColdSignature(text);
  if (!parsed.ok) return;
  must(parsed.value.length <= 72 && parsed.value[0] === 0x30, 'a signature fits its field');
  mustEqual(
    parseColdSignature(base64.encode(parsed.value)),
    parsed,
    'DER is read as it is written',
  );
  yield text.startsWith('M') ? 'cold-der' : 'cold-recoverable';
}

export function bondTarget(): Target {
  const seeds = [1, 2].map((n) => bondProof(ownBond(n), MAKER, TAKER));
  const recoverable = base64.encode(Uint8Array.of(31, ...new Uint8Array(64).fill(7)));
  const der = base64.encode(ownBond(1).certSignature);
  return {
    name: 'bond',
    seeds: [...seeds, bondProof(ownBond(3), TAKER, MAKER), 'AAAA', der, recoverable].map((text) =>
      Buffer.from(text),
    ),
    words: ['MEQCIF', '////', 'AAAA', 'MEQC', 'MEUC', '='],
    maxBytes: 1_000,
    *run(input) {
      yield* coldSignature(payloadOf(input));
      const parsed = parseFidelityBond(payloadOf(input));
      if (!parsed.ok) {
        yield parsed.reason;
        return;
      }
      const proof = parsed.value;
      mustEqual(parseFidelityBond(formatFidelityBond(proof)), parsed, 'decode(encode(x)) = x');
      must(parseOutpoint(formatOutpoint(proof.utxo)).ok, 'the coin has an outpoint');
      must(certExpired(proof.certExpiry, 0xffff * 2016 + 1), 'every certificate expires');
      const script = bondScriptPubKey(proof.lockTime, proof.utxoPublicKeyHex);
      must(/^0020[0-9a-f]{64}$/.test(script), 'the coin has a script');
      const verified = verifyFidelityBond(proof, MAKER, TAKER);
      yield verified.ok ? 'verified' : verified.reason;
    },
  };
}
