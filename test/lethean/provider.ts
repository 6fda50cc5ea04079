/**
 * A provider and its dispatcher, which follow section 4.1 step by step: an SDP server and a manager over TLS 1.3 with
 * an authority of the test, a coin whose payments get blocks when the test says so, and a gate that lets in sessions
 * that the dispatcher counts as paid. Each step can fail in the ways of the table of faults.
 */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import root, { type Test } from 'tap';
import { recordOf } from '../../src/kit/json-record.js';
import type { Payer, PaymentOrder, PaymentReceipt } from '../../src/lethean/ports.js';
import { makeAuthority, type TestAuthority } from '../helpers/certificates.js';
import { gate, KEY, provider, PROVIDER_ID, space, WALLET } from './samples.js';

/** What a step does instead of its answer. */
export type Fault = 'silent' | 'error' | 'garbage' | 'cut';
/** The steps that travel to the provider. */
export type Step = 'search' | 'vdp' | 'create' | 'session' | 'reuse' | 'rekey' | 'gate';

interface Held {
  readonly sessionid: string;
  readonly paymentid: string;
  readonly days: number;
  readonly price: number;
  readonly gateid: string;
  readonly spaceid: string;
  readonly username: string;
  readonly password: string;
  readonly created: number;
  readonly parent?: string;
  activated: number;
  expires: number;
  wg?: object;
}

/** Payments of the coin's network. It outlives every client. */
export class TestCoin {
  readonly transfers: { readonly order: PaymentOrder; readonly txid: string; blocks: number }[] =
    [];

  send(order: PaymentOrder): string {
    const txid = (this.transfers.length + 1).toString(16).padStart(64, '0');
    this.transfers.push({ order, txid, blocks: 0 });
    return txid;
  }

  mine(): void {
    for (const transfer of this.transfers) transfer.blocks++;
  }
}

/** A payer with a memory that outlives the client, as the wallet of a process of its own. */
export class TestPayer implements Payer {
  readonly #known = new Map<string, PaymentReceipt>();
  /** Called between the look for an earlier payment and the transfer, and after the transfer. */
  step: (name: 'before' | 'after') => void = () => {};
  /** Errors of the next calls. */
  readonly refusals: Error[] = [];

  constructor(
    readonly coin: TestCoin,
    /** Mines a block for each that is waited for. */
    public minesAtOnce = true,
  ) {}

  async pay(order: PaymentOrder, signal: AbortSignal): Promise<PaymentReceipt> {
    signal.throwIfAborted();
    const known = this.#known.get(order.sessionId);
    if (known !== undefined) return known;
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
    this.step('before');
    const spent = order.destinations.reduce((sum, { amount }) => sum + amount, 0n);
    const txid = this.coin.send(order);
    const receipt = {
      order,
      txids: [txid],
      spent,
      proofs: [{ txid, signature: 'OutProofV2test' }],
    };
    this.#known.set(order.sessionId, receipt);
    this.step('after');
    return receipt;
  }

  async confirmed(receipt: PaymentReceipt, blocks: 0 | 1 | 2, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    for (const { order, txid } of this.coin.transfers) {
      if (order.sessionId !== receipt.order.sessionId) continue;
      while (
        this.minesAtOnce &&
        (this.coin.transfers.find((t) => t.txid === txid)?.blocks ?? 0) < blocks
      ) {
        this.coin.mine();
      }
    }
  }
}

interface Identity {
  readonly authority: TestAuthority;
  /** Key and certificate of the manager. */
  readonly pem: Buffer;
}

async function makeIdentity(): Promise<Identity> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-lethean-provider-'));
  root.teardown(() => rm(folder, { recursive: true, force: true }));
  const authority = await makeAuthority(folder, 'ca');
  return {
    authority,
    pem: await readFile(await authority.server('manager', 'DNS:localhost,IP:127.0.0.1')),
  };
}

let shared: Promise<Identity> | undefined;

/** One for all providers of a test file, because openssl takes its time. */
function identity(): Promise<Identity> {
  shared ??= makeIdentity();
  return shared;
}

export interface ProviderOptions {
  /** An authority that no other provider has. */
  readonly ownAuthority?: boolean;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly coin: TestCoin;
  /** Blocks after which the dispatcher counts a payment. */
  readonly blocks?: number;
  /** The provider's wallet; that of the samples unless it is given. */
  readonly wallet?: string;
  /** Looks for new payments before the dispatcher counts them. */
  readonly look?: () => Promise<void>;
}

