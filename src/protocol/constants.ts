/**
 * Numbers and names of the JoinMarket onion protocol (docs/protocol.md, sections 1, 2, 3, 5, 12).
 */

/** Message type numbers that are legitimate on the wire (section 2). */
export const MessageType = {
  /** A private message, `from!to!text`. */
  PRIVMSG: 685,
  /** A public message, `from!PUBLIC!text`. */
  PUBMSG: 687,
  /** Peers of a directory, or one that left. */
  PEERLIST: 789,
  /** Asks a directory for its peers. */
  GETPEERLIST: 791,
  /** A peer's handshake. */
  HANDSHAKE: 793,
  /** A directory's handshake. */
  DN_HANDSHAKE: 795,
  /** Asks for a `PONG`; only to peers that list `ping`. */
  PING: 798,
  /** The answer to a `PING`. */
  PONG: 799,
  /** The sender is about to close the connection. */
  DISCONNECT: 801,
  /** A directory asks for a proof of the nick's key (JMP-0005). */
  NICK_AUTH_CHALLENGE: 803,
  /** A peer's proof of its nick's key (JMP-0005). */
  NICK_AUTH_PROOF: 805,
  /** The directory's answer to the proof (JMP-0005). */
  NICK_AUTH_RESULT: 807,
  /** Asks a directory for the signed list of directories; only to those that list `directory_list`. */
  GETDIRLIST: 841,
  /** The answer to a `GETDIRLIST`: an offer, or a chunk of the list. */
  DIRLIST: 843,
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

/** The application's name in every handshake (section 3.1). */
export const APP_NAME = 'joinmarket';
/** The version of the protocol in every handshake (section 3.1). */
export const PROTOCOL_VERSION = 5;
/** The location text of a peer without a location (section 5.1). */
export const NOT_SERVING_ONION = 'NOT-SERVING-ONION';
/** The virtual port of every JoinMarket onion service (section 12.1). */
export const VIRTUAL_PORT = 5222;
/** Appended to every signed text; once meant as a protection against replay (section 7.2). */
export const HOST_ID = 'onion-network';
/** The bitcoin networks that a handshake may name. */
export const NETWORKS = ['mainnet', 'testnet', 'signet', 'regtest'] as const;
/** A bitcoin network, as a handshake names it. */
export type Network = (typeof NETWORKS)[number];
/** Most entries of one line of an answer to GETPEERLIST (section 5.2). */
export const PEERLIST_CHUNK_ENTRIES = 20;
