/**
 * A directory, makers and a taker that talk through Lokinet, as far as the stand-in goes: as programs in Lokinet
 * alone, and beside peers on a private Tor network.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openChannels } from '../../src/channel/channel-set.js';
import { silentLog } from '../../src/channel/log.js';
import type { OnionMessageChannel } from '../../src/channel/message-channel.js';
import type { Overlay } from '../../src/channel/ports.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { createLokinetOverlay } from '../../src/lokinet/overlay.js';
import { createOverlaySet } from '../../src/overlay/overlay-set.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import type { Location } from '../../src/protocol/location.js';
import { createNickKey } from '../../src/protocol/nick.js';
import type { Offer } from '../../src/protocol/offer.js';
import { startDirectoryNode } from '../../src/roles/directory-node.js';
import { startMaker } from '../../src/roles/maker.js';
import { startTaker } from '../../src/roles/taker.js';
import { startCli } from '../helpers/cli.js';
import { LokinetNetwork, type LokinetNode } from '../helpers/lokinet/network.js';
import { rpcAnswers, startRpc } from '../helpers/lokinet/rpc-router.js';
import { torOverlaysFor } from '../helpers/tor-network.js';

t.setTimeout(240_000);

const tools = { clock: systemClock, random: Math.random, log: silentLog };
const FILL = `0 1000000 ${'02'.repeat(33)} P${'ab'.repeat(32)}`;

function networkFor(t: Test): LokinetNetwork {
  const network = new LokinetNetwork();
  t.teardown(() => network.close());
  return network;
}

const offer = (oid: number): Offer => ({
  type: 'sw0reloffer',
  oid,
  minsize: 100_000,
  maxsize: 10_000_000,
  txfee: 0,
  cjfee: '0.0001',
});

const lokinet = ({ dns }: LokinetNode, virtualPort: number | undefined): Overlay =>
  createLokinetOverlay({ dns, virtualPort });

const onEvent = (channel: OnionMessageChannel, event: 'welcome'): Promise<void> =>
  channel.welcomed
    ? Promise.resolve()
    : new Promise((resolve) => channel.once(event, () => resolve()));

t.test('as programs, in Lokinet alone', async (t) => {
  const network = networkFor(t);
  const nodes = { directory: await network.node(), maker: await network.node() };
  const takerNode = await network.node();
  const rpc = await startRpc(rpcAnswers(nodes.directory.host, true));
  t.teardown(() => rpc.close());
  nodes.directory.records.set('_joinmarket._tcp', {
    priority: 10,
    weight: 0,
    port: 5222,
    target: 'localhost.loki',
  });
  const statusPort = await freePort();
  const home = t.testdir({});

  async function datadirOf(name: string, node: LokinetNode, more = ''): Promise<string> {
    const dir = join(home, name);
    await mkdir(dir, { mode: 0o700 });
    const text = `[BLOCKCHAIN]
network = signet
blockchain_source = no-blockchain
[MESSAGING:onion]
type = onion
overlays = lokinet
[MESSAGING:lokinet]
type = lokinet
dns = 127.0.0.1:${node.dns.port}
${more}`;
    await writeFile(join(dir, 'joinmarket.cfg'), text, { mode: 0o600 });
    return dir;
  }
  const dir = await datadirOf(
    'directory',
    nodes.directory,
    `rpc = ${rpc.address}\n[DIRECTORY]\nstatus_port = ${statusPort}\n`,
  );
  const directory = startCli(['directory', '--datadir', dir]);
  await directory.shows('stdout', new RegExp(`^${nodes.directory.host}:5222$`, 'm'));

  const dialled = `directory_nodes = ${nodes.directory.host}\n`;
  const maker = startCli(['maker', '--datadir', await datadirOf('maker', nodes.maker, dialled)]);
  const [nick = ''] = await maker.shows('stdout', /^J5\w+$/m);
  await maker.shows('stderr', /offers announced/);

  const taker = await startCli([
    'taker',
    '--once',
    '--json',
    '--wait',
    '8',
    '--datadir',
    await datadirOf('taker', takerNode, dialled),
  ]).ended;
  t.match(taker, { code: 0 });
  t.match(taker.stdout, nick, 'the taker has the offer of the maker');

  const answer = await fetch(`http://127.0.0.1:${statusPort}/status`);
  t.match(await answer.json(), {
    location: `${nodes.directory.host}:5222`,
    services: [{ kind: 'loki', state: 'reachable' }],
    handshakesRejected: { 'foreign-location': 0, location: 0 },
  });
  const shown = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${statusPort}/metrics`)).text();
  while (!/daemon_connected\{kind="loki"\} 1/.test(await shown())) {
    // oxlint-disable-next-line no-await-in-loop -- Lokinet is asked when a page is asked for
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.match(await shown(), /daemon_network_live\{kind="loki"\} 1/);

  const doctor = await startCli(['doctor', '--json', '--datadir', dir]).ended;
  const report: { readonly checks: readonly { readonly id: string }[] } = JSON.parse(doctor.stdout);
  const ids = new Set(['lokinet', 'lokinet-rpc', 'port', 'onion-key']);
  t.match(
    report.checks.filter(({ id }) => ids.has(id)),
    [
      { id: 'onion-key', status: 'ok' },
      { id: 'lokinet', status: 'ok', text: /answers, as .*loki; srv=_joinmarket\._tcp 10 0 5222/ },
      {
        id: 'lokinet-rpc',
        status: 'ok',
        text: /lokinet-0\.9\.11.*4 paths, connected to 8 routers/,
      },
      { id: 'port', status: 'ok' },
    ],
  );
  for (const { asked } of [nodes.directory, nodes.maker, takerNode]) {
    const others = asked.filter((name) => !/(\.loki|\.in-addr\.arpa) [A-Z]+$/.test(name));
    t.same(others, [], 'no other name was looked up');
  }
  for (const program of [maker, directory]) program.child.kill('SIGTERM');
  t.match(await Promise.all([maker.ended, directory.ended]), [{ code: 0 }, { code: 0 }]);

  await nodes.directory.stop();
  const failed = await startCli(['directory', '--datadir', dir]).ended;
  t.match(failed, { code: 3, stderr: /Lokinet's resolver does not answer.*start Lokinet/ });
});

t.test('beside peers in Tor, in one directory', async (t) => {
  const network = networkFor(t);
  const tor = await torOverlaysFor(t);
  const [atDirectory, atMaker, atTaker] = [
    await network.node(),
    await network.node(),
    await network.node(),
  ];
  const node = await startDirectoryNode({
    network: 'signet',
    overlay: createOverlaySet([tor.server(), lokinet(atDirectory, 5222)]),
    clock: systemClock,
  });
  t.teardown(() => node.close());
  await node.reachable;
  const [onion, loki] = node.locations;
  if (loki === undefined) throw new Error('the directory serves two locations');
  t.same(
    node.locations.map(({ kind }) => kind),
    ['onion', 'loki'],
  );

  async function channelOf(
    overlay: Overlay,
    directories: readonly Location[],
    serve: boolean,
    sameNick = false,
  ): Promise<OnionMessageChannel> {
    const channel = openChannels({
      network: 'signet',
      directories,
      overlay,
      newNickKey: () => createNickKey(randomBytes),
      sameNick,
      serve,
      ...tools,
    });
    t.teardown(() => channel.close());
    // A directory in both networks has one peer for each nick.
    if (!sameNick) await onEvent(channel, 'welcome');
    return channel;
  }
  const lokiChannel = await channelOf(lokinet(atMaker, 5222), [loki], true);
  const torChannel = await channelOf(tor.dialer(), [onion], false);
  for (const [i, channel] of [lokiChannel, torChannel].entries()) {
    const maker = startMaker({ channel, offers: [offer(i)], ...tools });
    t.teardown(() => maker.stop());
  }

  const both = createOverlaySet([tor.dialer(), lokinet(atTaker, undefined)]);
  const takerChannel = await channelOf(both, [onion, loki], false);
  const nicks = (takerChannel.parts ?? []).map(({ nick }) => nick);
  t.equal(new Set(nicks).size, 2, 'a nick in each network');
  const taker = startTaker({ channel: takerChannel, clock: systemClock, log: silentLog });
  t.teardown(() => taker.stop());
  taker.refresh();
  const makers = [lokiChannel.nick, torChannel.nick].toSorted();
  while (
    taker.book.makers < 2 ||
    takerChannel.directories().some(({ state }) => state !== 'up') ||
    makers.some((nick) => takerChannel.peer(nick) === undefined)
  ) {
    // oxlint-disable-next-line no-await-in-loop -- the book has no event for a number of makers
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.same([...new Set(taker.book.offers().map(({ maker }) => maker))].toSorted(), makers);
  const seen = node.directory.operator.list(100).map(({ nick }) => nick);
  for (const nick of nicks) t.ok(seen.includes(nick), 'the directory sees each of them');

  const [torPart, lokiPart] = takerChannel.parts ?? [];
  t.match(
    lokiPart?.peer(lokiChannel.nick)?.location,
    { kind: 'loki', host: atMaker.host, port: 5222 },
    'over Lokinet the taker learns where the maker is',
  );
  t.not(torPart?.peer(lokiChannel.nick)?.location?.kind, 'loki', 'over Tor it does not');
  for (const nick of makers) {
    // oxlint-disable-next-line no-await-in-loop
    const answer = await taker.ask(nick, 'fill', FILL, 60_000);
    t.equal(answer.commands[0].name, 'error', 'the maker has no wallet, and says so');
  }
  t.ok(await lokiPart?.connectTo(lokiChannel.nick), 'a direct link over Lokinet');

  const linked = await channelOf(both, [onion, loki], false, true);
  t.equal(linked.parts, undefined, 'same_nick: one channel');
});
