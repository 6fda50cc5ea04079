/** The `joinmarket.cfg` of programs that tests start. */
import type { PrivateTor } from '../../src/lab/private-network/client.js';

export interface ConfigOptions {
  /** `directory_nodes`. */
  readonly nodes?: string;
  /** `onion_serving_port`; 0: any that is free. */
  readonly port?: number;
  /** 0: no status page. */
  readonly statusPort?: number;
  /** How long a taker collects offers and waits for answers, seconds. */
  readonly waitSec?: number;
  /** Lines of `[BLOCKCHAIN]`. Default: signet, without a bitcoin node. */
  readonly blockchain?: string;
  /** Further lines of `[DIRECTORY]`; sections of their own may follow them. */
  readonly extra?: string;
}

export interface TorConfigOptions extends ConfigOptions {
  readonly mode: 'control' | 'managed' | 'external';
  /** None: nothing answers at the configured ports. */
  readonly tor?: PrivateTor | undefined;
  /** Further lines of the onion section. */
  readonly onion?: string;
}

function configWith(onion: string, options: ConfigOptions): string {
  const { nodes = '', port = 0, statusPort = 0, waitSec = 1, extra = '' } = options;
  const { blockchain = 'network = signet\nblockchain_source = no-blockchain' } = options;
  return `
[BLOCKCHAIN]
${blockchain}
[MESSAGING:onion]
type = onion
onion_serving_host = 127.0.0.1
onion_serving_port = ${port}
directory_nodes = ${nodes}
${onion}
[TIMEOUT]
maker_timeout_sec = ${waitSec}
[DIRECTORY]
status_port = ${statusPort}
${extra}
`;
}

/** Plain connections on this machine. */
export function loopbackConfig(options: ConfigOptions = {}): string {
  return configWith('regtest_count = 1,1', options);
}

/** Over a Tor of the test. */
export function torConfig({ mode, tor, onion = '', ...rest }: TorConfigOptions): string {
  const control = tor?.controlEndpoint;
  return configWith(
    `tor_mode = ${mode}
socks5_host = 127.0.0.1
socks5_port = ${tor?.socks.port ?? 1}
tor_control_host = 127.0.0.1
tor_control_port = ${control?.kind === 'tcp' ? control.port : 1}
${onion}`,
    rest,
  );
}
