#!/usr/bin/env bash
# Bitcoin Knots 29.4 does not relay a transaction with the lock time 21, at any height: `parasite-cat21`. It
# takes that number for the mark of a token. One expects each block height of the past to be as good as any
# other. A wallet against fee sniping sets the lock time to the height of the tip, and sometimes, as the original
# JoinMarket does, to one of up to 99 blocks before it. On a chain with 21 to 120 blocks (regtest, a signet of
# one's own) it meets 21 now and then, and a payment is refused that was accepted the day before. The option
# `-rejectparasites=0` turns the rule off; 20 and 22 pass.
#
# Seen: bitcoin-knots 29.4.knots20260508.3-1 (Debian sid), regtest. Exits with 0 while that is so. Needs Debian
# with its package lists, dpkg-deb and python3; installs nothing.
set -euo pipefail

package=bitcoin-knots=29.4.knots20260508.3-1
work=$(mktemp -d)
node=''
clean() {
  if [[ -n $node ]]; then
    kill "$node"
    tail --pid="$node" -f /dev/null
  fi
  rm -rf "$work"
}
trap clean EXIT
cd "$work"

fail() {
  printf 'changed: %s\n' "$*"
  exit 1
}

# The packages of sid with all their libraries, unpacked, without a change to this machine's apt.
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
mkdir -p apt/lists/partial apt/archives/partial apt/none root data
: >apt/status
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s sid main\n' "$archive" >apt/sources.list
sid=(-qq -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts="$work/apt/none"
  -o Dir::Etc::preferencesparts="$work/apt/none" -o Dir::Etc::preferences=/dev/null -o Dir::State="$work/apt"
  -o Dir::State::lists="$work/apt/lists" -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt"
  -o Debug::NoLocking=true -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)")
apt-get "${sid[@]}" update
apt-get "${sid[@]}" --no-install-recommends --download-only -y install "$package" >apt/log 2>&1 ||
  fail "$package cannot be had"
for deb in apt/archives/*.deb; do dpkg-deb -x "$deb" root; done
loader=$(find root -name 'ld-linux*' -type f -o -name 'ld-linux*' -type l | head -n 1)
library=$(dirname "$(find root -name 'libevent_core*' | head -n 1)")

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$loader" --library-path "$library" root/usr/bin/bitcoind -regtest -datadir="$work/data" -listen=0 \
  -rpcport="$port" -fallbackfee=0.0002 -daemonwait >/dev/null
node=$(<data/regtest/bitcoind.pid)

cli() {
  "$loader" --library-path "$library" root/usr/bin/bitcoin-cli -regtest -datadir="$work/data" -rpcport="$port" "$@"
}
# The answer of the node to a payment with this lock time: `accepted`, or its reason.
judge() {
  local raw
  raw=$(cli createrawtransaction "$inputs" "[{\"$address\": 49.999}]" "$1")
  raw=$(cli signrawtransactionwithwallet "$raw" | field hex)
  cli testmempoolaccept "[\"$raw\"]" | python3 -c 'import json, sys; a = json.load(sys.stdin)[0]; print("accepted" if a["allowed"] else a["reject-reason"])'
}
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

cli createwallet payer >/dev/null
address=$(cli getnewaddress)
cli generatetoaddress 120 "$address" >/dev/null
inputs=$(cli listunspent | python3 -c '
import json, sys
coin = next(c for c in json.load(sys.stdin) if c["spendable"])
print(json.dumps([{"txid": coin["txid"], "vout": coin["vout"], "sequence": 0xfffffffd}]))')

seen=''
for lock in 0 20 21 22 120; do seen+="$lock $(judge "$lock"); "; done
expected='0 accepted; 20 accepted; 21 parasite-cat21; 22 accepted; 120 accepted; '
[[ $seen == "$expected" ]] || fail "$seen"
printf 'as seen: %s\n' "$seen"
