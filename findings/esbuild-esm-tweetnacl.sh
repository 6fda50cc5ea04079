#!/usr/bin/env bash
# esbuild 0.28.2 bundles tweetnacl 1.0.3 into an ES module without a warning, and the program ends at its
# import on Node 20. tweetnacl asks `typeof require !== 'undefined'` before it requires `crypto`, so one
# expects the guard to be false in an ES module. esbuild replaces `require` by a function that throws, so
# the guard is true and the call behind it throws.
#
# The same bundle as CommonJS runs, and so does an ES module with a banner that defines `require`.
#
# Seen: esbuild 0.28.2, tweetnacl 1.0.3, Node 20.20.2. Exits with 0 while that is so.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y >/dev/null
npm install --ignore-scripts --no-audit --no-fund --silent esbuild@0.28.2 tweetnacl@1.0.3
cat >program.js <<'JS'
import nacl from 'tweetnacl';
console.log('public key of', nacl.box.keyPair().publicKey.length, 'bytes');
JS

fail() {
  printf 'changed: %s\n' "$*"
  exit 1
}

bundle() {
  node_modules/.bin/esbuild program.js --bundle --platform=node --log-level=warning "$@" 2>warnings
  [[ ! -s warnings ]] || fail "esbuild warns: $(cat warnings)"
}

bundle --format=esm --outfile=plain.mjs
if node plain.mjs >out 2>&1; then fail 'the plain ES module runs'; fi
grep -q 'Dynamic require of "crypto" is not supported' out || fail "another error: $(head -c 300 out)"

bundle --format=cjs --outfile=plain.cjs
[[ $(node plain.cjs) == 'public key of 32 bytes' ]] || fail 'the CommonJS bundle does not run'

bundle --format=esm --outfile=banner.mjs \
  --banner:js="import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
[[ $(node banner.mjs) == 'public key of 32 bytes' ]] || fail 'the ES module with a banner does not run'

printf 'as seen: %s\n' "$(grep -m 1 '^Error: ' out)"
