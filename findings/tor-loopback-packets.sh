#!/usr/bin/env bash
# A private Tor network on loopback measures delayed acknowledgements. tor 0.4.9.11 leaves Nagle's algorithm on:
# TCP_NODELAY is off on every connection between relays. There a write that does not fill a packet waits while an
# earlier small one is not acknowledged, and Linux acknowledges up to 40 ms late what is no larger than the largest
# piece before. A packet of a usual loopback has 65,536 bytes, so that all that tor writes is small. One expects a
# network without distance to show tor's own delay. It depends on the MTU of the loopback instead: beside twenty streams
# on circuits of their own with a cell each every 50 ms, half of the messages of 200 bytes take more than 43 to 62 ms
# with 65,536, and 15 to 28 with 1,500. With TCP_NODELAY set on tor's sockets from outside it is 5 or 6 with either, and
# so it is with routes that acknowledge at once.
#
# Who suffers: who compares programs or versions on a private network, as chutney makes it: most of the latency is
# that of the kernel, and a change looks good or bad by how often tor writes. What helps: a network namespace with
# routes of `quickack 1`; `ip link set lo mtu 1500` there halves it. With little beside the message, two streams or
# none, the MTU does not matter.
#
# The script runs eight relays, an onion service and a client in each of two network namespaces. The programs of
# both ends use unix sockets, so that all TCP there is tor's. Rounds of both namespaces take turns. Beside the latency
# they count how many connections hold back written bytes (SIOCOUTQNSD), which no slow machine changes.
#
# Seen: tor 0.4.9.11-0+deb12u1 on Debian 12, Linux 6.18.44. Exits with 0 while that is so. Needs root, iproute2,
# python3 and tor's libraries; takes about two minutes.
set -euo pipefail

if ((EUID != 0)); then
  echo 'needs root, for network namespaces' >&2
  exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"

apt-get -qq -o APT::Sandbox::User="$(id -un)" download tor=0.4.9.11-0+deb12u1
dpkg -x tor_*.deb unpacked

cat >network.py <<'PY'
"""Keys of the relays; and in a namespace of its own: the relays, the service and the client."""
import ctypes
import os
import re
import socket
import subprocess

BIN = os.path.abspath('unpacked/usr/bin') + '/'
RELAYS, AUTHORITIES = 8, 3
HEAD = 'TestingTorNetwork 1\nAddressDisableIPv6 1\nShutdownWaitLength 0\n'
RELAY = ('Address 127.0.0.1\nAssumeReachable 1\nNickname r%d\nORPort 127.0.0.1:%d\nSocksPort 0\nContactInfo none\n'
         'ExitRelay 1\nExitPolicy accept *:*\n')
AUTHORITY = ('AuthoritativeDirectory 1\nV3AuthoritativeDirectory 1\nV3AuthVotingInterval 20\nV3AuthVoteDelay 2\n'
             'V3AuthDistDelay 2\nTestingV3AuthInitialVotingInterval 5\nTestingV3AuthInitialVoteDelay 2\n'
             'TestingV3AuthInitialDistDelay 2\nTestingMinExitFlagThreshold 0\nTestingDirAuthVoteExit *\n'
             'TestingDirAuthVoteGuard *\nTestingDirAuthVoteHSDir *\n')
PIDFD_GETFD = 438


def write(path, text):
    with open(path, 'w') as file:
        file.write(text)


def read(path):
    with open(path) as file:
        return file.read()


def prepare(base):
    lines = ''
    for i in range(RELAYS):
        folder = '%s/r%d' % (base, i)
        os.makedirs(folder + '/keys', 0o700)
        own = RELAY % (i, 5000 + i)
        if i < AUTHORITIES:
            address = '127.0.0.1:%d' % (6000 + i)
            own += 'DirPort %s\n' % address
            subprocess.run([BIN + 'tor-gencert', '--create-identity-key', '-m', '12', '--passphrase-fd', '0', '-a',
                            address], input=b'x\n', cwd=folder + '/keys', check=True, stderr=subprocess.DEVNULL)
            write(folder + '/first', HEAD + 'DataDirectory %s\n' % folder + own)
            nobody = 'a orport=1 v3ident=%s 127.0.0.1:1 %s' % ('0' * 40, '0' * 40)
            listed = subprocess.run([BIN + 'tor', '--list-fingerprint', '--quiet', '--defaults-torrc', '/dev/null',
                                     '-f', folder + '/first', '--DirAuthority', nobody],
                                    capture_output=True, text=True)
            relay_id = re.search(r'^r%d ([0-9A-F ]+)$' % i, listed.stdout, re.M).group(1)
            identity = re.search(r'fingerprint ([0-9A-F]+)', read(folder + '/keys/authority_certificate')).group(1)
            lines += 'DirAuthority r%d orport=%d v3ident=%s %s %s\n' % (i, 5000 + i, identity, address, relay_id)
            own += AUTHORITY
        write(folder + '/own', own)
    write(base + '/lines', lines)


