#!/usr/bin/env bash
# monero-wallet-rpc keeps what it has sent in memory until it writes the wallet file. It answers `transfer` or
# `relay_tx`, its node has the transaction, and the wallet file does not. One expects that a wallet which says "sent"
# says so after a crash, too, or that it finds its own transaction in the pool of its node when it refreshes. After
# kill -9, a new start, open_wallet and refresh it does neither, although the transaction is in the pool:
#   - `get_transfers` (all kinds) has no row for it, `get_transfer_by_txid` says -8 "Transaction not found.", and the
#     balance is as before;
#   - the same payment by `transfer` is paid twice. Only when the wallet happens to draw a coin that the first payment
#     has spent, the node refuses it (-4 "transaction was rejected by daemon"): that is luck, and not a check;
#   - once a block has it, a row `out` appears under its txid, with payment id 0000000000000000 and without
#     destinations. So a search for the payment id finds nothing for ever, and without its key (-24) nobody can prove
#     the payment.
#
# And `pending` says nothing of the pool. After `flush_txpool` on the node a transaction stays `pending` with height 0,
# after refreshes, a new block and 75 seconds, too; one expects `failed`, or no row.
#
# Who suffers: a program that looks in the history before it pays again (it pays twice), and one that takes `pending`
# for "the network has it".
#
# What helps: `store` after each payment. Or `do_not_relay` with `get_tx_metadata`, the metadata on the disk, and then
# `relay_tx`: it can be repeated, answers with the same tx_hash, makes the wallet know the payment again, and puts it
# back into a flushed pool. It is better not repeated once a block has the transaction and the wallet knows it: the
# answer is the same, but the history then has a second row for it, `pending`, and the balance is too high.
#
# Seen: monero 0.18.0.0+~0+20200826-1+deb12u1 (Debian 12), monerod --regtest --offline. Exits with 0 while that is so.
# Needs Debian with its package lists and python3; installs nothing. Takes two to five minutes.
set -euo pipefail

