#!/usr/bin/env bash
# tor 0.4.9.11 (Debian 12) declares itself the main process of the service in which it is started. A program
# under systemd (Type=notify, NotifyAccess=all) that starts its own tor passes NOTIFY_SOCKET on with its
# environment. One expects a tor that is a child with `DisableNetwork 1` to stay silent. It sends MAINPID with
# its own process id, and READY=1, before any bootstrap; and RELOADING=1 and READY=1 at SIGHUP. systemd then
# sends reload and stop signals to tor instead of to the program.
#
# Without NOTIFY_SOCKET in its environment the same tor sends nothing.
#
# Seen: tor 0.4.9.11-0+deb12u1 on Debian 12. Exits with 0 while that is so. Needs python3 and tor's libraries.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"

apt-get -qq download tor=0.4.9.11-0+deb12u1
dpkg -x tor_*.deb unpacked
: >torrc

cat >listen.py <<'PY'
import os, signal, socket, subprocess, sys

told = sys.argv[1] == 'told'
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
env = {name: value for name, value in os.environ.items() if name != 'NOTIFY_SOCKET'}
if told:
    env['NOTIFY_SOCKET'] = os.path.abspath(sys.argv[1])
data = os.path.abspath('data-' + sys.argv[1])
tor = subprocess.Popen(
    ['unpacked/usr/bin/tor', '--defaults-torrc', '/dev/null', '-f', 'torrc', '--DataDirectory', data,
     '--DisableNetwork', '1', '--SocksPort', 'unix:' + data + '/socks'],
    env=env, stdout=subprocess.PIPE, text=True)

def messages(count):
    listener.settimeout(20 if told else 1)
    for _ in range(count):
        try:
            print(listener.recv(4096).decode().strip().replace(str(tor.pid), 'PID'))
        except TimeoutError:
            print('nothing')

for line in tor.stdout:
    if 'DisableNetwork is set' in line:
        break
messages(2)
tor.send_signal(signal.SIGHUP)
messages(2)
tor.terminate()
tor.communicate()
PY

fail() {
  printf 'changed: %s\n' "$*"
  exit 1
}

said=$(python3 listen.py told | paste -sd' ')
[[ $said == 'MAINPID=PID READY=1 RELOADING=1 READY=1' ]] || fail "with NOTIFY_SOCKET tor sends: $said"
silent=$(python3 listen.py silent | paste -sd' ')
[[ $silent == 'nothing nothing nothing nothing' ]] || fail "without NOTIFY_SOCKET tor sends: $silent"

printf 'as seen: %s\n' "$said"
