/**
 * Every option of RFC-0005: appendix A, sections 5 to 8, those that its reference has in addition, and the limits of
 * this program. One table for the command line, the environment, the file and the documentation. Pure.
 */
import * as kinds from './kinds.js';
import type { Kind } from './kinds.js';

/** Where an option comes from. */
export type OptionSource =
  'appendix A' | 'section 3' | 'section 5' | 'section 8' | 'reference' | 'onionmc';

export interface Option<T> {
  readonly kind: Kind<T>;
  /** As text, `{var-dir}` and the like replaced; undefined: none. */
  readonly usual: string | undefined;
  readonly source: OptionSource;
  readonly about: string;
  /** Why setting it changes nothing here; the reader of the settings says so. */
  readonly unused?: string;
  /** Its value is never shown. */
  readonly isSecret?: true;
  /** May be given several times. */
  readonly isList?: true;
}

function option<T>(
  source: OptionSource,
  kind: Kind<T>,
  usual: string | undefined,
  about: string,
  more: Pick<Option<T>, 'unused' | 'isSecret' | 'isList'> = {},
): Option<T> {
  return { source, kind, usual, about, ...more };
}

const SERVER = 'it belongs to a provider';
const BROWSER = 'this program starts no browser: open the page or use the proxy in your own';
const COMMAND = kinds.matching('a command of at most 1000 characters', /^[\x20-\x7e]{1,1000}$/);
const seconds = (least: number, most: number): Kind<number> => kinds.whole('seconds', least, most);
const days = (least: number): Kind<number> => kinds.whole('days', least, 3_660);

