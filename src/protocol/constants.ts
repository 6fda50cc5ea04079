/**
 * Numbers and names of the JoinMarket onion protocol (docs/protocol.md, sections 1, 2, 3, 5, 12).
 */

/** Message type numbers that are legitimate on the wire (section 2). */
export const MessageType = {
  PRIVMSG: 685,
  PUBMSG: 687,
  PEERLIST: 789,
  GETPEERLIST: 791,
  HANDSHAKE: 793,
  DN_HANDSHAKE: 795,
  PING: 798,
  PONG: 799,
  DISCONNECT: 801,
  NICK_AUTH_CHALLENGE: 803,
  NICK_AUTH_PROOF: 805,
  NICK_AUTH_RESULT: 807,
} as const;

export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/**
 * Internal events of the original implementation, never legitimate on the wire (section 2, quirk Q1).
 */
export const INTERNAL_ONLY_TYPES: ReadonlySet<number> = new Set([785, 787, 797]);

/** Longest line accepted, in bytes, terminator excluded (section 1.2). */
export const MAX_LINE_BYTES = 40_000;

/** Longest line sent, in bytes, terminator excluded (section 1.2: 40,000 with CRLF). */
export const MAX_SENT_LINE_BYTES = 39_998;

export const APP_NAME = 'joinmarket';
export const PROTOCOL_VERSION = 5;
export const NOT_SERVING_ONION = 'NOT-SERVING-ONION';
/** The virtual port of every JoinMarket onion service (section 12.1). */
export const VIRTUAL_PORT = 5222;
/** Appended to every signed text; once meant as a protection against replay (section 7.2). */
export const HOST_ID = 'onion-network';
export const NETWORKS = ['mainnet', 'testnet', 'signet', 'regtest'] as const;
export type Network = (typeof NETWORKS)[number];
/** Most entries of one line of an answer to GETPEERLIST (section 5.2). */
export const PEERLIST_CHUNK_ENTRIES = 20;
