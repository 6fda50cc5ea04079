/** The torrc lines of the private network's processes; one option per line, no file access. */
import type { Relay } from './consensus.js';

/** Options with which any Tor joins the network. */
export function joinLines(dirAuthority: string): readonly string[] {
  return ['TestingTorNetwork 1', dirAuthority];
}

/**
 * For every process of the network. `KISTSchedRunInterval` decides the latency: a round trip takes 2 ms
 * instead of 40. No GeoIP files: 35 MB less per process.
 */
export const COMMON_LINES: readonly string[] = [
  'SafeLogging 0',
  'LogTimeGranularity 1',
  'GeoIPFile /dev/null',
  'GeoIPv6File /dev/null',
  'NumCPUs 1',
  'ConnLimit 60',
  'Sandbox 0',
  'AvoidDiskWrites 1',
  'ShutdownWaitLength 0',
  'KISTSchedRunInterval 1 msec',
];

export function relayLines(relay: Relay): readonly string[] {
  return [
    'SocksPort 0',
    'ExitRelay 0',
    'AssumeReachable 1',
    'Address 127.0.0.1',
    `Nickname ${relay.nickname}`,
    `ORPort 127.0.0.1:${relay.orPort}`,
    ...(relay.dirPort === 0 ? [] : [`DirPort 127.0.0.1:${relay.dirPort}`]),
    'PublishServerDescriptor 0',
    // A testing network switches this on, and unmeasured relays then have no weight.
    'CountPrivateBandwidth 0',
    'ServerDNSDetectHijacking 0',
    'ServerDNSTestAddresses',
    'ServerDNSResolvConfFile /dev/null',
    'ExtraInfoStatistics 0',
    'HiddenServiceStatistics 0',
    'DirReqStatistics 0',
    'ConnDirectionStatistics 0',
  ];
}

export interface ClientPorts {
  /** 0 takes any free port. */
  readonly socks: number;
  /** A cookie-authenticated control port on TCP; 0 takes any free port, undefined opens none. */
  readonly control: number | undefined;
  /** A control socket at this path. */
  readonly controlSocket: string | undefined;
}

function portText(port: number): string {
  return port === 0 ? 'auto' : String(port);
}

/** A client, which may also serve onions. A dial of a dead service fails after 10 s instead of 120. */
export function clientLines(ports: ClientPorts): readonly string[] {
  const { control, controlSocket } = ports;
  return [
    'ClientOnly 1',
    `SocksPort 127.0.0.1:${portText(ports.socks)}`,
    'SocksTimeout 10',
    'PathsNeededToBuildCircuits 0.67',
    'ClientUseIPv6 0',
    ...(control === undefined ? [] : [`ControlPort 127.0.0.1:${portText(control)}`]),
    ...(controlSocket === undefined ? [] : [`ControlPort unix:${controlSocket}`]),
    ...(control === undefined && controlSocket === undefined ? [] : ['CookieAuthentication 1']),
  ];
}