work=$(mktemp -d)
seen=''
clean() {
  if [[ -n $seen ]]; then
    kill "$seen" 2>/dev/null || true
    tail --pid="$seen" -f /dev/null
  fi
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP
cd "$work"

# The package, and those libraries that this machine lacks.
mkdir -p archives/partial root wallets
apt-get -qq -y -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=true -o Dir::Cache::Archives="$work/archives" \
  --no-install-recommends --reinstall --download-only install 'monero=0.18.0.0+~0+20200826-1+deb12u1' >/dev/null
for deb in archives/*.deb; do dpkg-deb -x "$deb" root; done

cat >seen.py <<'PY'
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

COIN = 10**12
# An integrated address of a wallet that exists no more.
PAYEE = '4KWiWiLu6rHPsFgzmzznbXiuTEgGBxHdiCYhZ1VCt7tshww6Cm5xBmkYJdHmpVsMpHTnM95nbc9JKjkR3HKxCd5Tce4HgEvR5i4U2UVCMX'
PAYMENT_ID = '1234567890abcdef'
# A reward of this chain is 35 coins: the large payment takes three of them, so the wallet draws them.
LARGE, SMALL = 75 * COIN, COIN
PENDING_SECONDS = 75
LIMIT = 180
running = []
changes = []


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as server:
        return server.getsockname()[1]


NODE, P2P, WALLET = free_port(), free_port(), free_port()


def start(name, port, *options):
    library = os.path.abspath('root/usr/lib/%s-linux-gnu' % os.uname().machine)
    with open(name + '.out', 'ab') as out:
        # The kernel ends the program with this script.
        program = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', 'root/usr/bin/' + name, '--rpc-bind-port=%d' % port, *options],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env=dict(os.environ, HOME=os.getcwd(), LD_LIBRARY_PATH=library))
    running.append(program)
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and program.poll() is None:
        try:
            socket.create_connection(('127.0.0.1', port)).close()
            return program
        except OSError:
            time.sleep(0.05)
    sys.exit('%s does not start: %s' % (name, open(name + '.out').read()[-500:]))


def start_wallet_rpc():
    return start('monero-wallet-rpc', WALLET, '--wallet-dir=wallets', '--daemon-address=127.0.0.1:%d' % NODE,
                 '--trusted-daemon', '--disable-rpc-login', '--log-file=wallet.log', '--shared-ringdb-dir=ringdb')


def post(port, path, body):
    request = urllib.request.Request('http://127.0.0.1:%d/%s' % (port, path), json.dumps(body).encode(),
                                     {'Content-Type': 'application/json'})
    return json.load(urllib.request.urlopen(request, timeout=LIMIT))


def answer(port, method, params):
    """The result of a call, or its error."""
    reply = post(port, 'json_rpc', {'jsonrpc': '2.0', 'id': '0', 'method': method, 'params': params})
    return reply['result'] if 'result' in reply else reply['error']


def call(method, **params):
    result = answer(WALLET, method, params)
    if 'message' in result:
        sys.exit('%s: %s' % (method, result))
    return result


def error(method, **params):
    result = answer(WALLET, method, params)
    return '%d %s' % (result['code'], result['message']) if 'message' in result else 'no error'


def node(method, **params):
    return answer(NODE, method, params)


def pool():
    return sorted(post(NODE, 'get_transaction_pool_hashes', {}).get('tx_hashes', []))


def row(txid):
    """What the history has of a transaction: kind, height, payment id, and whether it has the destinations."""
    kinds = call('get_transfers', **{kind: True for kind in ('in', 'out', 'pending', 'failed', 'pool')})
    rows = ['%s, height %d, payment id %s, destinations: %s' % (
        kind, each['height'], each['payment_id'], 'yes' if each.get('destinations') else 'no')
        for kind, listed in kinds.items() for each in listed if each['txid'] == txid]
    by_id = error('get_transfer_by_txid', txid=txid)
    return '; '.join(rows) or 'no row, ' + by_id


def unlocked():
    return call('get_balance')['unlocked_balance']


def payment(amount):
    return {'destinations': [{'amount': amount, 'address': PAYEE}]}


def prepared():
    made = call('transfer', do_not_relay=True, get_tx_metadata=True, **payment(SMALL))
    return made['tx_hash'], made['tx_metadata']


def mine(blocks):
    node('generateblocks', amount_of_blocks=blocks, wallet_address=call('get_address')['address'])
    call('refresh')


def crash(program):
    program.kill()
    program.wait()
    program = start_wallet_rpc()
    call('open_wallet', filename='payer')
    call('refresh')
    return program


def expect(what, result, wanted):
    print('%s: %s' % (what, result), flush=True)
    if result != wanted:
        changes.append('%s: %s, and not %s' % (what, result, wanted))


KNOWN = 'pending, height 0, payment id %s, destinations: yes' % PAYMENT_ID
FORGOTTEN = 'no row, -8 Transaction not found.'


def main():
    start('monerod', NODE, '--regtest', '--offline', '--fixed-difficulty=1', '--data-dir=node', '--no-zmq', '--no-igd',
          '--p2p-bind-port=%d' % P2P, '--non-interactive')
    wallet_rpc = start_wallet_rpc()
    call('create_wallet', filename='payer', language='English')
    mine(100)
    call('store')
    before = unlocked()

    sent = call('transfer', **payment(LARGE))['tx_hash']
    relayed, metadata = prepared()
    call('relay_tx', hex=metadata)
    expect('transfer was answered', row(sent), KNOWN)
    expect('relay_tx was answered', row(relayed), KNOWN)

    wallet_rpc = crash(wallet_rpc)
    expect('killed and started again, the payment of transfer', row(sent), FORGOTTEN)
    expect('killed and started again, the payment of relay_tx', row(relayed), FORGOTTEN)
    expect('the pool of the node has both', pool() == sorted([sent, relayed]), True)
    expect('the balance is as before both', unlocked() == before, True)

    expect('relay_tx again, same tx_hash', call('relay_tx', hex=metadata)['tx_hash'] == relayed, True)
    expect('and the wallet knows it again', row(relayed), KNOWN)

    # Now and then the wallet draws a coin that the first payment has spent, and the node refuses.
    for _ in range(10):
        again = answer(WALLET, 'transfer', payment(LARGE))
        if 'tx_hash' in again:
            break
    expect('the same payment by transfer', again.get('message', 'paid twice'), 'paid twice')
    expect('transactions in the pool', len(pool()), 3)

    call('store')
    wallet_rpc = crash(wallet_rpc)
    expect('after store, killed and started again', row(relayed), KNOWN)

    mine(1)
    height = call('get_height')['height'] - 1
    out = 'out, height %d, payment id %s, destinations: %s'
    expect('in a block, the forgotten payment', row(sent), out % (height, '0' * 16, 'no'))
    expect('the key of the forgotten payment', error('get_tx_key', txid=sent),
           '-24 No tx secret key is stored for this tx')
    expect('in the same block, the second payment of it', row(again.get('tx_hash', '')),
           out % (height, PAYMENT_ID, 'yes'))
    expect('in a block, the stored payment', row(relayed), out % (height, PAYMENT_ID, 'yes'))
    expect('the key of the stored payment', error('get_tx_key', txid=relayed), 'no error')
    balance = call('get_balance')['balance']
    expect('relay_tx of a transaction in a block, same tx_hash',
           call('relay_tx', hex=metadata)['tx_hash'] == relayed, True)
    expect('its rows', row(relayed), out % (height, PAYMENT_ID, 'yes') + '; ' + KNOWN)
    expect('the balance has grown', call('get_balance')['balance'] > balance, True)

    flushed, metadata = prepared()
    call('relay_tx', hex=metadata)
    node('flush_txpool')
    expect('the pool was flushed', pool(), [])
    mine(1)
    since = time.monotonic()
    while time.monotonic() < since + PENDING_SECONDS and row(flushed) == KNOWN:
        time.sleep(5)
        call('refresh')
    expect('%d seconds and a block later' % PENDING_SECONDS, row(flushed), KNOWN)
    expect('the pool', pool(), [])
    call('relay_tx', hex=metadata)
    expect('relay_tx again, the pool has it', pool() == [flushed], True)


def end():
    for program in running:
        program.kill()
        program.wait()


signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped'))
signal.signal(signal.SIGALRM, lambda *_: sys.exit('no result within ten minutes'))
signal.alarm(600)
try:
    main()
finally:
    end()
for change in changes:
    print('changed: ' + change)
sys.exit(bool(changes))
PY

setpriv --pdeathsig KILL python3 seen.py &
seen=$!
status=0
wait "$seen" || status=$?
seen=''
exit "$status"
