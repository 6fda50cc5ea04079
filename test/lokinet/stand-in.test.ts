/**
 * The answers of the stand-in, each beside what a real Lokinet (0.9.11, driven by hand in closed network
 * namespaces) answered to the same question. No path was ever built there, so the answers about other services
 * are those of its source: they are marked.
 */
import { Resolver } from 'node:dns/promises';
import { createConnection, createServer } from 'node:net';
import { once } from 'node:events';
import t from 'tap';
import { LokinetNetwork, NETID } from '../helpers/lokinet/network.js';

const network = new LokinetNetwork({ pathMs: 200 });
t.teardown(() => network.close());

const node = await network.node();
const other = await network.node();
const dead = await network.node();
dead.isReachable = false;
network.names.set('probably', other);
const record = { priority: 10, weight: 0, port: 5222, target: 'localhost.loki' };
node.records.set('_joinmarket._tcp', record);
other.records.set('_joinmarket._tcp', { ...record, port: 7 });

function resolver(): Resolver {
  const dns = new Resolver({ timeout: 1_000, tries: 1 });
  dns.setServers([`127.0.0.1:${node.dns.port}`]);
  return dns;
}

const reverse = (address: string): string =>
  `${address.split('.').toReversed().join('.')}.in-addr.arpa`;

t.test('what the real resolver says about itself', async (t) => {
  const own = 'localhost.loki';
  t.same(await resolver().resolveCname(own), [node.host], 'CNAME localhost.loki: its address');
  t.same(await resolver().resolve4(own), [node.address], 'A localhost.loki: its interface');
  t.same(await resolver().resolveTxt(`netid.${own}`), [[`netid=${NETID};`]], 'TXT of the netid');
  const records = await resolver().resolveSrv(`_joinmarket._tcp.${own}`);
  t.same(
    // Node.js 24 adds the type of the record.
    records.map(({ priority, weight, port, name }) => ({ priority, weight, port, name })),
    [{ priority: 10, weight: 0, port: 5222, name: own }],
    'SRV: the line of lokinet.ini, with the target localhost.loki',
  );
  t.same(await resolver().resolvePtr(reverse(node.address)), [node.host], 'PTR of its interface');
  const failures: readonly (readonly [() => Promise<unknown>, string, string])[] = [
    [() => resolver().resolve6(own), 'ENODATA', 'AAAA'],
    [() => resolver().resolveSrv(`_other._tcp.${own}`), 'ENODATA', 'another SRV'],
    [() => resolver().resolvePtr(reverse('127.200.9.9')), 'ENOTFOUND', 'PTR of an unknown address'],
    [() => resolver().resolve4('-bad-.loki'), 'ENOTFOUND', 'an invalid name'],
    [() => resolver().resolve4('nobody.loki'), 'ENOTFOUND', 'an unknown name'],
    [() => resolver().resolve4('example.com'), 'ETIMEOUT', 'another name, with upstream= empty'],
  ];
  for (const [question, code, row] of failures) {
    const asked: Promise<unknown> = question();
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(asked, { code }, row);
  }
  const begun = Date.now();
  await t.rejects(resolver().resolve4(dead.host), { code: 'ESERVFAIL' }, 'no path to an address');
  t.ok(Date.now() - begun >= 190, 'after the time for a path');
});

t.test('what its source says about other services', async (t) => {
  const [mapped = ''] = await resolver().resolve4(other.host);
  t.match(mapped, /^127\./, 'A: an address of its own, mapped to the service');
  t.not(mapped, other.address);
  t.same(await resolver().resolve4(`a.b.${other.host}`), [mapped], 'sub-domains lead there too');
  t.same(await resolver().resolve4('probably.loki'), [mapped], 'and its name of ONS');
  t.same(await resolver().resolvePtr(reverse(mapped)), [other.host], 'PTR of a mapped address');
  t.match(await resolver().resolveSrv(`_joinmarket._tcp.${other.host}`), [{ port: 7 }]);
});

t.test('a connection arrives from the address to which the other side maps us', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(5222, other.address, resolve));
  t.teardown(() => server.close());
  const [mapped = ''] = await resolver().resolve4(other.host);
  const socket = createConnection({ host: mapped, port: 5222 });
  const [arrived] = await once(server, 'connection');
  t.equal(arrived.remoteAddress, other.addressOf(node));
  socket.destroy();
  arrived.destroy();
});
