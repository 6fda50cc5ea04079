/** A server that answers JSON-RPC as a test wants: well, wrongly, late or not at all. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Test } from 'tap';
import { recordOf } from '../../src/kit/json-record.js';
import { FakeNodeError, usualAnswer } from './fake-node-answers.js';

/** One call of a request. */
export interface FakeCall {
  readonly id: unknown;
  readonly method: string;
  readonly params: readonly unknown[];
}

/** An HTTP answer; `hang` has none, `close` ends the connection in the middle. */
export type FakeAnswer =
  { readonly status?: number; readonly body: string } | 'hang' | 'close' | 'endless';

export interface FakeNode {
  readonly port: number;
  /** Sizes of the batches, in order of arrival; 0 for a single call. */
  readonly sizes: readonly number[];
  /** Answers whole requests in place of the usual answers; undefined: the usual ones. */
  respond: ((calls: readonly FakeCall[]) => FakeAnswer | undefined) | undefined;
  /** Answers single methods in place of the usual answers. */
  readonly results: Map<string, (params: readonly unknown[]) => unknown>;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) if (chunk instanceof Buffer) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function callOf(value: unknown): FakeCall {
  const { id, method, params } = recordOf(value);
  return {
    id,
    method: typeof method === 'string' ? method : '',
    params: Array.isArray(params) ? params : [],
  };
}

/** Until the end of the test. */
export async function startFakeNode(t: Test): Promise<FakeNode> {
  const sizes: number[] = [];
  const results: FakeNode['results'] = new Map();
  const entry = ({ id, method, params }: FakeCall): object => {
    try {
      const result = (results.get(method) ?? (() => usualAnswer(method, params)))(params);
      return { jsonrpc: '2.0', id, result };
    } catch (error) {
      if (!(error instanceof FakeNodeError)) throw error;
      return { jsonrpc: '2.0', id, error: { code: error.code, message: error.message } };
    }
  };
  const node: FakeNode & { port: number } = { port: 0, sizes, respond: undefined, results };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parsed: unknown = JSON.parse(await bodyOf(request));
    const batch = Array.isArray(parsed) ? parsed : undefined;
    sizes.push(batch?.length ?? 0);
    const calls = (batch ?? [parsed]).map(callOf);
    const own = node.respond?.(calls);
    if (own === 'hang') return;
    if (own === 'close') {
      response.writeHead(200, { 'content-length': 1_000 });
      response.write('{"result":');
      setImmediate(() => response.destroy());
      return;
    }
    if (own === 'endless') {
      const more = (): void => {
        while (!response.destroyed && response.write('[1,1,1,1,1,1,1,1]'.repeat(10_000)));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
      return;
    }
    const body = JSON.stringify(batch === undefined ? calls.map(entry)[0] : calls.map(entry));
    response.writeHead(own?.status ?? 200).end(own?.body ?? body);
  }

  const server = createServer((request, response) => {
    void answer(request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  node.port = address.port;
  return node;
}
