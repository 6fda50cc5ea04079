/**
 * What a provider describes and what a session is, as typed values. RFC-0005 gives no formats; these are the fields
 * of the published schemas of its reference, version 1.1. Parsers are in `parse.ts`.
 */

/** Ways of a gate. */
export type GateType =
  | 'wg'
  | 'http-proxy'
  | 'socks-proxy'
  | 'daemon-rpc-proxy'
  | 'daemon-p2p-proxy'
  | 'wg-tcp'
  | 'ssh'
  | 'tls-ssh';

export interface Provider {
  /** 64 hex digits. */
  readonly providerId: string;
  readonly name: string;
  readonly managerUrl: string;
  readonly spaces: readonly string[];
  /** Certificates of the provider's authority: PEM. */
  readonly ca: readonly string[];
  readonly wallet: string | undefined;
  readonly description: string | undefined;
  readonly revision: number | undefined;
  /** Seconds since 1970 until which the description is valid, when it says so. */
  readonly ttl: number | undefined;
}

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

export interface WireGuardGate {
  readonly endpoint: HostAndPort;
  /** Base64 of 32 bytes. */
  readonly publicKey: string;
  readonly ipv4Network: string;
  readonly ipv4Gateway: string;
  readonly ipv6Network: string | undefined;
  readonly ipv6Gateway: string | undefined;
  readonly usePsk: boolean;
  readonly tcp: HostAndPort | undefined;
}

export interface ProxyGate extends HostAndPort {
  readonly tls: boolean;
}

export interface GateBase {
  /** The provider's id, and a suffix of its own. */
  readonly gateId: string;
  readonly providerId: string;
  readonly name: string;
  readonly managerUrl: string | undefined;
  readonly ca: readonly string[];
  readonly spaces: readonly string[];
  readonly internal: boolean;
  /** Atomic units for a day. */
  readonly pricePerDay: bigint;
}

export type Gate =
  | (GateBase & { readonly type: 'wg' | 'wg-tcp'; readonly wg: WireGuardGate })
  | (GateBase & { readonly type: 'http-proxy' | 'socks-proxy'; readonly proxy: ProxyGate })
  | (GateBase & {
      readonly type: 'daemon-rpc-proxy' | 'daemon-p2p-proxy';
      readonly proxy: ProxyGate;
    })
  | (GateBase & { readonly type: 'ssh' | 'tls-ssh'; readonly ssh: ProxyGate });

export interface Space {
  readonly spaceId: string;
  readonly providerId: string;
  readonly name: string;
  readonly pricePerDay: bigint;
  readonly ipv4Networks: readonly string[];
  readonly ipv6Networks: readonly string[];
  readonly dnsServers: readonly string[];
}

export interface Vdp {
  readonly providers: readonly Provider[];
  readonly gates: readonly Gate[];
  readonly spaces: readonly Space[];
}

export interface SessionRequest {
  readonly spaceId: string;
  readonly gateId: string;
  readonly days: number;
  readonly wireGuard: { readonly publicKey: string; readonly endpoint: string } | undefined;
}

/** What the provider's manager says of a session. */
export interface Session {
  readonly sessionId: string;
  readonly paymentId: string;
  /** Address of the provider's wallet. */
  readonly wallet: string;
  /** Atomic units for all days. */
  readonly price: bigint;
  readonly days: number;
  /** Seconds since 1970. */
  readonly created: number;
  readonly expires: number;
  readonly spaceId: string;
  readonly gateId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly bearer: string | undefined;
  readonly paid: boolean;
  readonly activated: boolean;
  readonly payments: readonly {
    readonly height: number;
    readonly txid: string;
    readonly amount: bigint;
  }[];
  /** Parts of the price that go elsewhere. */
  readonly contributions: readonly { readonly wallet: string; readonly price: bigint }[];
  readonly parent: string | undefined;
  /** The provider's half of a WireGuard link. */
  readonly wg: SessionWireGuard | undefined;
  /** Where the session's proxy or SSH server is, when it differs from the gate's. */
  readonly proxy: HostAndPort | undefined;
  readonly ssh: SessionSsh | undefined;
}

export interface SessionWireGuard {
  readonly serverPublicKey: string;
  readonly endpoint: HostAndPort;
  /** Address and prefix length of this client. */
  readonly ipv4Address: string | undefined;
  readonly ipv6Address: string | undefined;
  readonly presharedKey: string | undefined;
  readonly dns: readonly string[];
}

export interface SessionSsh extends HostAndPort {
  readonly user: string;
  /** The private key of this session, when the provider makes it; PEM or OpenSSH form. */
  readonly key: string | undefined;
}
