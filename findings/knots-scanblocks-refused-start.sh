#!/usr/bin/env bash
# A node runs one `scanblocks` at a time. Bitcoin Knots 29.4 refuses a second `scanblocks start` ("Scan already in
# progress"), and the scan that runs then forgets every block that it has found so far. It goes on, and answers
# with `"completed": true` and the blocks found after that. Two wallets that ask one node at the same time may
# therefore miss payments for ever, since each believes that it has read these blocks. (The list that
# `scanblocks status` shows is a feature of Knots; a refused start empties it.)
#
# What helps: ask `scanblocks status` first and start only when it is null; add a script of the first block of
# the range, and scan again when that block is not in the answer.
#
# The script mines 300 blocks that all pay a wallet of 4,000 scripts. A scan alone lists 300; with one refused
# start in the middle it lists fewer.
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
  -rpcport="$port" -disablewallet -blockfilterindex=1 -daemonwait >/dev/null
node=$(<data/regtest/bitcoind.pid)

cat >scan.py <<'PY'
import base64, hashlib, json, sys, threading, time, urllib.request

url = 'http://127.0.0.1:' + sys.argv[1] + '/'
access = 'Basic ' + base64.b64encode(open('data/regtest/.cookie', 'rb').read()).decode()

def call(method, *params):
    body = {'jsonrpc': '2.0', 'id': 1, 'method': method, 'params': params}
    request = urllib.request.Request(url, json.dumps(body).encode(), {'Authorization': access})
    return json.load(urllib.request.urlopen(request))

scripts = ['raw(0014%s)' % hashlib.sha256(b'%d' % i).hexdigest()[:40] for i in range(4000)]
for i in range(300):
    tip = call('generatetodescriptor', 1, scripts[i % 50])['result'][0]
while 'result' not in call('getblockfilter', tip) or call('getblockfilter', tip)['result'] is None:
    time.sleep(0.05)

def found(refused_start):
    answer = {}
    scan = threading.Thread(target=lambda: answer.update(call('scanblocks', 'start', scripts, 1)['result']))
    scan.start()
    refusals = 0
    while refused_start and scan.is_alive():
        time.sleep(0.03)
        refusals += 'error' in call('scanblocks', 'start', scripts[:1], 300) and scan.is_alive()
    scan.join()
    assert answer['completed']
    return len(answer['relevant_blocks'])

print(found(False), found(True))
PY
read -r alone disturbed < <(python3 scan.py "$port")
((alone == 300)) || fail "a scan alone listed $alone of 300 blocks"
((disturbed < 300)) || fail 'a refused start did not disturb the scan'
printf 'as seen: alone 300 blocks, with refused starts %s, both "completed"\n' "$disturbed"
