/** Serves the page of the client on an address of this machine. */
import { randomBytes } from 'node:crypto';
import type { Log } from '../../channel/log.js';
import { HttpAddressError } from '../../http/address-error.js';
import { HttpPage, type Route, type Routes } from '../../http/page.js';
import { hostAndPort } from '../../kit/host-name.js';
import type { Desk } from './desk.js';
import { deskActions, deskRoutes } from './routes.js';

const NAME = 'page of the Lethean client';
const MAX_CONNECTIONS = 32;
const REQUESTS_PER_CONNECTION = 100;

export interface DeskPageOptions {
  /** A loopback address: `manager-local-bind`. */
  readonly host: string;
  /** `http-port`; 0 takes any free one. */
  readonly port: number;
  readonly desk: Desk;
  /** The files of the page. */
  readonly files: Routes;
  readonly log: Log;
}

export interface DeskPage {
  /** With the token behind the `#`: only the person at the terminal may get it. */
  readonly url: string;
  close(): Promise<void>;
}

/** The page cannot be served at its address. */
class DeskAddressError extends HttpAddressError {
  override readonly name = 'DeskAddressError';
  readonly exitCode = 2;
}

/** Rejects with an error that says what to set when the address is taken. */
export async function openDeskPage(options: DeskPageOptions): Promise<DeskPage> {
  const { host, port, desk, files, log } = options;
  const token = randomBytes(24).toString('base64url');
  const remedy = 'set http-port to a free port, or run-gui = 0';
  const page = await HttpPage.open({
    name: NAME,
    host,
    port,
    hostsKey: 'manager-local-bind',
    routes: new Map<string, Route>([...files, ...deskRoutes(desk)]),
    actions: { token, routes: deskActions(desk) },
    notFound: 'try / or /status',
    maxConnections: MAX_CONNECTIONS,
    requestsPerConnection: REQUESTS_PER_CONNECTION,
    log,
    addressError: (cause) => new DeskAddressError({ page: NAME, remedy, host, port }, cause),
  });
  return {
    url: `http://${hostAndPort(host, page.port)}/#${token}`,
    close: () => page.close(),
  };
}
