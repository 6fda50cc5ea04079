/** Offers, a quote and a session of an imagined provider, with secrets that no page may show. */
import type { Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { deferred, type Deferred } from '../../src/kit/deferred.js';
import type { Offer, OfferFilter } from '../../src/lethean/market/offers.js';
import type { Gate, Session, Space } from '../../src/lethean/model.js';
import { Desk, type DeskClient } from '../../src/lethean/page/desk.js';
import { openDeskPage } from '../../src/lethean/page/server.js';
import type { WalletView } from '../../src/lethean/page/views.js';
import type { Quote } from '../../src/lethean/session/acquisition.js';
import type { SessionRecord } from '../../src/lethean/session/record-file.js';
import { letheanPageFiles } from '../../src/web/lethean-page.js';

export const EVIL = '<img src=x onerror=alert(1)>';
export const PROVIDER_ADDRESS = `iz${'P'.repeat(95)}`;
export const SECRETS = ['secret-user', 'secret-word', 'secret-bearer', 'secret-key'] as const;

const PROVIDER = 'a1'.repeat(32);
const GATE = `${PROVIDER}-http`;
const SESSION = 'session-1';
/** The key of `recordOf`. */
export const KEY = `${PROVIDER.slice(0, 16)}-${SESSION}`;
const PRICE = 25_000_000n;

const OFFER: Offer = {
  providerId: PROVIDER,
  providerName: 'Provider One',
  name: 'Gate',
  type: 'proxy',
  country: undefined,
  pricePerDay: PRICE,
  downloadKbps: undefined,
  uploadKbps: undefined,
  wallet: PROVIDER_ADDRESS,
  way: { kind: 'gate', gateId: GATE, spaceId: PROVIDER },
};

/** A gate, and a service of the old kind with a hostile name. */
export const OFFERS: readonly Offer[] = [
  OFFER,
  { ...OFFER, name: EVIL, country: 'AU', way: { kind: 'service', serviceId: '1A' } },
];

const gate: Gate = {
  type: 'http-proxy',
  proxy: { host: 'exit.example', port: 8080, tls: true },
  gateId: GATE,
  providerId: PROVIDER,
  name: 'Gate',
  managerUrl: undefined,
  ca: [],
  spaces: [PROVIDER],
  gates: [],
  internal: false,
  validUntil: undefined,
  pricePerDay: PRICE,
};

const space: Space = {
  spaceId: PROVIDER,
  providerId: PROVIDER,
  name: 'Space',
  pricePerDay: 0n,
  ipv4Networks: [],
  ipv6Networks: [],
  dnsServers: [],
  validUntil: undefined,
};

function sessionOf(days: number): Session {
  const [username, password, bearer, key] = SECRETS;
  return {
    sessionId: SESSION,
    paymentId: '0123456789abcdef',
    wallet: PROVIDER_ADDRESS,
    price: PRICE * BigInt(days),
    days,
    created: 1_800_000_000,
    expires: 1_800_000_000 + days * 86_400,
    spaceId: PROVIDER,
    gateId: GATE,
    username,
    password,
    bearer,
    paid: false,
    activated: 0,
    payments: [],
    contributions: [],
    parent: undefined,
    wg: undefined,
    proxy: { key, certificate: key },
    ssh: undefined,
  };
}

export function quoteOf(days: number): Quote {
  const session = sessionOf(days);
  const provider = {
    providerId: PROVIDER,
    name: 'Provider One',
    managerUrl: 'https://exit.example:8790',
    spaces: [PROVIDER],
    ca: [],
    wallet: PROVIDER_ADDRESS,
    description: undefined,
    revision: undefined,
    ttl: undefined,
    validUntil: undefined,
  };
  return { described: { provider, gate, space }, days, cost: session.price, session };
}

export function recordOf(
  state: 'ACTIVE' | 'DISCONNECTED',
  since: number,
  usage = { sent: 1_000, received: 2_000 },
): SessionRecord {
  const granted = {
    selected: {
      providerId: PROVIDER,
      gateId: GATE,
      spaceId: PROVIDER,
      days: 3,
      pricePerDay: PRICE,
      wallet: PROVIDER_ADDRESS,
      parent: undefined,
    },
    session: sessionOf(3),
    payment: undefined,
    usage,
  };
  return state === 'ACTIVE'
    ? { since, described: undefined, state: { state, ...granted } }
    : {
        since,
        described: undefined,
        state: { state, cause: 'user', reason: '', granted: true, ...granted },
      };
}

const NOW = 1_800_000_000;
export const WALLET: WalletView = {
  name: 'default',
  address: 'i'.repeat(97),
  height: 123_456,
  total: '12.5',
  unlocked: '10',
  blocksToUnlock: 7,
  transfers: [
    {
      type: 'out',
      amount: '0.5',
      fee: '0.0001',
      confirmations: 3,
      timestamp: NOW - 600,
      txid: 'f'.repeat(64),
    },
  ],
};

/** A client whose provider, wallet and tunnel are the test. */
export class ScriptedClient implements DeskClient {
  readonly sessions = new Map<string, ReturnType<typeof recordOf>>();
  readonly filters: OfferFilter[] = [];
  readonly disconnected: string[] = [];
  readonly tunnel: Deferred<void> = deferred();
  offers: readonly Offer[] = OFFERS;
  searchFault: Error | undefined;
  paid: boolean | undefined;
  days: number | undefined;

  search(filter: OfferFilter) {
    this.filters.push(filter);
    if (this.searchFault) return Promise.reject(this.searchFault);
    return Promise.resolve({ offers: this.offers, unknown: 2, refused: [`a gate: ${EVIL}`] });
  }

  knownOffers() {
    return Promise.resolve({ offers: this.offers.slice(0, 1), unknown: 0, refused: [] });
  }

  async connect(...[, request]: Parameters<DeskClient['connect']>) {
    this.days = request.days;
    this.paid = (await request.agree?.(quoteOf(request.days ?? 1))) ?? true;
    if (!this.paid) throw new Error('the payment was not agreed to: nothing was paid');
    this.sessions.set(KEY, recordOf('ACTIVE', NOW));
    return { key: KEY, ready: () => this.tunnel.promise };
  }

  disconnect(key: string) {
    this.disconnected.push(key);
    this.sessions.set(key, recordOf('DISCONNECTED', NOW));
    return Promise.resolve();
  }
}

export interface DeskScene {
  readonly client: ScriptedClient;
  readonly url: string;
  readonly token: string;
  wallet: () => Promise<WalletView>;
}

/** Serves the page; the end of the test closes it. */
export async function startDesk(t: Test): Promise<DeskScene> {
  const client = new ScriptedClient();
  const scene = { wallet: () => Promise.resolve(WALLET) };
  const desk = new Desk({
    client,
    wallet: () => scene.wallet(),
    settings: [
      { name: 'wallet-rpc-password', value: 'set', level: 'file', about: '' },
      { name: 'max-payment', value: '300', level: 'default', about: '' },
    ],
    proxy: () => '127.0.0.1:8180',
    now: () => NOW,
  });
  const files = await letheanPageFiles();
  const page = await openDeskPage({ host: '127.0.0.1', port: 0, desk, files, log: silentLog });
  t.teardown(async () => {
    desk.close();
    await page.close();
  });
  const [url = '', token = ''] = page.url.split('#');
  return Object.assign(scene, { client, url, token });
}
