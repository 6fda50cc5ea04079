#!/usr/bin/env bash
# tor 0.4.9.11 (Debian 12) forgets a key that ONION_CLIENT_AUTH_ADD gave it at the next SETCONF or RESETCONF of any option by
# any controller, even of an option to the value that it has, and at the next reload (SIGHUP). One expects a key "in memory"
# to stay until tor ends or somebody removes it, as services of ADD_ONION do, which survive all of these. The controller that added it is told nothing: its connection stays, and no event names the key. The onion answers on
# circuits that stand; after that it is out of reach, as for a stranger.
#
# Debian reloads a system tor after each rotation of its log file (/etc/logrotate.d/tor), and a second controller, such as a monitor that sets an option, does it at any time.
#
# Who suffers: programs that add the keys of private onions once for each control connection. What helps: to ask
# ONION_CLIENT_AUTH_VIEW before a dial and to add the key again; or `Flags=Permanent` with a ClientOnionAuthDir, which writes
# the key to a file.
#
# Seen: tor 0.4.9.11-0+deb12u1 on Debian 12, without a network (`DisableNetwork 1`). Exits with 0 while that is so. Needs
# python3 and tor's libraries.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"

apt-get -qq -o APT::Sandbox::User="$(id -un)" download tor=0.4.9.11-0+deb12u1
dpkg -x tor_*.deb unpacked

cat >seen.py <<'PY'
import base64
import os
import signal
import socket
import subprocess
import sys
import time

DATA = os.path.abspath('data')
ONION = 'duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad'
KEY = 'x25519:' + base64.b64encode(bytes(range(32))).decode()
os.makedirs(DATA + '/keys', 0o700)
os.chmod(DATA, 0o700)
with open('torrc', 'w') as file:
    file.write(f'DataDirectory {DATA}\nDisableNetwork 1\nSocksPort 0\nControlPort unix:{DATA}/control\n'
               f'ClientOnionAuthDir {DATA}/keys\n')
tor = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', 'unpacked/usr/bin/tor', '--quiet', '--defaults-torrc',
                        '/dev/null', '-f', 'torrc'])


class Control:
    def __init__(self):
        self.events = []
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                self.socket.connect(DATA + '/control')
                break
            except OSError:
                time.sleep(0.05)
        self.lines = self.socket.makefile('r', newline='\r\n')
        self.ask('AUTHENTICATE')

    def ask(self, command):
        self.socket.sendall(command.encode() + b'\r\n')
        reply = []
        while True:
            line = self.lines.readline().rstrip()
            if line.startswith('650'):
                self.events.append(line)
                continue
            reply.append(line)
            if line[3:4] == ' ':
                return reply


def has_key():
    return any(line.startswith('250-CLIENT') for line in mine.ask('ONION_CLIENT_AUTH_VIEW ' + ONION))


mine = Control()
other = Control()
mine.ask('SETEVENTS HS_DESC STATUS_CLIENT NOTICE WARN')
service = mine.ask('ADD_ONION NEW:ED25519-V3 Flags=DiscardPK Port=80')[0].split('=')[1]


def reload():
    os.kill(tor.pid, signal.SIGHUP)
    time.sleep(0.5)
    return ['250 OK']


STEPS = {
    'SETCONF': lambda: other.ask('SETCONF MaxCircuitDirtiness=700'),
    'the same SETCONF': lambda: other.ask('SETCONF MaxCircuitDirtiness=700'),
    'RESETCONF': lambda: other.ask('RESETCONF MaxCircuitDirtiness'),
    'SIGHUP': reload,
}
for flags in ('', ' Flags=Permanent'):
    for name, step in STEPS.items():
        added = mine.ask(f'ONION_CLIENT_AUTH_ADD {ONION} {KEY}{flags}')[0][:3]
        before = has_key()
        mine.events.clear()
        answer = step()
        named = [line for line in mine.events if ONION in line]
        onions = mine.ask('GETINFO onions/current')
        print(f'{name}{flags}: added {added in ("250", "251")}, key {before} then {has_key()}, {answer[0]}, '
              f'events about it {len(named)}, service {any(service in line for line in onions)}')
        mine.ask('ONION_CLIENT_AUTH_REMOVE ' + ONION)
tor.terminate()
tor.wait()
PY

expected=''
for flags in '' ' Flags=Permanent'; do
  for name in SETCONF 'the same SETCONF' RESETCONF SIGHUP; do
    kept=$([[ -n $flags ]] && echo True || echo False)
    expected+="$name$flags: added True, key True then $kept, 250 OK, events about it 0, service True"$'\n'
  done
done
found=$(timeout 60 python3 seen.py)
if [[ $found != "${expected%$'\n'}" ]]; then
  printf 'changed:\n%s\n' "$found"
  exit 1
fi
printf 'as seen: a key of ONION_CLIENT_AUTH_ADD is gone after SETCONF, RESETCONF and SIGHUP, and a permanent one stays\n'
