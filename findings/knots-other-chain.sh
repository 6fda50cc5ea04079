#!/usr/bin/env bash
# Bitcoin Knots 29.4.3, which Debian sid has as the latest version of the package bitcoin-knots, does not follow the
# block chain of Bitcoin Core. From block 961640 of mainnet (August 2026) and 150308 of testnet4 on, it wants another
# proof of work (BLAKE2b) with a header of 164 bytes in place of 80; signet and testnet3 stay as they are. One expects a
# fork of the software, in a patch release of a package, to differ in policy alone, and a node of another chain to say
# so: another name of the chain, other ports, or a warning.
#
# `getblockchaininfo` has the same `chain` ("main"), no warning, and `initialblockdownload: false`. The RPC interface,
# addresses and ports are the same. Signatures are the same, too: a payment that was made on one chain is valid on the
# other, and whoever has seen it can send it there. What shows it: `getdeploymentinfo` has `reduced_data` with the type
# `flagday` and the height; past that height `getblockchaininfo` and `getblockheader` have `difficulty_blake2b` and no
# `difficulty`, and the header has `header_version: 2`.
#
# Who suffers: two parties of one payment (a coinjoin, a trade) whose nodes follow different chains: coins, their age and
# confirmations of one do not exist for the other. Programs that read blocks at byte 80, or hash the first 80 bytes.
# Programs that read `difficulty`.
#
# The script asks a node without a network for the heights. Then it lets two nodes on regtest, one of which changes at
# block 110, go apart.
#
# Seen: bitcoin-knots 29.4.knots20260508.3-1 (Debian sid). Exits with 0 while that is so. Needs Debian with its package
# lists, dpkg-deb and python3; installs nothing.
set -euo pipefail

package=bitcoin-knots=29.4.knots20260508.3-1
work=$(mktemp -d)
nodes=()
stop() {
  for node in "${nodes[@]}"; do
    kill "$node" 2>/dev/null || continue
    tail --pid="$node" -f /dev/null
  done
  nodes=()
}
trap 'stop; rm -rf "$work"' EXIT
cd "$work"

fail() {
  printf 'changed: %s\n' "$*"
  exit 1
}

# The packages of sid with all their libraries, unpacked, without a change to this machine's apt.
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
mkdir -p apt/lists/partial apt/archives/partial apt/none root main testnet4 signet old new
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

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# start NAME CHAIN OPTION...
start() {
  local name=$1 chain=$2
  shift 2
  port[$name]=$(free_port)
  chains[$name]=$chain
  "$loader" --library-path "$library" root/usr/bin/bitcoind -chain="$chain" -datadir="$work/$name" -listen=0 \
    -connect=0 -dnsseed=0 -networkactive=0 -rpcport="${port[$name]}" -pid="$work/$name.pid" -fallbackfee=0.0002 \
    -daemonwait "$@" >/dev/null
  nodes+=("$(<"$name.pid")")
}
declare -A port chains
cli() {
  local name=$1
  shift
  "$loader" --library-path "$library" root/usr/bin/bitcoin-cli -chain="${chains[$name]}" -datadir="$work/$name" \
    -rpcport="${port[$name]}" "$@"
}
# The value of a Python expression over the JSON `a`.
value() { python3 -c "import json, sys; a = json.load(sys.stdin); print($1)"; }

for row in 'main flagday 961640' 'testnet4 flagday 150308' 'signet none none'; do
  name=${row%% *}
  start "$name" "$name" -disablewallet
  found=$(cli "$name" getdeploymentinfo |
    value '"%s %s" % tuple(a["deployments"].get("reduced_data", {}).get(k, "none") for k in ("type", "height"))')
  [[ "$name $found" == "$row" ]] || fail "$name has $found"
  stop
done

start old regtest
start new regtest -testactivationheight=blake2b@110
cli old createwallet w >/dev/null
address=$(cli old getnewaddress)
cli old generatetoaddress 109 "$address" >/dev/null
for height in $(seq 109); do
  cli new submitblock "$(cli old getblock "$(cli old getblockhash "$height")" 0)"
done
[[ $(cli new getbestblockhash) == $(cli old getbestblockhash) ]] || fail 'the nodes differ before the change'

payment=$(cli old sendtoaddress "$address" 1)
payment=$(cli old gettransaction "$payment" | value 'a["hex"]')
cli old generatetoaddress 3 "$address" >/dev/null
refused=$(cli new submitblock "$(cli old getblock "$(cli old getblockhash 110)" 0)")
cli new generatetoaddress 3 "$address" >/dev/null
[[ $refused == bad-version-blake2b ]] || fail "the new node says of the old block: $refused"
refused=$(cli old submitblock "$(cli new getblock "$(cli new getblockhash 110)" 0)")
[[ $refused == bad-version-sha256d ]] || fail "the old node says of the new block: $refused"

about='a["chain"], a["blocks"], a["initialblockdownload"], a["warnings"], "difficulty" in a, "difficulty_blake2b" in a'
[[ $(cli old getblockchaininfo | value "$about") == 'regtest 112 False [] True False' ]] || fail 'the old node'
[[ $(cli new getblockchaininfo | value "$about") == 'regtest 112 False [] False True' ]] || fail 'the new node'
header=$(cli new getblockheader "$(cli new getbestblockhash)" false)
[[ ${#header} == 328 ]] || fail "a header of $((${#header} / 2)) bytes"
cli new sendrawtransaction "$payment" >/dev/null || fail 'the payment of the old chain is not valid on the new one'

printf 'as seen: mainnet leaves at 961640, testnet4 at 150308; same name, no warning, headers of 164 bytes, and a payment of one chain is valid on the other\n'
