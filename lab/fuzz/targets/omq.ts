/** Frames of OxenMQ and the other texts of admission: addresses to bind, Authorization headers, files of codes. */
import { codeInHeader } from '../../../src/admission/page-door.js';
import { parseCodeFile } from '../../../src/admission/code-record.js';
import { parseHashLines } from '../../../src/admission/backends/hash-lines.js';
import { MAX_CODE_BYTES } from '../../../src/admission/code-text.js';
import { parseBindAddress, zmqAddress } from '../../../src/admission/omq/bind-address.js';
import { parseOmqMessage, unknownFrames } from '../../../src/admission/omq/frames.js';
import { must, mustEqual, type Target } from '../target.js';

/** Frames in one input, with this byte between them. */
const BETWEEN = 0x0a;
const SEEDS = [
  'HI',
  'llarp.auth\n123456789012345\nde\ncode',
  'llarp.other\ntag',
  'llarp.auth',
  'tcp://127.0.0.1:5555/',
  'ipc+curve:///run/auth',
  'Basic YTpi',
  `${'a'.repeat(64)}  -`,
  '{"version":1,"key":"","salt":"","codes":[]}',
];

function framesOf(input: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let from = 0;
  for (let at = 0; at <= input.length; at++) {
    if (at < input.length && input[at] !== BETWEEN) continue;
    frames.push(input.subarray(from, at));
    from = at + 1;
  }
  return frames;
}

export function omqTarget(): Target {
  return {
    name: 'omq',
    seeds: SEEDS.map((text) => Buffer.from(text, 'latin1')),
    words: [
      'HI',
      'BYE',
      'REPLY',
      'llarp.auth',
      '\n',
      'tcp://',
      'ipc://',
      'curve://',
      'Bearer ',
      'Basic ',
    ],
    maxBytes: 4_000,
    *run(input) {
      const message = parseOmqMessage(framesOf(input));
      yield message.kind;
      if (message.kind === 'unknown') {
        must(message.command.length <= 128, 'a name that is sent back is bounded');
        must(unknownFrames(message.command, message.tag).length <= 3, 'an answer has three frames');
      }
      if (message.kind === 'auth') must(message.tag.length <= 64, 'a tag is bounded');
      const text = Buffer.from(input).toString('latin1');
      const address = parseBindAddress(text);
      if (address.ok) {
        const again = parseBindAddress(zmqAddress({ ...address.value, curve: false }));
        mustEqual(again, { ok: true, value: { ...address.value, curve: false } }, 'one address');
        yield `bind-${address.value.kind}`;
      }
      const code = codeInHeader(text);
      if (code !== undefined) {
        must(code.length > 0 && code.length <= MAX_CODE_BYTES, 'a code is bounded');
        yield 'header';
      }
      const { hashes } = parseHashLines(text);
      if (hashes.size > 0) yield 'hash-lines';
      const file = parseCodeFile(text);
      yield file.ok ? 'code-file' : `code-file-${file.reason}`;
    },
  };
}
