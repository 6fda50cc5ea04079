/** A client in a folder of its own, a provider, a coin, and time that only the test moves. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import {
  LetheanClient,
  type LetheanClientOptions,
  type LetheanFolders,
} from '../../src/lethean/client.js';
import { ProxyTransport } from '../../src/lethean/transport/proxy-transport.js';
import { silentLog } from '../../src/channel/log.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { echoed, startEcho } from '../helpers/lethean-exit.js';
import { TestCoin, TestPayer, TestProvider } from './provider.js';

const START = 1_800_000_000;

export class LetheanWorld {
  readonly clock: TestClock = createTestClock();
  readonly coin = new TestCoin();
  readonly payer = new TestPayer(this.coin);
  readonly #open = new Set<LetheanClient>();

  private constructor(
    readonly folders: LetheanFolders,
    readonly echo: number,
  ) {}

  static async make(
    t: Test,
    ownAuthority = false,
  ): Promise<{ world: LetheanWorld; provider: TestProvider }> {
    const folder = await mkdtemp(join(tmpdir(), 'onionmc-lethean-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const folders = {
      providers: join(folder, 'providers'),
      myProviders: join(folder, 'my-providers'),
      spaces: join(folder, 'spaces'),
      gates: join(folder, 'gates'),
      sessions: join(folder, 'sessions'),
    };
    const world = new LetheanWorld(folders, await startEcho(t));
    const { coin, now } = world;
    const provider = await TestProvider.start(t, { coin, now, ownAuthority });
    t.teardown(() => Promise.all([...world.#open].map((client) => client.close())));
    return { world, provider };
  }

  /** Seconds since 1970. */
  readonly now = (): number => START + Math.floor(this.clock.now() / 1_000);

  /** Opens the client on the folders, as a new process does. */
  async client(
    provider: TestProvider,
    more: Partial<LetheanClientOptions> = {},
  ): Promise<LetheanClient> {
    const client = await LetheanClient.open({
      folders: this.folders,
      payer: this.payer,
      transports: [new ProxyTransport({ timeoutMs: 3_000 })],
      sdpUrl: provider.searchUrl,
      sdpCa: [provider.authority.pem],
      callTimeoutMs: 3_000,
      clock: this.clock,
      now: this.now,
      log: silentLog,
      lock: () => Promise.resolve({ release: () => Promise.resolve() }),
      ...more,
    });
    this.#open.add(client);
    return client;
  }

  async end(client: LetheanClient): Promise<void> {
    this.#open.delete(client);
    await client.close();
  }

  /** Sends bytes through the tunnel that stands, and gets them back. */
  async transfer(client: LetheanClient, bytes = Buffer.from('hello')): Promise<Buffer> {
    const [connection] = client.connections;
    const { tunnel } = connection ?? {};
    if (tunnel === undefined) throw new Error('no tunnel stands');
    const stream = await tunnel.connect('127.0.0.1', this.echo, new AbortController().signal);
    return echoed(stream, bytes);
  }
}

/** Resolves when a condition holds; looks again at each turn of the event loop. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export const statesOf = (client: LetheanClient): readonly string[] =>
  [...client.sessions.values()].map(({ state }) =>
    'cause' in state ? `${state.state} (${state.cause})` : state.state,
  );
