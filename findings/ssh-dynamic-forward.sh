#!/usr/bin/env bash
# OpenSSH 9.2p1, `ssh -N -D`, has no SOCKS reply for a failure. One expects reply 5 for a port that refuses, 4 for a
# name that does not exist and 2 for an address that sshd forbids, as RFC 1928 has them. In all three cases ssh ends the
# client's connection after the greeting without a byte, and the reason is only on its standard error.
#
# Who suffers: SOCKS clients behind it (a Tor with `Socks5Proxy`, a check that dials through the tunnel): a target that
# refuses, one that does not exist and a tunnel that broke look the same. What helps: to read what ssh prints
# ("channel N: open failed: ..."), and to count the end of one dial not as the end of the tunnel.
#
# And `-D` takes the path of a unix socket, of which ssh(1) and ssh_config(5) of this version say nothing ("-D
# [bind_address:]port"): a SOCKS server that only the owner of a folder can use, without a port of loopback.
#
# Seen: openssh-client and openssh-server 1:9.2p1-2+deb12u10 (Debian 12). Exits with 0 while that is so. Needs root and python3.
set -euo pipefail

work=$(mktemp -d)
pids=()
end() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap end EXIT
chmod 755 "$work"
cd "$work"

version=1:9.2p1-2+deb12u10
apt-get -qq -o APT::Sandbox::User="$(id -un)" download openssh-client=$version openssh-server=$version libwrap0
for deb in ./*.deb; do dpkg-deb -x "$deb" root; done
libraries=$work/root/usr/lib/$(uname -m)-linux-gnu

for key in host login; do root/usr/bin/ssh-keygen -q -t ed25519 -N '' -C '' -f $key; done
cp login.pub authorized_keys
printf '[127.0.0.1]:PORT %s\n' "$(cat host.pub)" >known
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed -i "s/PORT/$port/" known
mkdir -m 700 own
cat >sshd_config <<CONFIG
ListenAddress 127.0.0.1:$port
HostKey $work/host
AuthorizedKeysFile $work/authorized_keys
StrictModes no
UsePAM no
PidFile none
PermitOpen 127.0.0.1:*  nowhere.invalid:*
CONFIG
# sshd wants a user and a folder of its own and an unlocked login: it has them in a mount namespace.
{
  grep -v '^\(sshd\|tunnel\):' /etc/passwd
  printf '%s\n' 'sshd:*:100:65534::/run/sshd:/usr/sbin/nologin' "tunnel:*:0:0::$work:/bin/sh"
} >passwd
unshare --mount sh -c "mount --bind passwd /etc/passwd && mount -t tmpfs none /run && mkdir -m 755 /run/sshd &&
  LD_LIBRARY_PATH=$libraries exec $work/root/usr/sbin/sshd -D -e -f $work/sshd_config" 2>sshd.log &
pids+=($!)

cat >dial.py <<'PY'
import socket
import sys
import time


def until(open_socket):
    for _ in range(200):
        try:
            return open_socket()
        except OSError:
            time.sleep(0.05)
    sys.exit('no listener')


def dial(host, port):
    """The reply of the SOCKS server, and what comes after it."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect('own/socks')
    client.sendall(b'\5\1\0')
    client.recv(2)
    name = host.encode()
    client.sendall(b'\5\1\0\3' + bytes([len(name)]) + name + port.to_bytes(2, 'big'))
    reply = client.recv(10)
    if len(reply) < 2:
        return 'no reply' if reply == b'' else repr(reply)
    try:
        after = client.recv(100)
    except ConnectionResetError:
        after = b''
    return 'reply %d, then %s' % (reply[1], after.decode() or 'the end')


if sys.argv[1] == 'wait':
    until(lambda: socket.create_connection(('127.0.0.1', int(sys.argv[2]))))
    sys.exit()

greeter = socket.create_server(('127.0.0.1', 0))
closed = socket.create_server(('127.0.0.1', 0))
refusing = closed.getsockname()[1]
closed.close()


def probe():
    client = socket.socket(socket.AF_UNIX)
    client.connect('own/socks')
    client.close()


until(probe)
import threading


def greet():
    while True:
        client, _ = greeter.accept()
        client.sendall(b'hello')
        client.close()


threading.Thread(target=greet, daemon=True).start()
wanted = {'a service': 'reply 0, then hello'}
ends = 'no reply'
seen = {
    'a service': dial('127.0.0.1', greeter.getsockname()[1]),
    'a port that refuses': dial('127.0.0.1', refusing),
    'a name that does not exist': dial('nowhere.invalid', 80),
    'an address that sshd forbids': dial('127.0.0.2', greeter.getsockname()[1]),
}
for what, result in seen.items():
    print('%s: %s' % (what, result))
sys.exit(any(result != wanted.get(what, ends) for what, result in seen.items()))
PY

python3 dial.py wait "$port"
LD_LIBRARY_PATH=$libraries root/usr/bin/ssh -F none -N -i login -o IdentitiesOnly=yes -o BatchMode=yes \
  -o UserKnownHostsFile=known -o ExitOnForwardFailure=yes -p "$port" -D "$work/own/socks" tunnel@127.0.0.1 2>ssh.log &
pids+=($!)
# The script waits for the listener of ssh, which comes after the login.
if ! timeout 60 python3 dial.py look; then
  tail -n 3 ssh.log sshd.log >&2
  printf 'changed: ssh -D has replies for failures, or takes no path\n'
  exit 1
fi
