/** What the doctor says about `[TOR] upstream`. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import t from 'tap';
import { lookAtUpstream } from '../../src/doctor/upstream.js';

const { signal } = new AbortController();

t.test('a proxy that runs, one that does not, and a tunnel', async (t) => {
  const server = createServer((socket) => socket.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const proxy = { kind: 'http', host: '127.0.0.1', port, login: undefined } as const;
  t.same(await lookAtUpstream(proxy, signal), {
    text: `its way to Tor is http://127.0.0.1:${port}, which accepts connections`,
    fault: false,
  });
  server.close();
  await once(server, 'close');
  const login = { username: 'alice', password: 'geheim' };
  const look = await lookAtUpstream({ ...proxy, login }, signal);
  t.match(look, {
    fault: true,
    text: /only way to Tor, http:.* with a password, cannot be reached/,
  });
  t.notMatch(look.text, /alice|geheim/);
  t.match(await lookAtUpstream({ kind: 'lthn', link: 'lthn://a/b' }, signal), {
    fault: false,
    text: 'its way to Tor is lthn://a/b, opened at the start',
  });
});
