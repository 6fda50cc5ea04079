#!/usr/bin/env bash
# The Node client of NATS compares the certificate of a server that is given by its IP address with `localhost`.
# A server certificate with the address in subjectAltName is right by every rule of TLS, and openssl accepts it;
# @nats-io/transport-node 3.4.0 (and 3.3.1) refuses it: "Host: localhost. is not cert's CN". So a cluster whose
# servers are named by their addresses does not connect with a certificate for these addresses.
#
# What helps: give `tls: { checkServerIdentity }` and compare the certificate with the address there.
#
# Seen: @nats-io/transport-node 3.4.0 on Node 20.20.2, nats-server 2.9.10 (Debian 12). Exits with 0 while that is so.
# Needs Debian with its package lists, node, npm and openssl; installs nothing.
set -euo pipefail

work=$(mktemp -d)
server=''
clean() {
  if [[ -n $server ]]; then
    kill "$server"
    tail --pid="$server" -f /dev/null
  fi
  rm -rf "$work"
}
trap clean EXIT
cd "$work"

fail() {
  printf 'changed: %s\n' "$*"
  exit 1
}

npm install --silent --ignore-scripts --no-audit --no-fund --prefix . @nats-io/transport-node@3.4.0 2>/dev/null
apt-get -qq -o APT::Sandbox::User="$(id -un)" download nats-server
dpkg-deb -x nats-server_*.deb root

# A CA, and a certificate of the server for its address.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca \
  -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -keyout server.key \
  -out server.csr 2>/dev/null
printf 'subjectAltName=IP:127.0.0.1\n' >server.ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem \
  2>/dev/null

cat >client.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { connect } from '@nats-io/transport-node';

const [port, checked] = process.argv.slice(2);
const tls = { ca: readFileSync('ca.pem', 'utf8') };
if (checked === 'checked') {
  const { checkServerIdentity } = await import('node:tls');
  tls.checkServerIdentity = (_, certificate) => checkServerIdentity('127.0.0.1', certificate);
}
try {
  const connection = await connect({ servers: `tls://127.0.0.1:${port}`, tls, reconnect: false });
  await connection.close();
  console.log('connected');
} catch (error) {
  console.log(`${error.cause?.message ?? ''} ${error.message}`);
}
JS

free_port() { node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'; }

# Starts a server, asks the client, and ends the server.
ask() {
  local port answer
  port=$(free_port)
  root/usr/sbin/nats-server -a 127.0.0.1 -p "$port" --tls --tlscert server.pem --tlskey server.key >server.log 2>&1 &
  server=$!
  until grep -q 'Server is ready' server.log; do
    kill -0 "$server" 2>/dev/null || fail "the server does not start: $(tail -n 1 server.log)"
    read -rt 0.05 <> <(:) || true
  done
  answer=$(node client.mjs "$port" "${1-}")
  kill "$server"
  tail --pid="$server" -f /dev/null
  server=''
  printf '%s\n' "$answer"
}

openssl verify -CAfile ca.pem -verify_ip 127.0.0.1 server.pem >/dev/null || fail 'openssl refuses the certificate'
right=$(ask)
own=$(ask checked)
printf 'as the package does it:   %s\nwith a check of its own:  %s\n' "$right" "$own"
[[ $right == *localhost* ]] || fail 'a certificate for the address is not compared with localhost'
[[ $own == connected ]] || fail 'a check of its own does not help'
