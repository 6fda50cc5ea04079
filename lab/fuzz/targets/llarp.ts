/**
 * The structures and messages of LLARP v0: what is read is written back byte for byte, a signature fits one text only,
 * and a router that gets them over a link or a path holds no more than its bounds.
 */
import { decode } from '../../../src/bencode/decode.js';
import type { Field } from '../../../src/llarp/codec/field.js';
import { Dht } from '../../../src/llarp/dht/dht.js';
import { DHT_MESSAGE } from '../../../src/llarp/dht-messages.js';
import { inspectLlarp } from '../../../src/llarp/inspect.js';
import { LINK_MESSAGE } from '../../../src/llarp/link-messages.js';
import { LLARP_LIMITS, writeLlarp } from '../../../src/llarp/read.js';
import { makeContact, newRouterKeys } from '../../../src/llarp/router/contact.js';
import { ContactBook } from '../../../src/llarp/router/contact-book.js';
import {
  HIDDEN_SERVICE_DATA,
  HIDDEN_SERVICE_FRAME,
  ROUTING_MESSAGE,
} from '../../../src/llarp/routing-messages.js';
import { STATE_MESSAGE } from '../../../src/llarp/state-messages.js';
import * as structures from '../../../src/llarp/structures.js';
import { parseBootstrap } from '../../../src/lab/llarp/bootstrap.js';
import { createTestClock } from '../../../test/helpers/test-clock.js';
import type { FuzzRandom } from '../random.js';
import type { Seeds } from '../seeds.js';
import { must, type Target } from '../target.js';

const FIELDS: Readonly<Record<string, Field<unknown>>> = {
  ai: structures.ADDRESS_INFO,
  tp: structures.TRAFFIC_POLICY,
  xi: structures.EXIT_INFO,
  xr: structures.EXIT_ROUTE,
  rc: structures.ROUTER_CONTACT,
  si: structures.SERVICE_INFO,
  i: structures.INTRODUCTION,
  is: structures.INTROSET,
  pow: structures.PROOF_OF_WORK,
  lrcr: structures.RELAY_RECORD,
  hsd: HIDDEN_SERVICE_DATA,
  hsf: HIDDEN_SERVICE_FRAME,
  link: LINK_MESSAGE,
  state: STATE_MESSAGE,
  dht: DHT_MESSAGE,
  routing: ROUTING_MESSAGE,
};
/** Messages have kinds, each an outcome of its own. */
const isKind = (value: unknown): value is { readonly kind: string } =>
  typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string';

const KEYS = newRouterKeys((length) => new Uint8Array(length).fill(1));

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** A router whose DHT gets a message from a path. Answers are counted. */
function askDht(input: Uint8Array, random: FuzzRandom): number {
  const read = decode(input, LLARP_LIMITS);
  const message = read.ok ? DHT_MESSAGE.read(read.value) : undefined;
  if (message?.ok !== true) return 0;
  const clock = createTestClock();
  const network = new Uint8Array(8);
  const book = new ContactBook(network);
  const contact = makeContact(KEYS, { network, host: '127.0.0.1', port: 1, now: 0n });
  const dht = new Dht({
    clock,
    wallClock: () => 0n,
    randomBytes: (length) => Uint8Array.from({ length }, () => random.below(256)),
    router: { book, contact, sendLink: () => true },
  });
  let answers = 0;
  dht.onPath([message.value], () => answers++);
  clock.advance(10_000);
  must(answers <= 1, 'a question has one answer at most');
  must(dht.stored <= 1, 'a message stores one introset at most');
  dht.close();
  must(clock.pending === 0, 'no timer is left');
  return answers;
}

export function llarpTarget({ llarp }: Seeds): Target {
  return {
    name: 'llarp',
    seeds: llarp,
    words: [
      'd',
      'l',
      'e',
      'i0e',
      'i1e',
      '1:A1:',
      '1:a1:',
      '16:',
      '32:',
      '64:',
      '1:Vi0e',
      '1:vi0e',
      '1:Si0e',
    ],
    maxBytes: 6_000,
    *run(input, random) {
      const value = decode(input, LLARP_LIMITS);
      if (!value.ok) {
        yield `bencode-${value.reason}`;
        return;
      }
      for (const [name, field] of Object.entries(FIELDS)) {
        const read = field.read(value.value);
        if (!read.ok) {
          must(
            read.reason.length < 200 && /^[ -~]*$/.test(read.reason),
            'a reason is one short line',
          );
          continue;
        }
        must(sameBytes(writeLlarp(field, read.value), input), `${name}: written as it was read`);
        yield isKind(read.value) ? `${name}-${read.value.kind}` : name;
      }
      const inspected = inspectLlarp(input);
      if (inspected.ok) yield 'inspected';
      const bootstrap = parseBootstrap(input);
      must(
        !bootstrap.ok || bootstrap.value.length <= 1_024,
        'a file has a bounded number of contacts',
      );
      if (askDht(input, random) > 0) yield 'dht-answer';
    },
  };
}
