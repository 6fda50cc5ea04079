#!/usr/bin/env bash
# A node that was started with a snapshot of the unspent outputs (`loadtxoutset`, for mainnet since Bitcoin Core 28)
# works within an hour, and lacks the blocks below the snapshot for days. One expects it to say so as a pruned node
# does. Bitcoin Knots 29.4 says nothing of it where programs look:
#   - `getblockchaininfo` has `pruned: false`, no `pruneheight`, blocks = headers, `verificationprogress` 1;
#   - `getblock` of an old block is -1, as for a pruned one, with other words: "Block not available (not fully
#     downloaded)". A program that looks for "pruned" takes it for a fault of the node;
#   - `getindexinfo` says of the index of block filters `synced: true` with `best_block_height` 0, and goes on to say so;
#   - `scanblocks` over all blocks lists none, `"completed": true`, although each of them pays the script. At the same time
#     `scantxoutset` finds all its coins. (A scan is empty, too, where the index is one block behind: that lasts for
#     milliseconds, see knots-scanblocks-behind-the-index.sh.)
# So it is after a restart of the node, and after newer blocks.
#
# Who suffers: wallets and explorers that read history: they stop at an error that sends the person to the wrong cause,
# or show no payments. What helps: NETWORK is missing in `localservicesnames` of `getnetworkinfo` without `pruned`; then
# `getchainstates` has a second chainstate with `snapshot_blockhash` and `validated: false`, below whose height blocks
# are missing.
#
# The script makes the 200 blocks of the snapshot that regtest has built in (for a test of the coins that are loaded), and
# gives another node their headers and a snapshot file of its own making.
#
# Seen: bitcoin-knots 29.4.knots20260508.3-1 (Debian sid), regtest. Exits with 0 while that is so. Needs Debian with its
# package lists, dpkg-deb and python3; installs nothing.
set -euo pipefail

package=bitcoin-knots=29.4.knots20260508.3-1
work=$(mktemp -d)
node=''
stop() {
  [[ -z $node ]] && return
  kill "$node" 2>/dev/null || true
  tail --pid="$node" -f /dev/null
  node=''
}
trap 'stop; rm -rf "$work"' EXIT
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
start() {
  "$loader" --library-path "$library" root/usr/bin/bitcoind -regtest -datadir="$work/data" -listen=0 \
    -rpcport="$port" -disablewallet -blockfilterindex=1 -daemonwait >/dev/null
  node=$(<data/regtest/bitcoind.pid)
}

cat >look.py <<'PY'
import base64, hashlib, json, os, struct, sys, time, urllib.request

port, step = sys.argv[1:]
SCRIPT = b'\x00\x20' + hashlib.sha256(b'\x51').digest()
TARGET = 0x7FFFFF << 232
TIP = '5e93653318f294fb5aa339d00bbf8cf1c3515488ad99412c37608b139ea63b27'


def twice(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def blocks():
    """Headers and coinbases of the 200 blocks."""
    found = []
    before = bytes.fromhex('0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206')[::-1]
    for height in range(1, 201):
        number = bytes([0x50 + height]) if height <= 16 else height.to_bytes(1 + (height > 127), 'little')
        push = number if height <= 16 else bytes([len(number)]) + number
        value = 5_000_000_000 >> (height // 150)
        coinbase = struct.pack('<i', 2) + b'\x01' + bytes(32) + b'\xff' * 4 + bytes([len(push) + 1]) + push + b'\x00'
        coinbase += b'\xff' * 4 + b'\x01' + struct.pack('<q', value) + bytes([len(SCRIPT)]) + SCRIPT + bytes(4)
        for nonce in range(1000):
            header = struct.pack('<i', 4) + before + twice(coinbase)
            header += struct.pack('<III', 1296688602 + height, 0x207FFFFF, nonce)
            if int.from_bytes(twice(header), 'little') <= TARGET:
                break
        before = twice(header)
        found.append((header, twice(coinbase), value))
    assert before[::-1].hex() == TIP, before[::-1].hex()
    return found


def varint(number):
    digits = bytes([number & 0x7F])
    while number > 0x7F:
        number = (number >> 7) - 1
        digits = bytes([number & 0x7F | 0x80]) + digits
    return digits


def snapshot(chain):
    data = b'utxo\xff' + struct.pack('<H', 2) + bytes.fromhex('fabfb5da') + bytes.fromhex(TIP)[::-1]
    data += struct.pack('<Q', len(chain))
    for index, (_, txid, value) in enumerate(chain):
        # The amount without its zeros. The heights are one too low, as in the built-in one.
        zeros = len(str(value)) - len(str(value).rstrip('0'))
        digits = value // 10**zeros
        amount = 1 + ((digits // 10) * 9 + digits % 10 - 1) * 10 + zeros if zeros < 9 else 1 + (digits - 1) * 10 + 9
        data += txid + b'\x01\x00' + varint(index * 2 + 1) + varint(amount) + varint(len(SCRIPT) + 6) + SCRIPT
    return data


def call(method, *params):
    with open('data/regtest/.cookie', 'rb') as file:
        login = base64.b64encode(file.read()).decode()
    body = json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': method, 'params': params}).encode()
    request = urllib.request.Request(f'http://127.0.0.1:{port}/', body, {'Authorization': 'Basic ' + login})
    with urllib.request.urlopen(request) as answer:
        answer = json.load(answer)
    return answer['error'] if 'error' in answer else answer['result']


if step == 'load':
    chain = blocks()
    with open('snapshot.dat', 'wb') as file:
        file.write(snapshot(chain))
    for header, _, _ in chain:
        call('submitheader', header.hex())
    loaded = call('loadtxoutset', os.path.abspath('snapshot.dat'))
    assert loaded.get('coins_loaded') == 200, loaded
else:
    call('generatetodescriptor', 3, 'raw(51)')
time.sleep(1)

info = call('getblockchaininfo')
index = call('getindexinfo')['basic block filter index']
scan = call('scanblocks', 'start', [f'raw({SCRIPT.hex()})'], 0, 200)
coins = call('scantxoutset', 'start', [f'raw({SCRIPT.hex()})'])
states = call('getchainstates')['chainstates']
print(json.dumps([
    {k: info.get(k) for k in ('pruned', 'pruneheight', 'verificationprogress', 'warnings')},
    info['blocks'] == info['headers'],
    call('getblock', call('getblockhash', 5), 0),
    index,
    [scan['completed'], len(scan['relevant_blocks'])],
    len(coins['unspents']),
    'NETWORK' in call('getnetworkinfo')['localservicesnames'],
    [[s['blocks'] > 0, s['validated'], 'snapshot_blockhash' in s] for s in states],
]))
PY

expected='[{"pruned": false, "pruneheight": null, "verificationprogress": 1, "warnings": []}, true, '
expected+='{"code": -1, "message": "Block not available (not fully downloaded)"}, '
expected+='{"synced": true, "best_block_height": 0}, [true, 0], 200, false, '
expected+='[[false, true, false], [true, false, true]]]'
start
found=$(python3 look.py "$port" load)
[[ $found == "$expected" ]] || fail "$found"
stop
start
found=$(python3 look.py "$port" newer)
[[ $found == "$expected" ]] || fail "after a restart: $found"
printf 'as seen: not pruned, an index that is synced at block 0, no block 5, and none of 200 paying blocks in a complete scan\n'
