/** Stands between a program and its bitcoin node, and does not let transactions pass. */
import { createServer, request } from 'node:http';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import type { Test } from 'tap';

/**
 * Forwards all calls to the node but `sendrawtransaction`, which is told to `onSend` and gets no answer. Resolves
 * to its port.
 */
export async function relayWithoutSending(
  t: Test,
  rpcPort: number,
  onSend: () => void,
): Promise<number> {
  const server = createServer((call, answer) => {
    void (async () => {
      const body = await buffer(call);
      if (body.includes('"sendrawtransaction"')) {
        onSend();
        return;
      }
      const { method = 'POST', url = '/', headers } = call;
      const onward = request({ host: '127.0.0.1', port: rpcPort, method, path: url, headers });
      onward.on('error', () => answer.destroy());
      onward.on('response', (response) => {
        answer.writeHead(response.statusCode ?? 500, response.headers);
        response.pipe(answer);
      });
      onward.end(body);
    })();
  });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the relay has no port');
  return address.port;
}
