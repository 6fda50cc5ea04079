/** Keys of private onions in a Tor of somebody else, which forgets them (findings/tor-forgets-client-keys.sh). */
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { deferred } from '../../src/kit/deferred.js';
import { connectControl, type ControlClient } from '../../src/tor/control/client.js';
import { ClientCredentials } from '../../src/tor/onion/client-credentials.js';
import { newClientKey } from '../../src/tor/onion/client-keys.js';
import { onionHost } from '../../src/protocol/location.js';
import { fakeControl } from '../helpers/fake-control.js';
import { startOfflineTor, temporaryFolder } from '../helpers/offline-tor.js';

const { signal } = new AbortController();

/** Two private onions, and a connection to this port. */
function credentialsAt(port: number) {
  const credentials = ['first', 'second'].map(() => ({
    host: onionHost(
      generateKeyPairSync('ed25519')
        .publicKey.export({ format: 'der', type: 'spki' })
        .subarray(-32),
    ),
    privateKey: newClientKey().privateKey,
  }));
  let connections = 0;
  const connect = (): Promise<ControlClient> => {
    connections += 1;
    return connectControl({ endpoint: { kind: 'tcp', host: '127.0.0.1', port }, signal });
  };
  const keys = new ClientCredentials({ credentials, connect, log: silentLog });
  const [first = '', second = ''] = credentials.map(({ host }) => host);
  return { keys, first, second, connect, connections: () => connections };
}

void t.test('keys that Tor has forgotten are added again before a dial', async (t) => {
  const { dir, remove } = await temporaryFolder();
  const tor = await startOfflineTor(dir, ['ControlPort auto']);
  t.teardown(async () => {
    await tor.kill();
    await remove();
  });
  const { keys, first, second, connect, connections } = credentialsAt(tor.port);
  const other = await connect();
  t.teardown(() => {
    keys.close();
    other.close();
  });
  const known = async (): Promise<number> => {
    const { lines } = await other.command('ONION_CLIENT_AUTH_VIEW');
    return lines.filter(({ text }) => text.startsWith('CLIENT ')).length;
  };
  await keys.ensure('other.onion');
  t.equal(await known(), 0, 'no key, no command');
  await keys.ensure(first);
  t.equal(await known(), 2);
  await other.command('SETCONF MaxCircuitDirtiness=700');
  t.equal(await known(), 0, 'Tor forgets them at the order of somebody else');
  await Promise.all([keys.ensure(first), keys.ensure(second)]);
  t.equal(await known(), 2);
  const reloaded = deferred<void>();
  await other.onEvent('SIGNAL', () => reloaded.resolve());
  await other.command('SIGNAL RELOAD');
  await reloaded.promise;
  t.equal(await known(), 0, 'and when it is reloaded');
  await keys.ensure(second);
  t.equal(await known(), 2);
  t.equal(connections(), 2, 'on the connection that stands');
});

void t.test('a control port that does not tell what it has', async (t) => {
  const heard: string[] = [];
  const fake = await fakeControl((line) => {
    heard.push(line.split(' ')[0] ?? '');
    if (line.startsWith('PROTOCOLINFO'))
      return '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n';
    return line.startsWith('ONION_CLIENT_AUTH_VIEW') ? '510 Command filtered\r\n' : '250 OK\r\n';
  });
  t.teardown(() => fake.close());
  const { keys, first } = credentialsAt(fake.port);
  t.teardown(() => keys.close());
  await keys.ensure(first);
  await keys.ensure(first);
  t.strictSame(
    heard.filter((command) => command.startsWith('ONION')),
    ['ONION_CLIENT_AUTH_ADD', 'ONION_CLIENT_AUTH_ADD', 'ONION_CLIENT_AUTH_VIEW'],
    'they are added once',
  );
});