export const OPTIONS = {
  'log-level': option(
    'appendix A',
    kinds.choice('DEBUG', 'INFO', 'WARNING', 'ERROR'),
    'INFO',
    'how much to say on standard error',
  ),
  'log-file': option('appendix A', kinds.path, undefined, 'a file for the log', {
    unused: 'the log goes to standard error: redirect it',
  }),
  'audit-file': option('appendix A', kinds.path, undefined, 'a file for the audit log', {
    unused: 'payments.json and the sessions folder tell what was done',
  }),
  'http-port': option('appendix A', kinds.port, '8124', 'port of the page on this machine'),
  'var-dir': option(
    'appendix A',
    kinds.path,
    '{home}/.local/share/lvpn',
    'folder of variable data: payments, sessions, caches',
  ),
  'cfg-dir': option('appendix A', kinds.path, '{home}/.config/lvpn', 'folder of client.ini'),
  'app-dir': option('appendix A', kinds.path, undefined, 'folder of the program', {
    unused: 'this program finds its own files',
  }),
  'tmp-dir': option(
    'appendix A',
    kinds.path,
    '{var-dir}/tmp',
    'folder of keys and configurations of open tunnels',
    {
      unused:
        'keys of open tunnels are in folders of the system for temporary files, which no other user can read',
    },
  ),
  'daemon-host': option(
    'appendix A',
    kinds.matching('a host name or an address', /^[A-Za-z0-9:[][A-Za-z0-9.:_\]-]{0,252}$/),
    undefined,
    'host of the node that the wallet RPC of run-wallet asks, where daemon-rpc-url is not set',
  ),
  'daemon-bin': option(
    'appendix A',
    kinds.program,
    'letheand',
    'program of the node that run-daemon starts',
  ),
  'daemon-rpc-url': option(
    'appendix A',
    kinds.serviceUrl,
    undefined,
    'RPC of the node: where run-daemon has it listen, and what the wallet RPC of run-wallet asks; default: their own',
  ),
  'daemon-p2p-port': option(
    'appendix A',
    kinds.port,
    undefined,
    'port at which the node of run-daemon takes connections of other nodes; default: its own',
  ),
  'wallet-rpc-bin': option(
    'appendix A',
    kinds.program,
    'lethean-wallet-rpc',
    'program of the wallet RPC that run-wallet starts',
  ),
  'wallet-cli-bin': option('appendix A', kinds.program, undefined, 'program of the wallet', {
    unused: '"onionmc lethean wallet" uses the wallet RPC',
  }),
  'wallet-rpc-url': option(
    'appendix A',
    kinds.serviceUrl,
    undefined,
    'where the wallet RPC answers; default: http://127.0.0.1:PORT/json_rpc',
  ),
  'wallet-rpc-port': option(
    'appendix A',
    kinds.port,
    '14660',
    'port of the wallet RPC on this machine, where no URL is set',
  ),
  'wallet-rpc-user': option('appendix A', kinds.text, 'client', 'user of its --rpc-login'),
  'wallet-rpc-password': option(
    'appendix A',
    kinds.text,
    undefined,
    'password of its --rpc-login; none: it was started with --disable-rpc-login; run-wallet makes one',
    { isSecret: true },
  ),
  'wallet-address': option(
    'appendix A',
    kinds.matching('an address of the coin', /^[1-9A-HJ-NP-Za-km-z]{50,200}$/),
    undefined,
    'the address that the wallet must have; another wallet is refused',
  ),
  'spaces-dir': option('appendix A', kinds.path, '{var-dir}/spaces', 'cache of spaces'),
  'gates-dir': option('appendix A', kinds.path, '{var-dir}/gates', 'cache of gates'),
  'providers-dir': option('appendix A', kinds.path, '{var-dir}/providers', 'cache of providers'),
  'sessions-dir': option('appendix A', kinds.path, '{var-dir}/sessions', 'sessions'),
  'coin-type': option('appendix A', kinds.choice('lethean'), 'lethean', 'the coin'),
  'coin-unit': option(
    'appendix A',
    kinds.choice('1e-8', '1e-08', '0.00000001'),
    '1e-8',
    'one atomic unit in LTHN; no other value is known',
  ),
  'lthn-price': option('appendix A', kinds.text, undefined, 'price of 1 LTHN in another currency', {
    unused: SERVER,
  }),
  'default-pay-days': option('appendix A', days(1), '1', 'days to pay for by default'),
  'unpaid-expiry': option(
    'appendix A',
    seconds(60, 2_592_000),
    '3600',
    'seconds until an unpaid session is forgotten',
  ),
  'use-tx-pool': option(
    'appendix A',
    kinds.flag,
    '0',
    'connect when the payment is in the pool, before it has a block',
  ),
  'enable-wg': option(
    'appendix A',
    kinds.flag,
    '0',
    'use WireGuard gates; changes interfaces of this machine',
  ),
  'run-gui': option('appendix A', kinds.flag, '1', 'serve the page while a session is open'),
  'run-proxy': option(
    'appendix A',
    kinds.flag,
    '1',
    'open the local SOCKS and HTTP proxy in front of a session',
  ),
  'run-wallet': option(
    'appendix A',
    kinds.flag,
    '0',
    'start a wallet RPC for each command that needs it, and end it with the command',
  ),
  'run-daemon': option('appendix A', kinds.flag, '0', 'start a node, and end it with the command'),
  'auto-connect': option(
    'appendix A',
    kinds.matching('lthn://PROVIDER/SERVICE, or GATE/SPACE', /^[\x21-\x7e]{1,400}$/),
    undefined,
    'what to connect to where no argument says it',
  ),
  'auto-reconnect': option(
    'appendix A',
    seconds(0, 86_400),
    '30',
    'seconds between attempts after a tunnel was lost; 0: none',
  ),
  'auto-pay-days': option(
    'appendix A',
    days(0),
    '0',
    'pay for so many days without a question; 0: always ask',
  ),
  'free-session-days': option(
    'appendix A',
    days(1),
    '1',
    'days to ask for where a service is free',
  ),

  'my-providers-dir': option(
    'section 3',
    kinds.path,
    '{var-dir}/my-providers',
    'providers to which this client has connected',
  ),
  'wallet-name': option(
    'section 5',
    kinds.matching(
      'a file name of letters, digits, dots, - and _',
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    ),
    'default',
    'file of the wallet, below --wallet-dir of the wallet RPC',
  ),

  'wg-map-device': option(
    'section 8',
    kinds.listOf(kinds.gateValue('GATE,DEVICE', /^[a-zA-Z][\w.-]{0,14}$/), 50),
    '',
    'device of a gate',
    { isList: true },
  ),
  'wg-map-privkey': option(
    'section 8',
    kinds.listOf(kinds.gateValue('GATE,KEY with a base64 key', /^[A-Za-z0-9+/]{43}=$/), 50),
    '',
    'private key for a gate',
    { isList: true, isSecret: true },
  ),
  'wg-cmd-prefix': option('section 8', kinds.text, '', 'put before each command, such as sudo'),
  'wg-shutdown-on-disconnect': option(
    'section 8',
    kinds.flag,
    '1',
    'remove the interface at the end of the session',
  ),
  'wg-cmd-create-interface': option(
    'section 8',
    COMMAND,
    undefined,
    'command that makes the interface',
  ),
  'wg-cmd-delete-interface': option('section 8', COMMAND, undefined, 'command that removes it'),
  'wg-cmd-set-ip': option('section 8', COMMAND, undefined, 'command that gives it its address'),
  'wg-cmd-set-interface-up': option('section 8', COMMAND, undefined, 'command that brings it up'),
  'wg-cmd-route': option('section 8', COMMAND, undefined, 'command that adds a route'),

  'my-spaces-dir': option('reference', kinds.path, undefined, 'own spaces', { unused: SERVER }),
  'my-gates-dir': option('reference', kinds.path, undefined, 'own gates', { unused: SERVER }),
  'manager-local-bind': option('reference', kinds.loopback, '127.0.0.1', 'address of the page'),
  'manager-bearer-auth': option('reference', kinds.text, undefined, 'password of the own API', {
    unused: 'the page makes a token at each start',
    isSecret: true,
  }),
  'readonly-providers': option(
    'reference',
    kinds.text,
    undefined,
    'providers that are not updated',
    { unused: SERVER },
  ),
  'force-manager-url': option(
    'reference',
    kinds.serviceUrl,
    undefined,
    'asks this manager instead of that of the provider; for tests',
    { unused: 'the manager is that of the provider' },
  ),
  'force-manager-wallet': option('reference', kinds.text, undefined, 'pays this address instead', {
    unused: 'a payment goes where the provider says, or nowhere',
  }),
  'on-session-activation': option(
    'reference',
    kinds.program,
    undefined,
    'program to run for a session',
    { unused: SERVER },
  ),
  'wallet-password': option('reference', kinds.text, '', 'password of the wallet file', {
    isSecret: true,
  }),
  'edge-bin': option('reference', kinds.text, undefined, 'browser', { unused: BROWSER }),
  'chromium-bin': option('reference', kinds.program, undefined, 'browser', { unused: BROWSER }),
  'use-http-proxy': option(
    'reference',
    kinds.matching('http://HOST:PORT', /^http:\/\/[^\s/@]{1,255}:\d{1,5}\/?$/),
    undefined,
    'HTTP proxy through which gates and managers are reached',
    { unused: 'gates and managers are reached directly' },
  ),
  'local-bind': option('reference', kinds.loopback, '127.0.0.1', 'address of the local proxy'),
  'max-tls-connections': option(
    'reference',
    kinds.whole('connections', 1, 1_000),
    '20',
    'connections to a gate at once',
    { unused: 'the local proxy has 256 connections, each with one to the gate' },
  ),
  'ssh-engine': option('reference', kinds.choice('ssh'), 'ssh', "only the system's ssh is used"),
  'connect-and-exit': option('reference', kinds.flag, '0', 'leave the tunnel open and end', {
    unused: 'a tunnel belongs to its process, so that it is always cleaned up',
  }),
  contributions: option('reference', kinds.text, '', 'pay others in addition', {
    unused: 'a payment has the price of the session only',
  }),

  'wallet-dir': option(
    'onionmc',
    kinds.path,
    '{var-dir}/wallets',
    'folder of the wallets of the wallet RPC that run-wallet starts',
  ),
  'sdp-url': option(
    'onionmc',
    kinds.serviceUrl,
    'https://sdp.lethean.io/v1/services/search',
    'where providers are searched (section 3.2)',
  ),
  'proxy-port': option('onionmc', kinds.port, '8180', 'port of the local SOCKS and HTTP proxy'),
  'max-payment': option('onionmc', kinds.lthn, '300', 'most LTHN for one payment'),
  'max-per-day': option('onionmc', kinds.lthn, '300', 'most LTHN in any 24 hours'),
  'max-day-price': option('onionmc', kinds.lthn, '10', 'most LTHN for one day of a session'),
  'max-fee': option('onionmc', kinds.lthn, '1', 'most LTHN for the fees of one payment'),
  'wait-blocks': option(
    'onionmc',
    kinds.whole('blocks', 0, 2),
    '1',
    'blocks that a payment must have; use-tx-pool = 1 means 0',
  ),
} as const;

export type OptionName = keyof typeof OPTIONS;

/** All names, in the order of the table. */
export const OPTION_NAMES = Object.keys(OPTIONS).filter((name): name is OptionName =>
  Object.hasOwn(OPTIONS, name),
);

export const isOptionName = (name: string): name is OptionName => Object.hasOwn(OPTIONS, name);

type ValueOf<O> = O extends Option<infer T> ? T : never;

/** The typed value of each option; undefined where neither a level nor a default has one. */
export type Values = {
  readonly [K in OptionName]: ValueOf<(typeof OPTIONS)[K]> | undefined;
};

/** Variables that the reference reads under another name. */
const OTHER_NAMES: Partial<Record<OptionName, string>> = {
  'log-level': 'WLC_LOGLEVEL',
  'use-http-proxy': 'HTTP_PROXY',
};

/** `WLC_VAR_DIR`, the variable of an option, and the other one of the reference where it has one. */
export function variablesOf(name: OptionName): readonly string[] {
  const own = `WLC_${name.replaceAll('-', '_').toUpperCase()}`;
  const other = OTHER_NAMES[name];
  return other === undefined ? [own] : [own, other];
}