export class TestProvider {
  /** Each step that arrived, in order. */
  readonly steps: Step[] = [];
  readonly faults = new Map<Step, Fault>();
  /** Changes of the descriptions and of new sessions: another price, wallet, and so on. */
  describe: { gate?: object; space?: object; provider?: object } = {};
  sessionChange: object = {};
  /** Gates beside the HTTP proxy. */
  moreGates: readonly object[] = [];
  /** Whether the dispatcher sees payments. */
  seesPayments = true;
  /** Whether a session may change its WireGuard key. */
  takesKeys = true;
  /** `services`: the old form of search answers. */
  form: 'vdp' | 'services' = 'vdp';
  readonly #sessions = new Map<string, Held>();
  readonly #sockets = new Set<Socket>();
  #waiting: { step: Step; resolve: () => void }[] = [];
  #count = 0;

  private constructor(
    readonly authority: TestAuthority,
    readonly managerPort: number,
    readonly gatePort: number,
    private readonly options: ProviderOptions,
  ) {}

  static async start(t: Test, options: ProviderOptions): Promise<TestProvider> {
    const { authority, pem } = await (options.ownAuthority === true ? makeIdentity() : identity());
    const held: { it?: TestProvider } = {};
    const manager = createHttpsServer(
      { key: pem, cert: pem, minVersion: 'TLSv1.3' },
      (request, response) => void held.it?.serve(request, response),
    );
    const exit = createHttpServer();
    exit.on('connect', (request: IncomingMessage, socket: Socket) =>
      held.it?.tunnel(request, socket),
    );
    for (const server of [manager, exit]) {
      server.on('connection', (socket: Socket) => {
        held.it?.keep(socket);
      });
      server.listen(0, '127.0.0.1');
    }
    await Promise.all([once(manager, 'listening'), once(exit, 'listening')]);
    const it = new TestProvider(
      authority,
      portOf(manager.address()),
      portOf(exit.address()),
      options,
    );
    held.it = it;
    t.teardown(async () => {
      it.cutAll();
      manager.close();
      exit.close();
      await Promise.all([once(manager, 'close'), once(exit, 'close')]);
    });
    return it;
  }

