/** What the parts of the client ask of each other. Each part can be replaced by one of a test. */
import type { Duplex } from 'node:stream';
import type { Gate, Provider, Session, SessionRequest, Space, Vdp } from './model.js';

/** Amounts of coins in atomic units of the coin (LTHN has 8 decimals). */
export type Amount = bigint;

/** What a person, or the settings, agreed to pay. */
export interface PaymentOrder {
  readonly sessionId: string;
  /** 16 or 64 hex digits, as the provider gave it. */
  readonly paymentId: string;
  /** For how many days this pays: the limit of the price for a day needs it. At least 1. */
  readonly days: number;
  /** Seconds since 1970. From then on nothing is paid that the wallet was not asked to send before. */
  readonly payBy?: number;
  /** The price of the session, split among these addresses; all amounts are above 0. */
  readonly destinations: readonly { readonly address: string; readonly amount: Amount }[];
}

export interface PaymentReceipt {
  readonly order: PaymentOrder;
  readonly txids: readonly string[];
  /** Atomic units, fee included. */
  readonly spent: Amount;
  /** A proof that each transaction pays the first destination, where the wallet gave one. */
  readonly proofs: readonly { readonly txid: string; readonly signature: string }[];
}

/**
 * Whether an error of `Payer.pay` is certain that nothing left the wallet and nothing will: it has `nothingPaid: true`.
 * After every other error the order may have been paid.
 */
export function isNothingPaid(error: unknown): boolean {
  return error instanceof Error && 'nothingPaid' in error && error.nothingPaid === true;
}

/** Keys of this client for WireGuard gates. The private half stays with the transport. */
export interface WireGuardKeys {
  /** Base64 of the public key for a gate, made when it is asked for first. Rejects where WireGuard is off. */
  publicKey(gateId: string): Promise<string>;
}

/** Pays once: the order is on disk before the wallet hears of it, and a second call finds the first payment. */
export interface Payer {
  pay(order: PaymentOrder, signal: AbortSignal): Promise<PaymentReceipt>;
  /** Resolves when every transaction has this many blocks; 0 accepts the pool of the wallet's node. */
  confirmed(receipt: PaymentReceipt, blocks: 0 | 1 | 2, signal: AbortSignal): Promise<void>;
}

/** The manager of a provider. */
export interface Manager {
  vdp(signal: AbortSignal): Promise<Vdp>;
  create(request: SessionRequest, signal: AbortSignal): Promise<Session>;
  session(sessionId: string, signal: AbortSignal): Promise<Session>;
  reuse(sessionId: string, days: number, signal: AbortSignal): Promise<Session>;
  rekey(sessionId: string, publicKey: string, signal: AbortSignal): Promise<Session>;
}

/** Where a tunnel leads, and with what it is opened. */
export interface TunnelTarget {
  readonly provider: Provider;
  readonly gate: Gate;
  readonly space: Space;
  /** Paid and active. */
  readonly session: Session;
}

/** Why a tunnel ended. */
export type TunnelEnd =
  | { readonly kind: 'closed' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'lost'; readonly reason: string };

/** A way to the exit that stands. */
export interface Tunnel {
  readonly kind: Gate['type'];
  /** Opens a TCP connection at the exit. A tunnel of a whole network (WireGuard) connects through its interface. */
  connect(host: string, port: number, signal: AbortSignal): Promise<Duplex>;
  /** Bytes so far, both directions, payload only. */
  bytes(): { readonly sent: number; readonly received: number };
  readonly ended: Promise<TunnelEnd>;
  /** Ends everything that belongs to it: sockets, processes, interfaces, routes, files of keys. */
  close(): Promise<void>;
}

/** One kind of transport (section 4.2). */
export interface Transport {
  serves(gate: Gate): boolean;
  open(target: TunnelTarget, signal: AbortSignal): Promise<Tunnel>;
}
