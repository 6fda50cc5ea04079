/** The page of a maker with a wallet: `/`, `/status`, `/history`, `/metrics` and `/healthz`. */
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import type { Settings } from '../config/settings.js';
import { PageFileError } from '../http/page-files.js';
import type { PageAccess, Routes } from '../http/page.js';
import type { MakerStatus } from '../maker/api.js';
import type { MakerFigures } from '../maker/figures.js';
import { earningsByDay, makerHealth, statusJson, type OutsideTests } from '../maker/status-view.js';
import { createMetrics } from '../ops/metrics.js';
import { startStatusServer, type StatusServer } from '../ops/status-server.js';
import { makerPageRoutes } from '../web/maker-page.js';
import { registerMakerMetrics } from './maker-metrics.js';
import type { OutsideReport } from './outside-test.js';
import { VERSION } from './version.js';

/** Where the page is served. */
export interface MakerPageAddress {
  /** `[YIELDGENERATOR] status_host`: an address of this machine. */
  readonly host: string;
  /** `[YIELDGENERATOR] status_port`; 0 = no page. */
  readonly port: number;
  /** `[YIELDGENERATOR] status_hosts`. */
  readonly hosts?: readonly string[];
}

/** The address of the settings. */
export function makerPageAddress({
  yieldGenerator: terms,
}: Pick<Settings, 'yieldGenerator'>): MakerPageAddress {
  return { host: terms.statusHost, port: terms.statusPort, hosts: terms.statusHosts };
}

export interface MakerPageOptions extends MakerPageAddress {
  readonly status: () => MakerStatus;
  readonly figures: MakerFigures;
  /** The tests of the own onion from outside. */
  readonly outside: () => OutsideReport;
  /** Who may read it; absent = everybody on this machine. */
  readonly door?: PageAccess | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds since 1970; default `Date.now`. */
  readonly epoch?: () => number;
}

function outsideJson(report: OutsideReport, now: number): OutsideTests {
  const { tests, failures, testedAt, dialMs, answerMs } = report;
  return {
    tests,
    failures,
    ...(testedAt === undefined
      ? {}
      : { testedSecondsAgo: Math.max(0, Math.round((now - testedAt) / 1000)) }),
    ...(dialMs === undefined ? {} : { dialMs }),
    ...(answerMs === undefined ? {} : { answerMs }),
  };
}

/** A bundled program has no files for the page; the other paths work. */
async function pageRoutes({ status, log }: MakerPageOptions): Promise<Routes> {
  try {
    return await makerPageRoutes(() => earningsByDay(status().coinjoins));
  } catch (error) {
    if (!(error instanceof PageFileError)) throw error;
    log.info('a bundled program has no page for people; /status and /metrics work');
    return new Map();
  }
}

/**
 * Serves the page until `close`; undefined when the port is 0. Rejects with a StatusAddressError when the
 * address is taken or unusable.
 */
export async function startMakerPage(options: MakerPageOptions): Promise<StatusServer | undefined> {
  const { host, port, hosts, status, figures, outside, clock, log, epoch = Date.now } = options;
  if (port === 0) return undefined;
  const began = clock.now();
  const seconds = (): number => Math.floor(epoch() / 1000);
  const metrics = createMetrics();
  registerMakerMetrics(metrics, { status, figures, outside, now: seconds });
  return startStatusServer({
    section: 'YIELDGENERATOR',
    host,
    port,
    ...(hosts === undefined ? {} : { hosts }),
    health: () => makerHealth(status()),
    status: () =>
      statusJson({
        status: status(),
        now: seconds(),
        version: VERSION,
        upSeconds: (clock.now() - began) / 1000,
        results: figures.results,
        outside: outsideJson(outside(), clock.now()),
      }),
    metrics,
    page: await pageRoutes(options),
    door: options.door,
    log,
  });
}
