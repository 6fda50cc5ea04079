/** Fidelity bonds: a proof written again is the same, and its fields are in range. */
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

export function bondTarget(): Target {
  const seeds = [1, 2].map((n) => bondProof(ownBond(n), MAKER, TAKER));
  return {
    name: 'bond',
    seeds: [...seeds, bondProof(ownBond(3), TAKER, MAKER), 'AAAA'].map((text) => Buffer.from(text)),
    words: ['////', 'AAAA', 'MEQC', 'MEUC', '='],
    maxBytes: 1_000,
    *run(input) {
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
