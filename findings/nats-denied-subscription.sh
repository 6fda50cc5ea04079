#!/usr/bin/env bash
# The Node client of NATS keeps its subscriptions over a reconnect, except those that the server has denied once.
# A server that misses a permission answers "Permissions Violation for Subscription". The client calls the callback
# with the error, closes that subscription for good, and stays connected. When the operator then allows the subject and
# reloads the server (SIGHUP), nothing comes. Restarting the server does not help either: the client connects again
# with the permission, and subscribes to nothing. `flush` and `publish` succeed all the time, and the status says
# `reconnect`.
#
# A reload that takes the permission away for a moment (a mistake in the configuration, mended a minute later) does the
# same to a subscription that worked for months, and the connection is not ended.
#
# Who suffers: services that subscribe once at their start and leave the rest to the client. They are deaf until
# someone restarts them, and every sign of life says that they are connected. What helps: to await `closed` of each
# subscription, which resolves with the error (it does not reject), and to connect or subscribe again.
#
# Seen: @nats-io/transport-node 3.3.1 and 3.4.0 on Node 20.20.2, nats-server 2.9.10 (Debian 12). Exits with 0 while that
# is so. Needs Debian with its package lists, node and npm; installs nothing.
set -euo pipefail

work=$(mktemp -d)
server=''
stop() {
  [[ -z $server ]] && return
  kill "$server"
  tail --pid="$server" -f /dev/null
  server=''
}
trap 'stop; rm -rf "$work"' EXIT
cd "$work"

apt-get -qq -o APT::Sandbox::User="$(id -un)" download nats-server
dpkg-deb -x nats-server_*.deb root

cat >client.mjs <<'JS'
import { createInterface } from 'node:readline';
import { connect } from '@nats-io/transport-node';

const nats = await connect({
  servers: `127.0.0.1:${process.argv[2]}`,
  user: 'node',
  pass: 'node',
  maxReconnectAttempts: -1,
  reconnectTimeWait: 200,
});
let reconnected;
const again = new Promise((resolve) => (reconnected = resolve));
(async () => {
  for await (const { type } of nats.status()) if (type === 'reconnect') reconnected();
})();
const subscribe = () => {
  const counted = { messages: 0 };
  counted.subscription = nats.subscribe('work.all', {
    callback: (error) => (counted.messages += error ? 0 : 1),
  });
  counted.subscription.closed.then((reason) => (counted.reason = reason?.name));
  return counted;
};
let current = subscribe();
// One word of standard input is one step, answered by one line.
for await (const step of createInterface({ input: process.stdin })) {
  if (step === 'reconnected') await again;
  if (step === 'subscribe') current = subscribe();
  nats.publish('work.all', 'hello');
  await nats.flush();
  await nats.flush();
  await new Promise((resolve) => setTimeout(resolve, 100));
  console.log(`${step}: messages ${current.messages}, ${current.reason ?? 'open'}`);
  current.messages = 0;
  if (step === 'end') break;
}
await nats.close();
process.exit();
JS

port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
allow() {
  printf 'listen: "127.0.0.1:%s"\nauthorization { users: [\n  { user: node, password: node, permissions: { publish: ">", subscribe: "%s" } }\n] }\n' \
    "$port" "$1" >server.conf
}
start() {
  root/usr/sbin/nats-server -c server.conf 2>>log &
  server=$!
  until (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null; do sleep 0.1; done
}
reload() {
  local before
  before=$(grep -c 'Reloaded server configuration' log || true)
  allow "$1"
  kill -HUP "$server"
  while [[ $(grep -c 'Reloaded server configuration' log || true) == "$before" ]]; do sleep 0.1; done
}

fault=0
for version in 3.3.1 3.4.0; do
  npm install --silent --ignore-scripts --no-audit --no-fund --prefix . "@nats-io/transport-node@$version" 2>/dev/null
  : >log
  allow other
  start
  coproc CLIENT { timeout 60 node client.mjs "$port"; }
  said=()
  step() {
    local line
    printf '%s\n' "$1" >&"${CLIENT[1]}"
    read -r -t 30 line <&"${CLIENT[0]}"
    said+=("$line")
  }
  step denied
  reload '>'
  step allowed
  stop
  start
  step reconnected
  step subscribe
  reload other
  step narrowed
  reload '>'
  step widened
  step end
  wait "$CLIENT_PID" 2>/dev/null || true
  stop
  found=$(printf '%s\n' "${said[@]}")
  expected='denied: messages 0, PermissionViolationError
allowed: messages 0, PermissionViolationError
reconnected: messages 0, PermissionViolationError
subscribe: messages 1, open
narrowed: messages 0, PermissionViolationError
widened: messages 0, PermissionViolationError
end: messages 0, PermissionViolationError'
  if [[ $found == "$expected" ]]; then
    printf 'as seen: transport-node %s: a denied subscription stays closed after reload and reconnect\n' "$version"
  else
    printf 'changed: transport-node %s:\n%s\n' "$version" "$found"
    fault=1
  fi
done
exit "$fault"
