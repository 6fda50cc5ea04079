/** Shows the results of `onionmc check`, for a person and for a program. */
import { shownJson, shownLine } from '../kit/shown-text.js';
import { isFine, LEGS, outcomeText, type ProbeResult } from '../probe/probe.js';
import type { Network } from '../protocol/constants.js';
import { formatLocation } from '../protocol/location.js';
import { uptimeOf, type HistoryEntry, type Uptime } from '../roles/check-history.js';
import { textTable, type Column } from '../kit/text-table.js';

const DAY_SECONDS = 86_400;
/** Characters shown of an onion's 56, enough to distinguish those that a person watches. */
const SHORT_NAME = 16;

function shortName(address: string): string {
  return address.endsWith('.onion:5222') ? `${address.slice(0, SHORT_NAME)}...` : address;
}

function ms(value: number | undefined): string {
  if (value === undefined) return '-';
  return value < 10_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

function percent(uptime: Uptime | undefined): string {
  if (uptime === undefined) return '-';
  // Rounded down: 100 % means that no check failed.
  return `${(Math.floor(uptime.share * 1000) / 10).toFixed(1)} %`;
}

/** The slowest message that arrived. */
function relayMs(result: ProbeResult): number | undefined {
  const legs = 'legs' in result ? Object.values(result.legs) : [];
  const arrived = legs.filter((time) => time !== undefined);
  return arrived.length === 0 ? undefined : Math.max(...arrived);
}

function peers(result: ProbeResult): string {
  if (!('peerlist' in result) || result.peerlist === undefined) return '-';
  return result.peerlist === 'silent' ? 'silent' : String(result.peerlist.peers);
}

const COLUMNS: readonly Column[] = [
  { heading: 'directory' },
  { heading: '' },
  { heading: 'connect', numeric: true },
  { heading: 'greet', numeric: true },
  { heading: 'relay', numeric: true },
  { heading: 'peers', numeric: true },
];
const UPTIME_COLUMNS: readonly Column[] = [
  { heading: '24 h', numeric: true },
  { heading: 'all', numeric: true },
];

/** At most 80 columns: one line for each directory, then one for each that has a fault. */
export function checkTable(
  results: readonly ProbeResult[],
  history?: { readonly entries: readonly HistoryEntry[]; readonly now: number },
): string {
  const rows = results.map((result) => {
    const address = formatLocation(result.location);
    return [
      shortName(address),
      isFine(result) ? 'ok' : 'FAIL',
      ms('dialMs' in result ? result.dialMs : undefined),
      ms('handshakeMs' in result ? result.handshakeMs : undefined),
      ms(relayMs(result)),
      peers(result),
      ...(history === undefined
        ? []
        : [
            percent(uptimeOf(history.entries, address, history.now - DAY_SECONDS)),
            percent(uptimeOf(history.entries, address)),
          ]),
    ];
  });
  const columns = history === undefined ? COLUMNS : [...COLUMNS, ...UPTIME_COLUMNS];
  const faults = results
    .filter((result) => !isFine(result))
    .map((result) => {
      const name = shortName(formatLocation(result.location));
      return `${name}  ${shownLine(outcomeText(result))}`;
    });
  return [...textTable(columns, rows), ...(faults.length > 0 ? ['', ...faults] : [])].join('\n');
}

/** The MOTD, version and features of each directory. */
export function greetingLines(results: readonly ProbeResult[]): string {
  return results
    .flatMap((result) => {
      if (!('greeting' in result)) return [];
      const { nick, network, motd, version, features } = result.greeting;
      const facts = [
        shownLine(version ?? 'unknown program'),
        shownLine(network),
        `nick ${shownLine(nick)}`,
        `features ${features.length > 0 ? shownLine(features.join(' ')) : 'none'}`,
      ];
      const text = motd.split('\n').map((line) => `  | ${shownLine(line)}`);
      return ['', formatLocation(result.location), `  ${facts.join(', ')}`, ...text];
    })
    .join('\n');
}

/** `"silent"` when the directory offers a list and did not answer. */
function peersJson(result: ProbeResult): unknown {
  if (!('peerlist' in result) || result.peerlist === undefined) return null;
  if (result.peerlist === 'silent') return 'silent';
  const { peers: all, serving, tookMs } = result.peerlist;
  return { all, serving, took_ms: Math.round(tookMs) };
}

/** One result as JSON: stable names, times in milliseconds, null for missing values. */
export function checkJson(
  results: readonly ProbeResult[],
  context: {
    readonly network: Network;
    /** Seconds since 1970. */
    readonly now: number;
    readonly entries?: readonly HistoryEntry[];
  },
): string {
  const { network, now, entries } = context;
  return shownJson({
    time: now,
    network,
    ok: results.every(isFine),
    directories: results.map((result) => {
      const address = formatLocation(result.location);
      const greeting = 'greeting' in result ? result.greeting : undefined;
      const legs = 'legs' in result ? result.legs : undefined;
      const uptime = entries && {
        day: uptimeOf(entries, address, now - DAY_SECONDS) ?? null,
        all: uptimeOf(entries, address) ?? null,
      };
      return {
        location: address,
        ok: isFine(result),
        outcome: result.outcome,
        text: outcomeText(result),
        connect_ms: 'dialMs' in result ? Math.round(result.dialMs) : null,
        handshake_ms: 'handshakeMs' in result ? Math.round(result.handshakeMs) : null,
        relay_ms:
          legs === undefined
            ? null
            : Object.fromEntries(
                LEGS.filter((leg) => leg in legs).map((leg) => {
                  const time = legs[leg];
                  return [leg.replace('-', '_'), time === undefined ? null : Math.round(time)];
                }),
              ),
        peers: peersJson(result),
        nick: greeting?.nick ?? null,
        network: greeting?.network ?? null,
        version: greeting?.version ?? null,
        features: greeting?.features ?? null,
        motd: greeting?.motd ?? null,
        ...(uptime === undefined ? {} : { uptime }),
      };
    }),
  });
}
