/** A stand-in for Lokinet's RPC: an OxenMQ router without authentication, over ZeroMQ. */
import { Router } from 'zeromq';

/** The frames that answer a request, without the routing id; undefined: no answer. */
export type RpcAnswer = (
  method: string,
  tag: Buffer,
  body: Buffer,
) => readonly (string | Buffer)[] | undefined;

export interface RpcStandIn {
  readonly address: string;
  /** The requests, `method body`. */
  readonly asked: readonly string[];
  answer: RpcAnswer;
  close(): void;
}

/** The result of `llarp.get_status` of a real 0.9.11, as far as it is read, and more. */
export function statusOf(host: string, ready = true): Record<string, unknown> {
  return {
    authCodes: {},
    exitMap: {},
    lokiAddress: host,
    networkReady: ready,
    numPathsBuilt: ready ? 4 : 0,
    numPeersConnected: 8,
    numRoutersKnown: 11,
    ratio: '1.0',
    running: true,
    uptime: 12_345,
    version: '0.9.11',
  };
}

/** Answers as Lokinet does; `old`: the form of 0.9.11, with `error: null`. */
export function rpcAnswers(host: string, old: boolean, ready = true): RpcAnswer {
  const results: Readonly<Record<string, unknown>> = {
    'llarp.version': { version: 'lokinet-0.9.11-178ac1757', uptime: 12_345 },
    'llarp.get_status': statusOf(host, ready),
  };
  return (method, tag) => {
    const result = results[method];
    // Two frames, and no tag.
    if (result === undefined) return ['UNKNOWNCOMMAND', method];
    return ['REPLY', tag, JSON.stringify(old ? { error: null, result } : { result })];
  };
}

/** @param address where it was before, or a free port */
export async function startRpc(
  answer: RpcAnswer,
  address = 'tcp://127.0.0.1:*',
): Promise<RpcStandIn> {
  const router = new Router({ linger: 0 });
  await router.bind(address);
  const asked: string[] = [];
  const standIn = {
    address: router.lastEndpoint ?? '',
    asked,
    answer,
    close: () => router.close(),
  };
  const serve = async (): Promise<void> => {
    for await (const [id, method, tag, body] of router) {
      if (id === undefined || method === undefined || tag === undefined) continue;
      asked.push(`${method.toString()} ${body?.toString() ?? ''}`);
      const frames = standIn.answer(method.toString(), tag, body ?? Buffer.alloc(0));
      if (frames !== undefined) await router.send([id, ...frames]);
    }
  };
  void serve();
  return standIn;
}
