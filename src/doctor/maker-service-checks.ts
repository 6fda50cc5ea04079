/** Checks of a maker with a wallet that runs as a service: its page, its unit and the unit's credential. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorCodeOrText } from '../kit/error-text.js';
import { hostAndPort } from '../kit/host-name.js';
import { shownLine } from '../kit/shown-text.js';
import { askStatus, statusBase } from '../ops/status-client.js';
import { note, ok, skipped, wrong, type Check, type Verdict } from './check.js';
import { listenFault, listenerHint } from './running-checks.js';

const quoted = (path: string): string => JSON.stringify(path);
const PORT_KEY = 'status_port in [YIELDGENERATOR]';
/** Longest reason of a page that is shown. */
const MOST_TEXT = 200;

async function inUse(at: string, host: string, port: number, signal: AbortSignal) {
  const question = { base: statusBase(host, port), signal };
  const health = await askStatus({ ...question, path: '/healthz' });
  if (health.kind === 'silent') {
    return wrong(
      `a program, perhaps the maker, listens at ${at} and does not answer (${health.reason}): it hangs, or is stopped`,
      `${listenerHint(port)}; restart it`,
    );
  }
  const status = await askStatus({ ...question, path: '/status' });
  // Behind a code only `/healthz` is open.
  const needsCode =
    status.kind === 'page' &&
    status.code === 401 &&
    health.kind === 'page' &&
    typeof health.page['ok'] === 'boolean';
  if (!needsCode && (status.kind !== 'page' || status.page['role'] !== 'maker')) {
    return wrong(
      `${at} (${PORT_KEY}) is taken by another program: a start fails`,
      `stop that program (${listenerHint(port)}), or set ${PORT_KEY} to a free one`,
    );
  }
  const shown = `the maker shows it at http://${at}/${needsCode ? ' to those with a code' : ''}`;
  const { page } =
    health.kind === 'page' ? health : { page: {} as Readonly<Record<string, unknown>> };
  if (page['ok'] === true) return ok(shown);
  const reason = typeof page['reason'] === 'string' ? shownLine(page['reason'], MOST_TEXT) : '-';
  return note(
    `${shown}, and takers cannot use the maker: ${reason}`,
    `docs/maker.md, "What to do if ...", has this line`,
  );
}

export const makerPageCheck: Check = {
  id: 'maker-page',
  title: 'maker page',
  needs: ['settings'],
  gives: [],
  async run(facts, { signal }) {
    const { statusHost: host, statusPort: port } = facts.get('settings').yieldGenerator;
    if (port === 0) return ok(`off; ${PORT_KEY} switches it on for a maker with a wallet`);
    const at = hostAndPort(host, port);
    const fault = await listenFault(host, port);
    if (fault === undefined) return ok(`${at} is free`);
    if (fault === 'EADDRINUSE') return inUse(at, host, port, signal);
    return fault === 'EACCES'
      ? wrong(`${at} is not allowed to this user: a start fails`, `set ${PORT_KEY} above 1023`)
      : wrong(
          `nothing can listen at ${at} (${fault}): a start fails`,
          'set status_host = 127.0.0.1 in [YIELDGENERATOR]',
        );
  },
};

/** Where an administrator enables units, and where systemd-creds stores credentials. */
export interface ServiceFolders {
  readonly wanted: string;
  readonly credentials: string;
  readonly units: string;
}

const SYSTEM: ServiceFolders = {
  wanted: '/etc/systemd/system/multi-user.target.wants',
  credentials: '/etc/credstore.encrypted',
  units: '/etc/systemd/system',
};

const UNIT = /^onionmc-maker@(.+)\.service$/;

/** The folder's names; none where it is missing. Rejects where it cannot be read. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Whether each enabled unit has a wallet and a password. */
export async function serviceVerdict(
  wallets: readonly string[],
  { wanted, credentials, units }: ServiceFolders,
): Promise<Verdict> {
  const enabled = (await namesIn(wanted)).flatMap((name) => UNIT.exec(name)?.[1] ?? []);
  const [first = 'NAME'] = wallets;
  if (enabled.length === 0) {
    return note(
      'no unit onionmc-maker@NAME is enabled: the maker does not start with the machine',
      `docs/maker.md, "As a service"; then sudo systemctl enable --now onionmc-maker@${first}`,
    );
  }
  const lost = enabled.find((name) => !wallets.includes(name));
  if (lost !== undefined) {
    return wrong(
      `the unit onionmc-maker@${shownLine(lost)} is enabled, and there is no wallet of this name`,
      `sudo systemctl disable onionmc-maker@${shownLine(lost)}; or restore the wallet from a backup`,
    );
  }
  let stored: readonly string[];
  try {
    stored = await namesIn(credentials);
  } catch (error) {
    return skipped(
      `${credentials} cannot be read (${errorCodeOrText(error)}): root can (sudo onionmc doctor --role maker)`,
    );
  }
  for (const name of enabled) {
    // A drop-in may name another place of the password.
    // oxlint-disable-next-line no-await-in-loop -- one or two units
    const isChanged = await exists(join(units, `onionmc-maker@${name}.service.d`));
    if (isChanged || stored.includes(`onionmc-maker-${name}.password`)) continue;
    const path = join(credentials, `onionmc-maker-${name}.password`);
    return wrong(
      `the unit onionmc-maker@${name} is enabled, and ${path} is missing: it starts without a password and ends`,
      `systemd-ask-password -n | sudo systemd-creds encrypt --name=wallet-password - ${quoted(path)}`,
    );
  }
  return ok(`enabled: ${enabled.map((name) => `onionmc-maker@${name}`).join(', ')}`);
}

export const makerServiceCheck: Check = {
  id: 'service',
  title: 'service',
  needs: ['wallets'],
  gives: [],
  async run(facts) {
    const wallets = facts.get('wallets');
    if (wallets.length === 0) return ok('no wallet, so none is needed');
    return serviceVerdict(wallets, SYSTEM);
  },
};
