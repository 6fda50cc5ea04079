/** The lines of lokinet.ini that a service needs. */

/** The line of its section `[network]` that publishes the port of a directory or peer. */
export function iniLineOf(port: number): string {
  return `srv=_joinmarket._tcp 10 0 ${port}`;
}

/** The whole section for a service whose address stays the same. */
export function lokinetIni(port: number): string {
  return [
    '[network]',
    'keyfile=/var/lib/lokinet/onionmc.private',
    'reachable=1',
    iniLineOf(port),
  ].join('\n');
}
