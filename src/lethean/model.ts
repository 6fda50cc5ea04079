/**
 * What a provider describes and what a session is, as typed values. RFC-0005 gives no formats; these are the fields
 * of the published schemas of its reference, version 1.1, and of its older files, version 1.0. The parsers are in
 * `market/`.
 *
 * Ids are full ids: the provider's id, or the provider's id and a suffix (`PROVIDER.1st`, `PROVIDER-http`).
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
  /** Seconds since 1970 until which the description is valid (`revision` + `ttl`), when it says so. */
  readonly validUntil: number | undefined;
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
  readonly tcp: boolean;
}

export interface ProxyGate extends HostAndPort {
  /** True unless the description says false, as the reference reads it. */
  readonly tls: boolean;
}

export interface SshGate extends ProxyGate {
  /** The account of all sessions; the session's key and certificate open it. */
  readonly username: string;
}

export interface GateBase {
  /** The provider's id, and a suffix of its own. */
  readonly gateId: string;
  readonly providerId: string;
  readonly name: string;
  readonly managerUrl: string | undefined;
  readonly ca: readonly string[];
  readonly spaces: readonly string[];
  /** Gates inside the tunnel of this one (SSH, WireGuard), such as its SOCKS proxy. */
  readonly gates: readonly string[];
  readonly internal: boolean;
  /** Atomic units for a day. A session costs the gate's price and the space's price for each of its days. */
  readonly pricePerDay: bigint;
  readonly validUntil: number | undefined;
}

export type Gate =
  | (GateBase & { readonly type: 'wg' | 'wg-tcp'; readonly wg: WireGuardGate })
  | (GateBase & { readonly type: 'http-proxy' | 'socks-proxy'; readonly proxy: ProxyGate })
  | (GateBase & {
      readonly type: 'daemon-rpc-proxy' | 'daemon-p2p-proxy';
      readonly proxy: ProxyGate;
    })
  | (GateBase & { readonly type: 'ssh' | 'tls-ssh'; readonly ssh: SshGate });

export interface Space {
  readonly spaceId: string;
  readonly providerId: string;
  readonly name: string;
  readonly pricePerDay: bigint;
  readonly ipv4Networks: readonly string[];
  readonly ipv6Networks: readonly string[];
  readonly dnsServers: readonly string[];
  readonly validUntil: number | undefined;
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
  /** Atomic units for all days, to the provider's wallet. */
  readonly price: bigint;
  readonly days: number;
  /** Seconds since 1970. */
  readonly created: number;
  readonly expires: number;
  /** The manager may leave them out. */
  readonly spaceId: string | undefined;
  readonly gateId: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly bearer: string | undefined;
  readonly paid: boolean;
  /** Seconds since 1970; 0 for a session that is not active. */
  readonly activated: number;
  readonly payments: readonly {
    readonly height: number;
    readonly txid: string;
    readonly amount: bigint;
  }[];
  /** Parts of the described price that go to other wallets, beside `price`. */
  readonly contributions: readonly { readonly wallet: string; readonly price: bigint }[];
  readonly parent: string | undefined;
  /** The provider's half of a WireGuard link. Its endpoint is that of the gate. */
  readonly wg: SessionWireGuard | undefined;
  /** A client certificate for the gate's TLS proxy, when the provider gives one. */
  readonly proxy: SessionCertificate | undefined;
  readonly ssh: SessionSsh | undefined;
}

export interface SessionWireGuard {
  /** Base64 of 32 bytes, like all keys here. */
  readonly serverPublicKey: string;
  /** The key of this client for which the session was made. */
  readonly clientPublicKey: string;
  readonly presharedKey: string | undefined;
  /** Addresses of this client in the tunnel, with the length of the prefix: `100.65.0.9/16`. */
  readonly ipv4Address: string;
  readonly ipv6Address: string | undefined;
  /** The provider's address in the tunnel. */
  readonly serverIpv4Address: string;
  /** Networks behind the provider, both families. Empty: those of the space. */
  readonly networks: readonly string[];
  readonly dns: readonly string[];
}

/** PEM. */
export interface SessionCertificate {
  readonly key: string;
  readonly certificate: string;
}

export interface SessionSsh {
  /** Private key of this session, in PEM or OpenSSH form, made by the provider. */
  readonly key: string;
  /** An OpenSSH certificate of that key (`ecdsa-sha2-nistp256-cert-v01@openssh.com ...`). */
  readonly certificate: string;
  /** A port at the exit that leads back to this client, when the provider gives one. */
  readonly reversePort: number | undefined;
}
