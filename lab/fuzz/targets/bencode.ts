/** Bencode: whatever is read has one form, which is written back byte for byte; everything stays bounded. */
import { decode } from '../../../src/bencode/decode.js';
import { encode } from '../../../src/bencode/encode.js';
import { parseAuthInfo } from '../../../src/admission/omq/auth-info.js';
import { metainfo } from '../../../test/admission/sample.js';
import { must, mustEqual, type Target } from '../target.js';

const SEEDS = [
  'd1:ci1e1:d4:wank1:i15:123.123.123.1231:pi1234e1:vi0ee',
  'li-9223372036854775808ei18446744073709551615e0:d0:leee',
  'd1:bi1e1:ai2ee',
  'i-0e',
  'lllllllllllllllllleeeeeeeeeeeeeeeeee',
];

export function bencodeTarget(): Target {
  return {
    name: 'bencode',
    seeds: [...SEEDS.map((text) => Buffer.from(text, 'latin1')), metainfo()],
    words: ['d', 'l', 'e', 'i', 'i0e', '1:a', '0:', '32:', '-', '1:vi0e', '1:s', '16:'],
    maxBytes: 4_000,
    *run(input) {
      const read = decode(input);
      if (read.ok) {
        mustEqual(
          Buffer.from(encode(read.value)).toString('hex'),
          Buffer.from(input).toString('hex'),
          'what is read has one form',
        );
        yield 'ok';
      } else {
        yield read.reason;
      }
      const info = parseAuthInfo(input);
      must(!info.ok || read.ok, 'metainfo is bencode');
      yield info.ok ? 'info' : `info-${info.reason}`;
    },
  };
}
