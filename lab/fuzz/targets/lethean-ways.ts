/** Ways of the Lethean client: requests to the local proxy, commands, addresses, `[TOR] upstream`, words of ssh. */
import { parseTorUpstream, shownUpstream } from '../../../src/config/tor-upstream.js';
import { connectTarget } from '../../../src/lethean/transport/local-http.js';
import { addressText, encodeAddress } from '../../../src/lethean/transport/socks-codec.js';
import { sshFault } from '../../../src/lethean/transport/ssh-arguments.js';
import { isHostKey } from '../../../src/lethean/transport/ssh-identity.js';
import { TransportError } from '../../../src/lethean/transport/transport-error.js';
import { commandOf, wordsOf } from '../../../src/lethean/transport/wg-commands.js';
import { parsePrefixed } from '../../../src/lethean/transport/wg-config.js';
import { upstreamLines } from '../../../src/tor/process/upstream-lines.js';
import { must, mustEqual, type Target } from '../target.js';

const SEEDS = [
  'exit.test:443',
  '[2001:db8::1]:80',
  'socks5://a:b@127.0.0.1:1080',
  'http://user:p%22%20@proxy.test:3128',
  'lthn://94ece0/1A',
  'ip address add {ip}/{prefix} dev {iface}',
  `sudo -n "a b" 'c'`,
  'ip link add {what}',
  '100.65.0.9/16',
  'fd00::1/64',
  'Host key verification failed.',
  'tunnel@a: Permission denied (publickey).',
  'command-line: line 0: Bad configuration option: x',
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBERERERERERERERERERERERERERERERERERERERERER',
];

/** The value, or the fault of a TransportError; any other error is a crash. */
function attempt<T>(action: () => T): T | string {
  try {
    return action();
  } catch (error) {
    if (error instanceof TransportError) return error.fault;
    throw error;
  }
}

function* onUpstream(text: string): Iterable<string> {
  const upstream = parseTorUpstream(text);
  if (upstream === null || upstream === undefined) return;
  yield `upstream-${upstream.kind}`;
  const shown = shownUpstream(upstream);
  must(/^[ -~]+$/.test(shown), 'an upstream is shown as one plain line');
  if (upstream.kind === 'lthn') return;
  must(!shown.includes('@'), 'no login is shown');
  const lines = upstreamLines(upstream);
  must(
    lines.every((line) => /^(?:HTTPS|Socks5)Proxy[A-Za-z]* [ -~]+$/.test(line)),
    'torrc gets lines of the proxy only',
  );
}

function* onCommand(text: string): Iterable<string> {
  const words = wordsOf(text);
  if (words === undefined) {
    yield 'quote-without-end';
    return;
  }
  must(
    words.every((word) => word.length <= text.length),
    'a word is a part of the text',
  );
  const argv = attempt(() => commandOf('', text, { iface: 'wg0', ip: 'a b"c', prefix: '16' }));
  if (typeof argv === 'string') {
    yield `command-${argv}`;
    return;
  }
  mustEqual(argv.length, words.length, 'a value is never two arguments');
  yield 'command';
}

function* onAddress(text: string, input: Uint8Array): Iterable<string> {
  const target = connectTarget(text);
  if (target !== undefined) {
    yield 'target';
    const bytes = encodeAddress(target.host, target.port);
    must(bytes !== undefined && bytes.length <= 4 + 255, 'a target has an address of SOCKS');
  }
  for (const type of [1, 3, 4]) {
    const wanted = type === 1 ? 4 : type === 4 ? 16 : input.length;
    if (input.length !== wanted || wanted > 255) continue;
    const host = addressText(type, Buffer.from(input));
    if (host === undefined) continue;
    yield `address-${type}`;
    must(encodeAddress(host, 1) !== undefined, 'an address that was read can be sent');
  }
  const prefixed = attempt(() => parsePrefixed(text));
  if (typeof prefixed !== 'string') yield `prefixed-${prefixed.family}`;
}

export function letheanWaysTarget(): Target {
  return {
    name: 'lethean-ways',
    seeds: SEEDS.map((text) => Buffer.from(text, 'latin1')),
    words: [
      'socks5://',
      'http://',
      'lthn://',
      '@',
      '%20',
      '{ip}',
      '{iface}',
      '"',
      "'",
      '/',
      '::',
      ':443',
      'denied',
    ],
    maxBytes: 400,
    *run(input) {
      const text = Buffer.from(input).toString('latin1');
      yield* onUpstream(text);
      yield* onCommand(text);
      yield* onAddress(text, input);
      const { fault, message } = sshFault(text, 'code 255');
      yield `ssh-${fault}`;
      must(/^[^\p{Cc}]{0,400}$/u.test(message), 'words of ssh are one short line');
      if (isHostKey(text)) yield 'host-key';
    },
  };
}
