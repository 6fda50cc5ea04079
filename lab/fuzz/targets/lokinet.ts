/** Names of Lokinet, z-base-32, and the replies of Lokinet's RPC. */
import { parseReply, parseStatus, parseVersion } from '../../../src/lokinet/rpc-reply.js';
import {
  isLokinetName,
  lokiHost,
  parseLokiName,
  snodeHost,
} from '../../../src/protocol/loki-address.js';
import { decodeZbase32, encodeZbase32 } from '../../../src/protocol/zbase32.js';
import { must, mustEqual, type Target } from '../target.js';

/** Frames of one reply, with this byte between them. */
const BETWEEN = 0x0a;
const METHOD = 'llarp.get_status';
const TAG = 'tag';

const SEEDS = [
  '7okic5x5do3uh3usttnqz9ek3uuoemdrwzto1hciwim9f947or6y.loki',
  'irc.7okic5x5do3uh3usttnqz9ek3uuoemdrwzto1hciwim9f947or6y.loki',
  '8zfiwpgonsu5zpddpxwdurxyb19x6r96xy4qbikff99jwsziws9y.snode',
  'xn--a.loki',
  'a.xn--b.loki',
  'the.goog.loki',
  '420.loki',
  'loki.loki',
  'bn--a.loki',
  '-a.loki',
  'a.loki.',
  `${'a'.repeat(33)}.loki`,
  'pb1sa5dx',
  'REPLY\ntag\n{"error":null,"result":{"lokiAddress":"7okic5x5do3uh3usttnqz9ek3uuoemdrwzto1hciwim9f947or6y.loki","networkReady":true,"numPathsBuilt":3,"numPeersConnected":2,"numRoutersKnown":1}}',
  'REPLY\ntag\n{"result":{"version":"0.9.11"}}',
  'REPLY\ntag\n{"error":"failed"}',
  'REPLY\nother\n{}',
  'REPLY\ntag\n[]',
  'FORBIDDEN\nREPLY\ntag',
  'UNKNOWNCOMMAND\nREPLY\ntag',
  'UNKNOWNCOMMAND\nllarp.get_status',
  'FORBIDDEN\nllarp.get_status',
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

function* onName(text: string): Iterable<string> {
  const read = parseLokiName(text);
  if (!read.ok) {
    yield read.reason;
    return;
  }
  const name = read.value;
  must(isLokinetName(text), 'a name has a suffix of Lokinet');
  must(text === text.toLowerCase() && text.length <= 253, 'a name has one form');
  yield name.kind;
  if (name.kind === 'router') {
    mustEqual(snodeHost(name.publicKey), text, 'the key gives the address');
    return;
  }
  const last = name.kind === 'address' ? lokiHost(name.publicKey) : `${name.name}.loki`;
  mustEqual(
    name.subdomain === '' ? last : `${name.subdomain}.${last}`,
    text,
    'the parts give the name',
  );
  if (name.subdomain !== '') yield 'subdomain';
}

function* onReply(input: Uint8Array): Iterable<string> {
  const reply = parseReply(framesOf(input), METHOD, TAG);
  if (!reply.ok) {
    yield `reply-${reply.reason}`;
    return;
  }
  yield `reply-${reply.value.kind}`;
  if (reply.value.kind === 'error')
    must(/^[^\p{Cc}]{0,200}$/u.test(reply.value.error), 'an error is one short line');
  if (reply.value.kind !== 'result') return;
  const { address, paths, peers, routers } = parseStatus(reply.value.result);
  if (address !== undefined) {
    const name = parseLokiName(address);
    must(name.ok && name.value.kind === 'address', 'an own name is an address');
    yield 'status-address';
  }
  for (const count of [paths, peers, routers]) {
    must(
      count === undefined || (Number.isInteger(count) && count >= 0 && count <= 1_000_000),
      'a count',
    );
  }
  const version = parseVersion(reply.value.result);
  if (version !== undefined) {
    must(/^[^\p{Cc}]{0,101}$/u.test(version), 'a version is one short line');
    yield 'version';
  }
}

export function lokinetTarget(): Target {
  return {
    name: 'lokinet',
    seeds: SEEDS.map((text) => Buffer.from(text, 'latin1')),
    words: [
      '.loki',
      '.snode',
      'xn--',
      'REPLY',
      '\n',
      'tag',
      '{"result":',
      '"error":',
      'y',
      'o',
      METHOD,
    ],
    maxBytes: 2_000,
    *run(input) {
      const text = Buffer.from(input).toString('latin1');
      const key = decodeZbase32(text);
      if (key.ok) mustEqual(encodeZbase32(key.value), text, 'bytes have one text');
      yield key.ok ? 'zbase32' : key.reason;
      yield* onName(text);
      yield* onReply(input);
    },
  };
}
