/** `onionmc llarp inspect`: each example is recognised, alone and in a list. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t from 'tap';
import { inspectLlarp } from '../../src/llarp/inspect.js';
import vectors from '../vectors/llarp/structures.json' with { type: 'json' };
import { runCli } from '../helpers/cli.js';

const MESSAGES: Readonly<Record<string, string>> = {
  link: 'link message',
  routing: 'routing message',
  dht: 'DHT message',
  state: 'state message',
};
const bytesOf = (hex: string): Buffer => Buffer.from(hex, 'hex');

function example(name: string): Buffer {
  const found = vectors.examples.find((each) => each.name === name);
  if (!found) throw new Error(`no example ${name}`);
  return bytesOf(found.hex);
}

t.test('each example of a structure is recognised', (t) => {
  for (const { codec, name, hex } of vectors.examples) {
    const inspected = inspectLlarp(bytesOf(hex));
    const expected = MESSAGES[codec] ?? codec;
    t.match(inspected, { ok: true, value: [{ structure: expected }] }, name);
  }
  t.end();
});

t.test('what follows from a contact, a service and an introset', (t) => {
  t.match(inspectLlarp(example('RC')), {
    value: [
      {
        value: { network: Buffer.from('testnet').toString('hex'), addresses: [{ port: 1_234 }] },
        remarks: [/^address: [a-z0-9]{52}\.snode$/, /^signed at 2026-/, 'the signature is right'],
      },
    ],
  });
  const changed = example('RC');
  changed[changed.length - 10] = (changed[changed.length - 10] ?? 0) ^ 1;
  t.match(inspectLlarp(changed), { value: [{ remarks: [/./, /./, 'the signature is wrong'] }] });
  t.match(inspectLlarp(example('SI')), {
    value: [
      {
        remarks: [
          /^address of the deployed network: .{52}\.loki$/,
          /^address by the document: .{52}\.loki$/,
        ],
      },
    ],
  });
  t.match(inspectLlarp(example('IS')), {
    value: [{ remarks: [/./, /./, /^published at/, 'the signature is right'] }],
  });
  t.end();
});

t.test('lists, line feeds, and what is refused', (t) => {
  const list = Buffer.concat([Buffer.from('l'), example('RC'), example('AI'), Buffer.from('e\n')]);
  t.match(inspectLlarp(list), { ok: true, value: [{ structure: 'RC' }, { structure: 'AI' }] });
  const refused: readonly (readonly [string, Buffer, RegExp])[] = [
    ['nothing', Buffer.alloc(0), /^not canonical bencode: end$/],
    [
      'the printed example',
      bytesOf(vectors.printedAddressInfo),
      /^not canonical bencode: key-order$/,
    ],
    ['a number', Buffer.from('i5e'), /^structure 1: not a dictionary$/],
    [
      'other keys',
      Buffer.from('d3:fooi1e1:\u0001i2ee'),
      /^not canonical|no structure of LLARP v0 has/,
    ],
    [
      'a list with a number',
      Buffer.concat([Buffer.from('l'), example('AI'), Buffer.from('i1ee')]),
      /^structure 2: not a dictionary$/,
    ],
  ];
  for (const [name, bytes, reason] of refused) {
    const inspected = inspectLlarp(bytes);
    t.notOk(inspected.ok, name);
    if (!inspected.ok) t.match(inspected.reason, reason, name);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void inspectLlarp(bytes)));
  t.end();
});

t.test('the command prints a file, as text and as JSON', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-llarp-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'contact.signed');
  await writeFile(file, example('RC'));
  const text = await runCli(['llarp', 'inspect', file]);
  t.equal(text.code, 0);
  t.match(text.stdout, /^RC\n {2}addresses:\n {4}0:\n {6}rank: 1\n/);
  t.match(text.stdout, /\n {2}\(the signature is right\)\n$/);
  const json = await runCli(['llarp', 'inspect', file, '--json']);
  t.match(JSON.parse(json.stdout), [
    { structure: 'RC', value: { addresses: [{ dialect: 'iwp' }] } },
  ]);
  await writeFile(file, 'hello');
  const wrong = await runCli(['llarp', 'inspect', file]);
  t.match([wrong.code, wrong.stderr], [1, /contact\.signed": not canonical bencode: /]);
  const missing = await runCli(['llarp', 'inspect', join(folder, 'none')]);
  t.match([missing.code, missing.stderr], [2, /cannot read ".*none": /]);
});