  get #wallet(): string {
    return this.options.wallet ?? WALLET;
  }

  get searchUrl(): string {
    return `https://localhost:${this.managerPort}/v1/services/search`;
  }

  /** The sessions that the dispatcher knows. */
  get sessions(): readonly Held[] {
    return [...this.#sessions.values()];
  }

  /** Resolves at the next arrival of a step. */
  next(step: Step): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ step, resolve }));
  }

  /** Ends every connection, as a gate that dies. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
  }

  /** Removes a session, as a provider that withdraws it. */
  forget(sessionid: string): void {
    this.#sessions.delete(sessionid);
  }

  vdp(): object {
    const changes = this.describe;
    return {
      file_type: 'VPNDescriptionProtocol',
      file_version: '1.1',
      providers: [
        provider({
          ca: [this.authority.pem],
          'manager-url': `https://localhost:${this.managerPort}`,
          revision: undefined,
          wallet: this.#wallet,
          ...changes.provider,
        }),
      ],
      spaces: [space({ revision: undefined, ...changes.space })],
      gates: [
        gate({
          revision: undefined,
          'http-proxy': { host: '127.0.0.1', port: this.gatePort, tls: false },
          ...changes.gate,
        }),
        ...this.moreGates,
      ],
    };
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://localhost');
    const step = stepOf(request.method ?? '', url.pathname);
    let body = '';
    for await (const chunk of request) body += String(chunk);
    if (step === undefined) {
      response.writeHead(404).end('not found');
      return;
    }
    this.#arrived(step);
    const fault = this.faults.get(step);
    if (fault !== undefined) {
      misbehave(fault, response);
      return;
    }
    if (step === 'session') await this.options.look?.();
    const [status, value] = this.#answer(step, url, body);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  }

  /** Steps 5 to 8: the gate asks the dispatcher. */
  tunnel(request: IncomingMessage, socket: Socket): void {
    this.#arrived('gate');
    const fault = this.faults.get('gate');
    if (fault === 'silent') return;
    if (fault === 'cut') {
      socket.destroy();
      return;
    }
    if (fault !== undefined) {
      socket.end(fault === 'error' ? 'HTTP/1.1 503 Busy\r\n\r\n' : '\u0000garbage\r\n\r\n');
      return;
    }
    const login = /^Basic (.*)$/.exec(request.headers['proxy-authorization'] ?? '')?.[1] ?? '';
    const text = Buffer.from(login, 'base64').toString();
    const now = this.options.now();
    const isKnown = this.sessions.some(
      (s) => `${s.username}:${s.password}` === text && s.activated > 0 && s.expires > now,
    );
    if (!isKnown) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const port = Number(request.url?.split(':')[1]);
    const upstream = connectTcp({ host: '127.0.0.1', port });
    this.keep(upstream);
    upstream.once('connect', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(upstream).pipe(socket);
    });
    upstream.once('error', () => socket.destroy());
    socket.once('close', () => upstream.destroy());
  }

  #arrived(step: Step): void {
    this.steps.push(step);
    const [due, later] = [true, false].map((is) =>
      this.#waiting.filter((wait) => (wait.step === step) === is),
    );
    this.#waiting = later ?? [];
    for (const { resolve } of due ?? []) resolve();
  }

  #answer(step: Step, url: URL, body: string): readonly [number, unknown] {
    const id = url.searchParams.get('sessionid') ?? '';
    switch (step) {
      case 'search':
        return [200, this.form === 'vdp' ? this.vdp() : { protocolVersion: 1, providers: [] }];
      case 'vdp':
        return [200, this.vdp()];
      case 'create': {
        const { days, gateid, spaceid, wg } = recordOf(JSON.parse(body));
        const session = this.#create(Number(days), String(gateid), String(spaceid));
        if (wg !== undefined) session.wg = wireGuardOf(String(recordOf(wg)['public_key']));
        return [402, this.#shown(session)];
      }
      case 'reuse': {
        const parent = this.#sessions.get(id);
        if (parent === undefined) return [404, 'unknown session'];
        const days = Number(url.searchParams.get('days'));
        return [402, this.#shown(this.#create(days, parent.gateid, parent.spaceid, id))];
      }
      case 'rekey': {
        const session = this.#sessions.get(id);
        if (session === undefined) return [404, 'unknown session'];
        const key = url.searchParams.get('wg_public_key') ?? '';
        if (this.takesKeys) session.wg = wireGuardOf(key);
        return [200, this.#shown(session)];
      }
      case 'session': {
        const session = this.#sessions.get(id);
        if (session === undefined) return [404, 'unknown session'];
        this.#dispatch(session);
        return [session.activated > 0 ? 200 : 402, this.#shown(session)];
      }
      case 'gate':
        return [404, 'not here'];
    }
  }

  #create(days: number, gateid: string, spaceid: string, parent?: string): Held {
    this.#count++;
    const number = this.#count.toString(16).padStart(16, '0');
    const now = this.options.now();
    const price = Number(((0.1 + 0.25) * days).toFixed(8));
    const session: Held = {
      sessionid: `s-${number}`,
      paymentid: number,
      days,
      price,
      gateid,
      spaceid,
      username: `u-${number}`,
      password: `p-${number}`,
      created: now,
      activated: 0,
      expires: now + 3_600,
      ...(parent === undefined ? {} : { parent }),
    };
    this.#sessions.set(session.sessionid, session);
    return session;
  }

  /** The dispatcher of section 5.1: looks for a payment with the session's id, its amount and its blocks. */
  #dispatch(session: Held): void {
    if (session.activated > 0 || !this.seesPayments) return;
    const { coin, blocks = 1, now } = this.options;
    const isPaid = coin.transfers.some(
      ({ order, blocks: depth }) =>
        order.paymentId === session.paymentid &&
        depth >= blocks &&
        order.destinations.some(({ address, amount }) => {
          return address === this.#wallet && amount >= BigInt(Math.round(session.price * 1e8));
        }),
    );
    if (!isPaid) return;
    session.activated = now();
    session.expires = now() + session.days * 86_400;
  }

  #shown(session: Held): object {
    return {
      ...session,
      wallet: this.#wallet,
      paid: session.activated > 0,
      payments: [],
      payment_sent: false,
      ...this.sessionChange,
    };
  }
}

const portOf = (address: AddressInfo | string | null): number =>
  address === null || typeof address === 'string' ? 0 : address.port;

function stepOf(method: string, path: string): Step | undefined {
  if (path === '/v1/services/search') return 'search';
  if (path === '/api/vdp') return 'vdp';
  if (path === '/api/session') return method === 'POST' ? 'create' : 'session';
  if (path === '/api/session/rekey') return 'rekey';
  return path === '/api/session/reuse' ? 'reuse' : undefined;
}

/** The part of a session for a WireGuard gate of the samples. */
function wireGuardOf(key: string): object {
  return {
    server_public_key: KEY,
    client_public_key: key,
    client_ipv4_address: '10.91.0.5',
    ipv4_prefix: 24,
    server_ipv4_address: '10.91.0.1',
  };
}

function misbehave(fault: Fault, response: ServerResponse): void {
  switch (fault) {
    case 'silent':
      return;
    case 'error':
      response.writeHead(500).end('{"error":"out of order"}');
      return;
    case 'garbage':
      response.writeHead(200).end('<html>\u001b[2Jgarbage');
      return;
    case 'cut':
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"file_type"', () => response.socket?.destroy());
  }
}

/** The link to the gate of the samples. */
export const LINK = `lthn://${PROVIDER_ID}/http-proxy`;
