#!/usr/bin/env bash
# npm ignores npm-shrinkwrap.json inside a packed file that is installed globally. npm's documentation of that
# file recommends it for programs that are installed globally, so one expects `npm install --global FILE.tgz` to
# install the versions that it names. npm installs the newest ones that package.json allows, without a warning: it
# looks for the mark `_hasShrinkwrap`, which a registry adds to its documents and a file does not have.
#
# `npm ci` in the unpacked folder installs the named version. So does the same file with `bundleDependencies`.
#
# Seen: npm 10.8.2, 10.9.4 and 11.6.2 on Node 20.20.2. Exits with 0 while that is so.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  printf 'changed: %s\n' "$*"
  exit 1
}
version_in() { node -p 'require(process.argv[1]).version' "$PWD/$1/node_modules/ini/package.json"; }

mkdir program
cd program
npm init -y >/dev/null
npm install --ignore-scripts --no-audit --no-fund --silent ini@4.1.0
npm shrinkwrap --silent
grep -q '"ini": "^4.1.0"' package.json || fail 'npm saves another range'
npm pack --silent >/dev/null
mv program-1.0.0.tgz ../shrinkwrap.tgz
npm pkg set --json 'bundleDependencies=["ini"]'
npm pack --silent >/dev/null
mv program-1.0.0.tgz ../bundle.tgz
cd ..
tar -tzf shrinkwrap.tgz | grep -qx package/npm-shrinkwrap.json || fail 'the packed file has no npm-shrinkwrap.json'

mkdir unpacked
tar -xzf shrinkwrap.tgz -C unpacked --strip-components=1
(cd unpacked && npm ci --ignore-scripts --no-audit --no-fund --silent)
[[ $(version_in unpacked) == 4.1.0 ]] || fail 'npm ci does not follow npm-shrinkwrap.json'

for npm in 10.8.2 10.9.4 11.6.2; do
  npm install --prefix "npm-$npm" --ignore-scripts --no-audit --no-fund --silent "npm@$npm"
  for file in shrinkwrap bundle; do
    node "npm-$npm/node_modules/npm/bin/npm-cli.js" install --global --prefix "$file-$npm" --ignore-scripts \
      --no-audit --no-fund --silent "./$file.tgz"
  done
  found=$(version_in "shrinkwrap-$npm/lib/node_modules/program")
  [[ $found != 4.1.0 ]] || fail "npm $npm follows npm-shrinkwrap.json"
  bundled=$(version_in "bundle-$npm/lib/node_modules/program")
  [[ $bundled == 4.1.0 ]] || fail "npm $npm replaces a bundled 4.1.0 by $bundled"
  printf 'as seen: npm %s installs ini %s instead of 4.1.0\n' "$npm" "$found"
done
