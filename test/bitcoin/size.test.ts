/** Estimated sizes against the sizes of transactions of that shape. */
import * as fc from 'fast-check';
import t from 'tap';
import { bondInputKind, bondWitnessScript } from '../../src/bitcoin/bond.js';
import {
  inputWeight,
  outputWeight,
  transactionVsize,
  transactionWeight,
  type InputKind,
  type SignatureLength,
} from '../../src/bitcoin/size.js';
import { parseTransaction, serializeTransaction } from '../../src/bitcoin/transaction.js';

const KEY = new Uint8Array(33).fill(2);
const BOND_4 = bondWitnessScript(1_577_836_800, KEY);
const BOND_5 = bondWitnessScript(4_099_766_400, KEY);
const P2WPKH = `0014${'00'.repeat(20)}`;

/** What unlocks a coin of this kind, with a signature of that many bytes. */
function unlocked(
  kind: InputKind,
  length: number,
): { readonly scriptSig?: Uint8Array; readonly witness?: readonly Uint8Array[] } {
  const signature = new Uint8Array(length).fill(1);
  switch (kind) {
    case 'p2wpkh':
      return { witness: [signature, KEY] };
    case 'p2sh-p2wpkh':
      return { scriptSig: new Uint8Array(23), witness: [signature, KEY] };
    case 'p2tr':
      return { witness: [new Uint8Array(64)] };
    case 'p2pkh':
      return { scriptSig: new Uint8Array(length + 35) };
    case 'bond':
      return { witness: [signature, BOND_4] };
    case 'bond-5':
      return { witness: [signature, BOND_5] };
  }
}

function realWeight(
  inputs: readonly InputKind[],
  outputs: readonly string[],
  signatures: SignatureLength,
): number {
  const parsed = parseTransaction(
    serializeTransaction({
      version: 2,
      lockTime: 0,
      inputs: inputs.map((kind, vout) => ({
        txid: 'aa'.repeat(32),
        vout,
        sequence: 0,
        ...unlocked(kind, signatures === 'any' ? 72 : 71),
      })),
      outputs: outputs.map((script) => ({ script, value: 1_000 })),
    }),
  );
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value.weight;
}

t.test('known sizes', (t) => {
  const table: readonly (readonly [string, number, number])[] = [
    ['p2wpkh input', inputWeight('p2wpkh') / 4, 68],
    ['p2wpkh input, low R', inputWeight('p2wpkh', 'low-r') / 4, 67.75],
    ['nested input', inputWeight('p2sh-p2wpkh') / 4, 91],
    ['taproot input', inputWeight('p2tr') / 4, 57.5],
    ['p2pkh input', inputWeight('p2pkh') / 4, 148],
    ['bond input', inputWeight('bond') / 4, 70.25],
    ['p2wpkh output', outputWeight(P2WPKH) / 4, 31],
    ['p2wsh output', outputWeight(`0020${'00'.repeat(32)}`) / 4, 43],
    ['p2sh output', outputWeight(`a914${'00'.repeat(20)}87`) / 4, 32],
  ];
  for (const [name, size, expected] of table) t.equal(size, expected, name);
  const coinjoin = { inputs: ['p2wpkh', 'p2wpkh'], outputs: Array(4).fill(P2WPKH) } as const;
  t.equal(transactionVsize(coinjoin), 271, 'two coins, four outputs');
  t.equal(
    transactionVsize({ inputs: ['bond'], outputs: [P2WPKH] }),
    112,
    'a bond that is redeemed',
  );
  t.equal(bondInputKind(2_145_916_800), 'bond', 'January 2038');
  t.equal(bondInputKind(2_148_595_200), 'bond-5', 'February 2038');
  t.end();
});

t.test('the estimate is the size of the longest signatures, for any mix', (t) => {
  const kind = fc.constantFrom<InputKind[]>(
    'p2wpkh',
    'p2sh-p2wpkh',
    'p2tr',
    'p2pkh',
    'bond',
    'bond-5',
  );
  const script = fc.constantFrom(P2WPKH, `0020${'00'.repeat(32)}`, `6a${'00'.repeat(300)}`, '');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(kind, { minLength: 1, maxLength: 6 }),
        fc.array(fc.constant<InputKind>('p2pkh'), { minLength: 1, maxLength: 3 }),
        fc.constant(Array<InputKind>(300).fill('p2wpkh')),
      ),
      fc.array(script, { minLength: 1, maxLength: 5 }),
      fc.constantFrom<SignatureLength[]>('any', 'low-r'),
      (inputs, outputs, signatures) => {
        const estimate = transactionWeight({ inputs, outputs, signatures });
        return estimate === realWeight(inputs, outputs, signatures);
      },
    ),
  );
  t.end();
});
