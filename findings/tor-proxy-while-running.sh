#!/usr/bin/env bash
# A proxy that a running tor is given carries nothing that already stands. `SETCONF Socks5Proxy=HOST:PORT` (and
# HTTPSProxy) is answered with 250 OK and GETCONF shows the proxy. One expects that tor leaves its relays then and
# reaches them through the proxy, or that new circuits do. tor keeps its direct connections and builds new circuits
# on them, also after SIGNAL NEWNYM and SIGNAL RELOAD, for as long as they live: the proxy sees no connection, and
# the network sees the same direct ones as before. Only `SETCONF DisableNetwork=1` and `DisableNetwork=0` (or a
# restart) ends them; every connection after that goes through the proxy.
#
# Who suffers: a person who turns a proxy on at run time, from a controller or by editing torrc and a reload, to hide
# from the own network that Tor is used.
#
# The script runs three authorities on loopback, a client with a control port, and a proxy that counts.
#
# Seen: tor 0.4.9.11-0+deb12u1 on Debian 12. Exits with 0 while that is so. Needs python3 and tor's libraries; takes
# about half a minute.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"

apt-get -qq download tor=0.4.9.11-0+deb12u1
dpkg -x tor_*.deb unpacked

cat >seen.py <<'PY'
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

BIN = os.path.abspath('unpacked/usr/bin') + '/'
HEAD = 'TestingTorNetwork 1\nAddressDisableIPv6 1\nShutdownWaitLength 0\nUseMicrodescriptors 0\n'
running = []


def free_ports(count):
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def start(torrc):
    # The kernel ends tor with this script.
    tor = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', BIN + 'tor', '--quiet', '--defaults-torrc',
                            '/dev/null', '-f', torrc])
    running.append(tor)
    return tor


def authorities(count):
    made = []
    ports = free_ports(2 * count)
    for i in range(count):
        folder = os.path.abspath('a%d' % i)
        os.makedirs(folder + '/keys', 0o700)
        os.chmod(folder, 0o700)
        relay, directory = ports[2 * i:2 * i + 2]
        subprocess.run([BIN + 'tor-gencert', '--create-identity-key', '-m', '12', '--passphrase-fd', '0', '-a',
                        '127.0.0.1:%d' % directory], input=b'x\n', cwd=folder + '/keys', check=True,
                       stderr=subprocess.DEVNULL)
        own = (HEAD + 'Address 127.0.0.1\nAssumeReachable 1\nDataDirectory %s\nNickname a%d\nORPort 127.0.0.1:%d\n'
               'DirPort 127.0.0.1:%d\nSocksPort 0\nContactInfo none\n' % (folder, i, relay, directory))
        with open(folder + '/first', 'w') as file:
            file.write(own)
        nobody = 'a orport=1 v3ident=%s 127.0.0.1:1 %s' % ('0' * 40, '0' * 40)
        listed = subprocess.run([BIN + 'tor', '--list-fingerprint', '--quiet', '--defaults-torrc', '/dev/null', '-f',
                                 folder + '/first', '--DirAuthority', nobody], capture_output=True, text=True)
        relay_id = re.search(r'^a%d ([0-9A-F ]+)$' % i, listed.stdout, re.M).group(1)
        identity = re.search(r'fingerprint ([0-9A-F]+)', open(folder + '/keys/authority_certificate').read()).group(1)
        line = 'DirAuthority a%d orport=%d v3ident=%s 127.0.0.1:%d %s\n' % (i, relay, identity, directory, relay_id)
        made.append((folder, own, line, relay))
    lines = ''.join(each[2] for each in made)
    for folder, own, _, _ in made:
        with open(folder + '/torrc', 'w') as file:
            file.write(own + lines + 'AuthoritativeDirectory 1\nV3AuthoritativeDirectory 1\n'
                       'V3AuthVotingInterval 10\nV3AuthVoteDelay 2\nV3AuthDistDelay 2\n'
                       'TestingV3AuthInitialVotingInterval 5\nTestingV3AuthInitialVoteDelay 2\n'
                       'TestingV3AuthInitialDistDelay 2\nTestingMinExitFlagThreshold 0\nTestingDirAuthVoteExit *\n'
                       'TestingDirAuthVoteGuard *\nExitRelay 1\nExitPolicy accept *:*\n')
        start(folder + '/torrc')
    return lines, {each[3] for each in made}


