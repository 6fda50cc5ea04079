/**
 * Look-ups that take longer than one question of Node's resolver: 5 s, whatever its `timeout` is
 * (findings/node-resolver-timeout.sh).
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import t from 'tap';
import { LokinetResolver } from '../../src/lokinet/resolver.js';
import { LokinetNetwork } from '../helpers/lokinet/network.js';

const { signal } = new AbortController();
t.jobs = 4;

void t.test('a path that takes eight seconds is waited for', async (t) => {
  const network = new LokinetNetwork();
  t.teardown(() => network.close());
  const [client, service] = [await network.node(), await network.node()];
  service.buildMs = 8_000;
  const resolver = new LokinetResolver(client.dns);
  t.match(await resolver.addressOf(service.host, signal), /^127\./);
  const question = `${service.host} A`;
  t.strictSame(client.asked, [question, 'localhost.loki A', question]);
});

void t.test('a path that never comes says nothing against the resolver', async (t) => {
  const network = new LokinetNetwork({ pathMs: 60_000 });
  t.teardown(() => network.close());
  const [client, service] = [await network.node(), await network.node()];
  service.isReachable = false;
  await t.rejects(new LokinetResolver(client.dns, 1).addressOf(service.host, signal), {
    name: 'LookUpError',
    fault: 'no-path',
  });
});

void t.test('the caller ends the wait', async (t) => {
  const network = new LokinetNetwork();
  t.teardown(() => network.close());
  const [client, service] = [await network.node(), await network.node()];
  service.buildMs = 60_000;
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 7_000);
  await t.rejects(new LokinetResolver(client.dns).addressOf(service.host, stop.signal), {
    name: 'LookUpError',
    fault: 'aborted',
  });
});

void t.test('a resolver that is silent about itself is not there', async (t) => {
  const network = new LokinetNetwork();
  t.teardown(() => network.close());
  const service = await network.node();
  const silent = createSocket('udp4');
  silent.bind(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const resolver = new LokinetResolver({ host: '127.0.0.1', port: silent.address().port });
  await t.rejects(resolver.addressOf(service.host, signal), {
    name: 'LookUpError',
    fault: 'no-answer',
    message: /start Lokinet/,
  });
});