class Network:
    def __init__(self, base):
        self.base = base
        self.lines = read(base + '/lines')
        self.tors = [self.start('r%d' % i, read('%s/r%d/own' % (base, i))) for i in range(RELAYS)]
        for name, own in (('s', 'SocksPort 0\nHiddenServiceDir %s/s/hs\nHiddenServicePort 80 unix:%s/target\n'
                           % (base, base)), ('c', 'SocksPort unix:%s/c/socks\n' % base)):
            os.mkdir('%s/%s' % (base, name), 0o700)
            self.tors.append(self.start(name, own + 'VanguardsLiteEnabled 0\n'))

    def start(self, name, own):
        folder = '%s/%s' % (self.base, name)
        os.chmod(folder, 0o700)
        write(folder + '/torrc', HEAD + self.lines + 'DataDirectory %s\n' % folder + own)
        return subprocess.Popen([BIN + 'tor', '--quiet', '--defaults-torrc', '/dev/null', '-f', folder + '/torrc'])

    def connections(self):
        """The TCP connections of all tors, as sockets of this process, which must close them."""
        found = []
        libc = ctypes.CDLL(None)
        for tor in self.tors:
            pidfd = os.pidfd_open(tor.pid)
            for fd in os.listdir('/proc/%d/fd' % tor.pid):
                try:
                    if not os.readlink('/proc/%d/fd/%s' % (tor.pid, fd)).startswith('socket:'):
                        continue
                except FileNotFoundError:
                    continue
                copy = libc.syscall(PIDFD_GETFD, pidfd, int(fd), 0)
                if copy < 0:
                    continue
                one = socket.socket(fileno=copy)
                if one.family == socket.AF_INET and one.type == socket.SOCK_STREAM and connected(one):
                    found.append(one)
                else:
                    one.close()
            os.close(pidfd)
        return found

    def nodelay(self, value):
        """How many connections there are, and how many had TCP_NODELAY; sets it to the value after that."""
        had = []
        for connection in self.connections():
            had.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, value)
            connection.close()
        return [len(had), sum(had)]


def connected(found):
    try:
        found.getpeername()
        return True
    except OSError:
        return False
PY

cat >space.py <<'PY'
"""A network and its traffic in a namespace; answers questions on standard input."""
import fcntl
import json
import os
import random
import select
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import network

BUSY, SINGLE = 20, 10
EVERY, SECONDS, PER_SECOND = 0.05, 6, 20
CELL, MESSAGE = 400, 200
SIOCOUTQNSD = 0x894B


def exactly(stream, count):
    data = b''
    while len(data) < count:
        part = stream.recv(count - len(data))
        if not part:
            raise OSError('closed')
        data += part
    return data