class Proxy:
    """SOCKS 5 and HTTP CONNECT; counts what it is asked for."""

    def __init__(self):
        self.asked = 0
        self.server = socket.create_server(('127.0.0.1', 0))
        self.address = '127.0.0.1:%d' % self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.server.accept()
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        reader = client.makefile('rb', 0)
        first = reader.read(1)
        if first == b'C':
            host, port = reader.readline().split()[1].split(b':')
            while reader.readline() not in (b'\r\n', b''):
                pass
            answer = b'HTTP/1.1 200 ok\r\n\r\n'
        else:
            reader.read(reader.read(1)[0])
            client.sendall(b'\5\0')
            reader.read(4)
            host, port = socket.inet_ntoa(reader.read(4)), int.from_bytes(reader.read(2), 'big')
            answer = b'\5\0\0\1\0\0\0\0\0\0'
        self.asked += 1
        target = socket.create_connection((host, int(port)))
        client.sendall(answer)
        while True:
            for source in select.select([client, target], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    client.close()
                    target.close()
                    return
                (target if source is client else client).sendall(data)


class Control:
    def __init__(self, port):
        while True:
            try:
                self.socket = socket.create_connection(('127.0.0.1', port))
                break
            except OSError:
                time.sleep(0.05)
        self.socket.settimeout(60)
        self.lines = self.socket.makefile('r', newline='\r\n')
        self.events = []
        self.ask('AUTHENTICATE')

    def ask(self, command):
        self.socket.sendall(command.encode() + b'\r\n')
        while True:
            line = self.lines.readline().rstrip()
            if line.startswith('650'):
                self.events.append(line)
            elif line[3:4] == ' ' or not line:
                return line

    def wait(self, pattern):
        while True:
            for line in self.events:
                if re.search(pattern, line):
                    return line
            self.events.append(self.lines.readline().rstrip())

    def circuits(self):
        """Builds three new circuits of two hops, one through a connection to each relay."""
        for hops in ('a0,a1', 'a1,a2', 'a2,a0'):
            while not self.builds(hops):
                # tor may lack the descriptor of a relay yet.
                time.sleep(0.2)

    def builds(self, hops):
        reply = self.ask('EXTENDCIRCUIT 0 ' + hops)
        if 'EXTENDED' not in reply:
            return False
        number = reply.split()[-1]
        built = 'BUILT' in self.wait('CIRC %s (BUILT|FAILED|CLOSED)' % number)
        if built:
            self.ask('CLOSECIRCUIT ' + number)
        return built


def direct(tor, relays):
    """How many connections this process has to relays."""
    inodes = {os.readlink(fd.path) for fd in os.scandir('/proc/%d/fd' % tor.pid)}
    rows = [line.split() for line in open('/proc/net/tcp').readlines()[1:]]
    return sum(row[3] == '01' and int(row[2].split(':')[1], 16) in relays and 'socket:[%s]' % row[9] in inodes
               for row in rows)


def main():
    lines, relays = authorities(3)
    changed = False
    for option in ('Socks5Proxy', 'HTTPSProxy'):
        control_port, = free_ports(1)
        os.mkdir(option, 0o700)
        with open(option + '/torrc', 'w') as file:
            file.write(HEAD + lines + 'DataDirectory %s\nSocksPort 0\nControlPort %d\n__DisablePredictedCircuits 1\n'
                       'UseEntryGuards 0\n' % (os.path.abspath(option), control_port))
        tor = start(option + '/torrc')
        control = Control(control_port)
        control.ask('SETEVENTS CIRC STATUS_CLIENT')
        control.wait('ENOUGH_DIR_INFO')
        control.circuits()
        proxy = Proxy()
        before = direct(tor, relays)
        reply = control.ask('SETCONF %s=%s' % (option, proxy.address))
        control.circuits()
        control.ask('SIGNAL NEWNYM')
        control.circuits()
        # A reload reads torrc again.
        with open(option + '/torrc', 'a') as file:
            file.write('%s %s\n' % (option, proxy.address))
        control.ask('SIGNAL RELOAD')
        control.circuits()
        kept, through = direct(tor, relays), proxy.asked
        control.ask('SETCONF DisableNetwork=1')
        control.ask('SETCONF DisableNetwork=0')
        control.circuits()
        print('%s: %s; nine new circuits later %d of %d direct connections stand, the proxy saw %d; after '
              'DisableNetwork 1 and 0: %d direct, the proxy saw some: %s'
              % (option, reply, kept, before, through, direct(tor, relays), proxy.asked > 0))
        changed |= not (reply == '250 OK' and kept == before == 3 and through == 0 and proxy.asked > 0
                        and direct(tor, relays) == 0)
    return changed


def end(*_):
    for tor in running:
        tor.kill()
        tor.wait()


signal.signal(signal.SIGALRM, lambda *_: sys.exit('no result within two minutes'))
signal.alarm(120)
try:
    status = main()
finally:
    end()
sys.exit(status)
PY

timeout 150 python3 seen.py || {
  printf 'changed: a proxy that a running tor is given carries connections at once, or not after DisableNetwork\n'
  exit 1
}
