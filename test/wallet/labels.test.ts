/** Labels as BIP329 files: what leaves comes back, and hostile lines do no harm. */
import * as fc from 'fast-check';
import t from 'tap';
import { parseRecord } from '../../src/kit/json-record.js';
import { unicodeText } from '../helpers/unicode-text.js';
import { createWalletWorld, type WalletWorld } from '../helpers/wallet-world.js';

const line = (value: object): string => JSON.stringify(value);

async function funded(): Promise<WalletWorld> {
  const world = await createWalletWorld();
  for (const value of [1_000_000, 2_000_000]) {
    const { script } = await world.wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
    world.chain.pay(script, value);
  }
  world.chain.mine();
  await world.sync();
  return world;
}

t.test('labels and frozen coins leave and come back', async (t) => {
  const world = await funded();
  const { wallet } = world;
  const [one, two] = wallet.coins();
  if (one === undefined || two === undefined) throw new Error('two coins');
  await wallet.setLabel('addr', one.address.toUpperCase(), 'from work');
  await wallet.setLabel('output', `${two.txid}:${two.vout}`, 'gift "of" \u{1f4b0}');
  await wallet.setLabel('tx', one.txid.toUpperCase(), 'March');
  await wallet.freeze([one, two]);
  t.match(wallet.coins(), [{ label: 'from work' }, { label: 'gift "of" \u{1f4b0}' }]);
  t.equal(wallet.history().at(0)?.label, 'March');
  const file = wallet.exportLabels();
  t.same(
    file
      .trimEnd()
      .split('\n')
      .map((it) => Object.keys(parseRecord(it) ?? {}).join()),
    ['type,ref,label', 'type,ref,label,spendable', 'type,ref,label', 'type,ref,spendable'],
  );
  const other = await createWalletWorld({}, world.chain);
  t.same(await other.wallet.importLabels(file), { taken: 4, refused: [] });
  t.equal(other.wallet.exportLabels(), file);
  t.same(
    other.wallet.coins().map(({ label, frozen }) => [label, frozen]),
    [
      ['from work', 'imported'],
      ['gift "of" \u{1f4b0}', 'imported'],
    ],
  );
  const spendable = JSON.stringify({
    type: 'output',
    ref: `${one.txid}:${one.vout}`,
    spendable: true,
  });
  await other.wallet.importLabels(spendable);
  t.equal(other.wallet.coin(one).frozen, undefined);
  await wallet.setLabel('tx', one.txid, '');
  t.equal(wallet.history().at(0)?.label, undefined, 'an empty label removes it');
});

t.test('lines that are refused, each with its number; the others are taken', async (t) => {
  const world = await funded();
  const { wallet } = world;
  const address = wallet.coins()[0]?.address;
  const rows: readonly (readonly [string, RegExp | undefined])[] = [
    [line({ type: 'addr', ref: address, label: 'x', origin: 'wpkh()', height: 5 }), undefined],
    ['', undefined],
    ['not json', /not JSON/],
    ['[]', /no JSON object/],
    [line({ type: 'xpub', ref: 'xpub', label: 'x' }), /a type that/],
    [line({ type: 'addr', ref: 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu' }), /its ref/],
    [line({ type: 'addr', ref: 'bcrt1q96nj0fyw5z20evtp7hvhfdheqseq9t28lrv6wx' }), /another wallet/],
    [line({ type: 'output', ref: `${'11'.repeat(32)}:0`, spendable: false }), /does not have/],
    [line({ type: 'output', ref: 'x:0' }), /its ref/],
    [line({ type: 'addr', ref: address, label: 5 }), /no text/],
    [line({ type: 'addr', ref: address, spendable: 'no' }), /true or false/],
    [line({ type: 'tx', ref: '22'.repeat(32), label: 'y'.repeat(30_000) }), /longer/],
  ];
  const { taken, refused } = await wallet.importLabels(rows.map(([text]) => text).join('\r\n'));
  t.equal(taken, 1);
  const expected = rows.flatMap(([, reason], i) => (reason === undefined ? [] : [i + 1]));
  t.same(
    refused.map((it) => it.line),
    expected,
  );
  for (const { line: number, reason } of refused) t.match(reason, rows[number - 1]?.[1]);
  const long = line({ type: 'addr', ref: address, label: 'z'.repeat(400) });
  await wallet.importLabels(long);
  t.equal(wallet.coins()[0]?.label?.length, 255, 'a long label of a file is cut');
  await t.rejects(wallet.setLabel('addr', address ?? '', 'z'.repeat(256)), { message: /255/ });
  await t.rejects(wallet.setLabel('output', 'x', 'y'), { message: /needs txid:number/ });
});

t.test('no text makes the import fail', async (t) => {
  const { wallet } = await funded();
  const before = wallet.exportLabels();
  const text = fc.oneof(
    unicodeText(),
    fc.json(),
    fc
      .record({
        type: fc.constantFrom('addr', 'tx', 'output', '__proto__'),
        ref: fc.string(),
        label: unicodeText(),
        spendable: fc.anything(),
      })
      .map((value) => JSON.stringify(value, (_, it: unknown) => (typeof it === 'bigint' ? 1 : it))),
  );
  await fc.assert(
    fc.asyncProperty(text, async (lines) => {
      const { taken } = await wallet.importLabels(lines);
      if (taken > 0) throw new Error(`it was taken: ${lines}`);
    }),
    { numRuns: 200 },
  );
  t.equal(wallet.exportLabels(), before);
});
