/** Host names and addresses, as in a Host header or in the configuration. */
import * as fc from 'fast-check';
import t from 'tap';
import {
  canonicalHost,
  hostAndPort,
  hostInUse,
  isExpectedHost,
  isLoopbackHost,
  portInside,
} from '../../src/kit/host-name.js';

t.test('the canonical form of a host name or an address', (t) => {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['localhost', 'localhost'],
    ['LOCALHOST.', 'localhost'],
    ['Book.Example.ORG', 'book.example.org'],
    ['book.example.org.', 'book.example.org'],
    ['onionmc-directory_1', 'onionmc-directory_1'],
    [`${'a'.repeat(56)}.onion`, `${'a'.repeat(56)}.onion`],
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.1.', '127.0.0.1'],
    ['::1', '::1'],
    ['[::1]', '::1'],
    ['[0:0:0:0:0:0:0:1]', '::1'],
    ['[FD00::0:1]', 'fd00::1'],
    ['[::ffff:127.0.0.1]', '::ffff:7f00:1'],
    ['', undefined],
    ['.', undefined],
    ['a..b', undefined],
    ['book.example.org..', undefined],
    ['*', undefined],
    ['*.example.org', undefined],
    ['a b', undefined],
    ['a:80', undefined],
    ['127.0.0.1:80', undefined],
    ['http://a', undefined],
    ['a/b', undefined],
    ['user@a', undefined],
    ['-a', undefined],
    ['1.2.3', undefined],
    ['256.0.0.1', undefined],
    ['127.1', undefined],
    ['0x7f000001', undefined],
    ['2130706433', undefined],
    ['[::1', undefined],
    ['::1]', undefined],
    ['[127.0.0.1]', undefined],
    ['[a]', undefined],
    ['[fe80::1%eth0]', undefined],
    ['münchen.example', undefined],
    ['a'.repeat(64), undefined],
    ['a.'.repeat(127), 'a.'.repeat(127).slice(0, -1)],
    ['a.'.repeat(128), undefined],
  ];
  for (const [text, expected] of rows) t.equal(canonicalHost(text), expected, text);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.domain(), fc.ipV4(), fc.ipV6()), (text) => {
      const once = canonicalHost(text);
      return once === undefined || canonicalHost(once) === once;
    }),
  );
  fc.assert(fc.property(fc.ipV4(), (ip) => canonicalHost(ip) === ip));
  fc.assert(fc.property(fc.ipV6(), (ip) => canonicalHost(`[${ip}]`) !== undefined));
  t.end();
});

t.test('which Host headers a page accepts', (t) => {
  const allowed = ['book.example.org', 'watcher', 'fd00::1', '10.0.0.5'];
  const rows: readonly (readonly [string, string | undefined, boolean])[] = [
    // Loopback names and addresses are accepted for every configured host.
    ['127.0.0.1', 'localhost', true],
    ['127.0.0.1', 'LocalHost.:80', true],
    ['192.0.2.1', '127.0.0.1:1', true],
    ['127.0.0.1', '127.255.255.254', true],
    ['127.0.0.1', '[::1]:80', true],
    ['127.0.0.1', '[0:0::1]', true],
    ['127.0.0.1', 'localhost:', true],
    // The configured host.
    ['192.0.2.1', '192.0.2.1:62601', true],
    ['192.0.2.1', '192.0.2.2', false],
    ['Page.Example', 'page.example.', true],
    ['[fd00::2]', '[fd00:0::2]:1', true],
    ['fd00::2', '[FD00::2]', true],
    // The allowed names of the operator: in any case, with or without a port, with or without a final dot.
    ['127.0.0.1', 'book.example.org', true],
    ['127.0.0.1', 'BOOK.example.ORG:8443', true],
    ['127.0.0.1', 'book.example.org.', true],
    ['127.0.0.1', 'book.example.org.:80', true],
    ['127.0.0.1', 'watcher:62601', true],
    ['127.0.0.1', '[fd00:0:0::1]:80', true],
    ['127.0.0.1', '10.0.0.5', true],
    // All other names and addresses.
    ['127.0.0.1', 'sub.book.example.org', false],
    ['127.0.0.1', 'book.example.org.evil.example', false],
    ['127.0.0.1', 'evilbook.example.org', false],
    ['127.0.0.1', '10.0.0.6', false],
    ['127.0.0.1', '[fd00::3]', false],
    ['127.0.0.1', '127.0.0.1.evil.example', false],
    ['127.0.0.1', '127.1', false],
    ['127.0.0.1', '::1', false],
    ['127.0.0.1', 'fd00::1', false],
    ['127.0.0.1', 'watcher:http', false],
    ['127.0.0.1', 'watcher:123456', false],
    ['127.0.0.1', 'watcher:1:2', false],
    ['127.0.0.1', 'a@watcher', false],
    ['127.0.0.1', 'watcher/', false],
    ['127.0.0.1', '*', false],
    ['127.0.0.1', '', false],
    ['127.0.0.1', ':80', false],
    ['127.0.0.1', undefined, false],
    // With a wildcard address, every address is accepted, and of the names only the allowed ones.
    ['0.0.0.0', '10.0.0.6:1', true],
    ['::', '[fd00::3]', true],
    ['[::]', '10.0.0.6', true],
    ['0.0.0.0', 'evil.example', false],
    ['0.0.0.0', '1.2.3', false],
    ['0.0.0.0', 'watcher', true],
  ];
  for (const [configured, header, expected] of rows) {
    const asked = `${configured} asked as ${header}`;
    t.equal(isExpectedHost(header, { configured, allowed }), expected, asked);
  }
  t.equal(isExpectedHost('watcher', { configured: '127.0.0.1' }), false);
  t.equal(
    isExpectedHost('*', { configured: '*', allowed: ['*'] }),
    false,
    'an asterisk is not a wildcard',
  );
  fc.assert(
    fc.property(fc.string(), (header) => {
      const expected = isExpectedHost(header, { configured: '127.0.0.1' });
      const host = header.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
      return !expected || isLoopbackHost(host) || header.startsWith('[');
    }),
  );
  t.end();
});

t.test('hosts that the operating system accepts, and texts that are not a host', (t) => {
  const rows: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ['localhost', 'localhost', undefined],
    ['[::1]', '::1', undefined],
    ['::1', '::1', undefined],
    ['fe80::1%eth0', 'fe80::1%eth0', undefined],
    ['tor_1', 'tor_1', undefined],
    ['127.0.0.1:9050', undefined, '9050'],
    ['tor:', undefined, ''],
    ['[::1]:9050', undefined, '9050'],
    ['[tor]:9050', undefined, undefined],
    ['[tor]', undefined, undefined],
    ['tor:90a', undefined, undefined],
    ['::1:90:', undefined, undefined],
    ['[::1', undefined, undefined],
    ['[]', undefined, undefined],
    ['', undefined, undefined],
    ['a b', undefined, undefined],
    ['a\n', undefined, undefined],
    ['x'.repeat(254), undefined, undefined],
  ];
  for (const [text, host, port] of rows) {
    t.equal(hostInUse(text), host, text);
    t.equal(portInside(text), port, text);
  }
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), fc.nat(65_535), (host, port) => {
      const written = hostAndPort(host, port);
      return (
        hostInUse(host) === host &&
        hostInUse(written) === undefined &&
        portInside(written) === String(port)
      );
    }),
  );
  t.end();
});
