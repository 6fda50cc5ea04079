/** The firewall at work: two network namespaces with a cable between them. As root. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const RULES = fileURLToPath(new URL('../../deploy/nftables.conf', import.meta.url));
const run = promisify(execFile);

/** Arguments: the rules, and Node.js. Prints how many of the connections to port 22 were accepted, by source. */
const SCRIPT = `
set -eu
rules=$1 node=$2
ip link set lo up
unshare -n sleep 60 &
other=$!
trap 'kill $other' EXIT
until [[ $(readlink /proc/$other/ns/net) != $(readlink /proc/self/ns/net) ]]; do sleep 0.05; done
there() { nsenter -n -t $other "$@"; }
ip link add here type veth peer name there
ip link set there netns $other
ip addr add 192.0.2.1/24 dev here
ip addr add fd00::1/16 dev here nodad
ip link set here up
there ip link set there up
for host in 192.0.2.2/24 192.0.2.3/24 fd00::2/16 fd00:0:0:1::2/16; do
  if [[ $host == *:* ]]; then there ip addr add $host dev there nodad; else there ip addr add $host dev there; fi
done
nft -f "$rules"
$node -e "require('node:net').createServer((s) => s.end()).listen(22, '::')" &
server=$!
trap 'kill $other $server' EXIT
until ss -Hltn sport = :22 | grep -q .; do sleep 0.05; done
there $node -e '
const { connect } = require("node:net");
const dial = (localAddress, host) => new Promise((resolve) => {
  const socket = connect({ host, port: 22, localAddress, timeout: 700 });
  const end = (n) => { socket.destroy(); resolve(n); };
  socket.once("connect", () => end(1)).once("error", () => end(0)).once("timeout", () => end(0));
});
(async () => {
  const accepted = {};
  for (const [from, to, times] of [
    ["192.0.2.2", "192.0.2.1", 30],
    ["192.0.2.3", "192.0.2.1", 1],
    ["fd00::2", "fd00::1", 30],
    ["fd00:0:0:1::2", "fd00::1", 1],
  ]) {
    const all = await Promise.all(Array.from({ length: times }, () => dial(from, to)));
    accepted[from] = all.reduce((sum, n) => sum + n, 0);
  }
  console.log(JSON.stringify(accepted));
})();'
`;

const isRoot = process.geteuid?.() === 0;
const skip = isRoot ? false : 'network namespaces with a cable need root';

t.test('a scanner does not keep the operator out of SSH', { skip }, async (t) => {
  const args = ['-n', 'bash', '-c', SCRIPT, 'bash', RULES, process.execPath];
  const { stdout } = await run('unshare', args, { timeout: 60_000 });
  const accepted: Readonly<Record<string, number>> = JSON.parse(stdout);
  for (const scanner of ['192.0.2.2', 'fd00::2']) {
    const count = accepted[scanner] ?? 0;
    // One more every six seconds.
    t.ok(count >= 20 && count < 30, `${scanner} makes 30 connections: ${count} are accepted`);
  }
  for (const operator of ['192.0.2.3', 'fd00:0:0:1::2']) {
    t.equal(accepted[operator], 1, `${operator} is let in beside it`);
  }
});