class Traffic:
    def __init__(self, net):
        self.net, self.ends, self.took = net, {}, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(net.base + '/target')
        self.listener.listen(100)
        threading.Thread(target=self.serve, daemon=True).start()
        while not (os.path.exists(net.base + '/s/hs/hostname') and os.path.exists(net.base + '/c/socks')):
            time.sleep(0.1)
        self.host = network.read(net.base + '/s/hs/hostname').strip().encode()
        clients = [self.dial(0)]
        with ThreadPoolExecutor(8) as pool:
            clients += pool.map(self.dial, range(1, BUSY + SINGLE))
        threading.Thread(target=self.receive, args=(clients,), daemon=True).start()

    def serve(self):
        while True:
            end, _ = self.listener.accept()
            threading.Thread(target=self.greet, args=(end,), daemon=True).start()

    def greet(self, end):
        try:
            number, = exactly(end, 1)
        except OSError:
            return
        self.ends[number] = end
        end.sendall(b'!')

    def dial(self, number):
        """A stream on a circuit of its own; the onion may be new."""
        for attempt in range(100):
            stream = socket.socket(socket.AF_UNIX)
            stream.settimeout(15)
            try:
                self.enter(stream, b'%d.%d' % (number, attempt))
                stream.sendall(bytes([number]))
                exactly(stream, 1)
                return stream
            except OSError:
                stream.close()
                time.sleep(0.5)
        sys.exit('the onion is not reachable')

    def enter(self, stream, user):
        stream.connect(self.net.base + '/c/socks')
        stream.sendall(b'\5\1\2')
        exactly(stream, 2)
        stream.sendall(b'\1' + bytes([len(user)]) + user + b'\1x')
        exactly(stream, 2)
        stream.sendall(b'\5\1\0\3' + bytes([len(self.host)]) + self.host + b'\0\x50')
        reply = exactly(stream, 4)
        if reply[1] != 0:
            raise OSError('reply %d' % reply[1])
        # On a unix socket tor's reply has an IPv6 address.
        exactly(stream, 18 if reply[3] == 4 else 6)

    def receive(self, clients):
        numbers = {client.fileno(): number for number, client in enumerate(clients)}
        halves = {number: b'' for number in numbers.values()}
        poll = select.poll()
        for client in clients:
            poll.register(client, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                number = numbers[fd]
                data = clients[number].recv(65536)
                now = time.monotonic_ns()
                if not data:
                    os.write(2, b'a stream was closed\n')
                    os._exit(1)
                if number < BUSY:
                    continue
                data = halves[number] + data
                while len(data) >= MESSAGE:
                    self.took.append((now - struct.unpack_from('>Q', data)[0]) / 1e6)
                    data = data[MESSAGE:]
                halves[number] = data

    def cells(self, until):
        at = time.monotonic()
        while at < until:
            for number in range(BUSY):
                self.ends[number].sendall(b'b' * CELL)
            at += EVERY
            time.sleep(max(0, at - time.monotonic()))

    def look(self, until, counts):
        connections = self.net.connections()
        while time.monotonic() < until:
            unsent = [struct.unpack('i', fcntl.ioctl(each, SIOCOUTQNSD, bytes(4)))[0] for each in connections]
            counts.append(sum(count > 0 for count in unsent))
            time.sleep(0.02)
        for each in connections:
            each.close()

    def round(self):
        """Of a message: the median of its latency in ms; and how many connections hold back bytes on average."""
        self.took = []
        counts = []
        until = time.monotonic() + SECONDS
        beside = [threading.Thread(target=self.cells, args=(until,)),
                  threading.Thread(target=self.look, args=(until, counts))]
        for thread in beside:
            thread.start()
        sent = 0
        while time.monotonic() < until:
            time.sleep(random.expovariate(PER_SECOND))
            text = struct.pack('>Q', time.monotonic_ns()).ljust(MESSAGE, b'm')
            self.ends[BUSY + random.randrange(SINGLE)].sendall(text)
            sent += 1
        for thread in beside:
            thread.join()
        while len(self.took) < sent:
            time.sleep(0.1)
        return [statistics.median(self.took), statistics.mean(counts)]


def quick_acks():
    for net in ('127.0.0.0/8', '127.0.0.1'):
        subprocess.run(['ip', 'route', 'change', 'local', net, 'dev', 'lo', 'proto', 'kernel', 'scope', 'host', 'src',
                        '127.0.0.1', 'table', 'local', 'quickack', '1'], check=True)


def main(mtu):
    subprocess.run(['ip', 'link', 'set', 'lo', 'mtu', mtu, 'up'], check=True)
    net = network.Network(os.path.abspath('mtu' + mtu))
    traffic = Traffic(net)
    print('null', flush=True)
    for line in sys.stdin:
        name, *words = json.loads(line)
        answer = {'nodelay': net.nodelay, 'quick': quick_acks, 'round': traffic.round}[name](*words)
        print(json.dumps(answer), flush=True)


main(sys.argv[1])
PY

cat >seen.py <<'PY'
import json
import shutil
import statistics
import subprocess
import sys

import network

ROUNDS = 3


class Space:
    """All of it ends with this process: the namespace has process ids of its own."""

    def __init__(self, mtu):
        self.mtu = mtu
        shutil.copytree('base', 'mtu%d' % mtu)
        self.process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--net', '--pid', '--fork', '--kill-child', '--mount-proc',
             sys.executable, 'space.py', str(mtu)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit('the network with packets of %d bytes ended' % self.mtu)
        return json.loads(line)

    def ask(self, *words):
        self.process.stdin.write(json.dumps(words) + '\n')
        self.process.stdin.flush()
        return self.answer()

    def end(self):
        self.process.kill()
        self.process.wait()


def measure(spaces, label, rounds):
    """The medians of rounds in turns: milliseconds of a message, connections that hold back bytes."""
    found = [[] for _ in spaces]
    for _ in range(rounds):
        for space, own in zip(spaces, found):
            own.append(space.ask('round'))
    for space, own in zip(spaces, found):
        print('%s, packets of %d bytes: p50 %s ms, %s connections hold back bytes'
              % (label, space.mtu, ' '.join('%.0f' % each[0] for each in own),
                 ' '.join('%.1f' % each[1] for each in own)), flush=True)
    return [[statistics.median(column) for column in zip(*own)] for own in found]


def main(spaces):
    for space in spaces:
        space.answer()
    counts = [space.ask('nodelay', 0) for space in spaces]
    print('%s connections between tors, %s with TCP_NODELAY' % tuple(map(list, zip(*counts))), flush=True)
    usual, small = measure(spaces, 'as tor has it', ROUNDS)
    for space in spaces:
        space.ask('nodelay', 1)
    set_usual, set_small = measure(spaces, 'TCP_NODELAY set from outside', 1)
    for space in spaces:
        space.ask('nodelay', 0)
        space.ask('quick')
    quick_usual, quick_small = measure(spaces, 'acknowledged at once', 1)
    quickest = max(set_usual[0], set_small[0], quick_usual[0], quick_small[0])
    return (all(count > 0 and with_it == 0 for count, with_it in counts)
            and usual[0] > small[0] + 10 and usual[1] > 1.3 * small[1]
            and quickest < small[0] - 5 and max(set_usual[1], set_small[1]) < small[1] / 3)


network.prepare('base')
running = [Space(65536), Space(1500)]
try:
    same = main(running)
finally:
    for each in running:
        each.end()
sys.exit(not same)
PY

timeout 240 python3 seen.py || {
  printf 'changed: the size of packets of the loopback matters less, or tor sets TCP_NODELAY\n'
  exit 1
}
