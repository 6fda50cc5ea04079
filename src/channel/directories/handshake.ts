/**
 * The handshake with a directory: our 793, its 795, and the proof of our nick if it asks for one
 * (docs/protocol.md, sections 3, 7.6).
 */
import { shownLine, shownLines } from '../../kit/shown-text.js';
import { MessageType } from '../../protocol/constants.js';
import type { Envelope } from '../../protocol/envelope.js';
import { parseDirectoryHandshake } from '../../protocol/handshake.js';
import {
  formatNickProof,
  parseNickChallenge,
  parseNickResult,
  proveNick,
  NICK_AUTH_FEATURE,
} from '../../protocol/nick-auth.js';
import type { NickKey } from '../../protocol/nick.js';
import type { HandshakeTerms } from '../link/handshake-terms.js';

/** The content of an accepting 795. */
export interface DirectoryGreeting {
  readonly nick: string;
  readonly motd: string;
  readonly features: readonly string[];
}

/** How to prove our nick to a directory. */
export interface NickProver {
  readonly key: NickKey;
  /** The id that this directory must use: we sign for no other. */
  readonly directoryId: string;
  /** Whether to leave a directory that does not ask for a proof. */
  readonly required: boolean;
}

/** Reasons why the other side cannot be used as a directory, for a person. */
export const HANDSHAKE_FAULTS = {
  'handshake-json': 'its handshake is not JSON',
  'handshake-types': 'its handshake lacks a field, or a field has the wrong type',
  'app-name': 'it is not a JoinMarket directory',
  'directory-flag': 'it is a peer, not a directory',
  'proto-ver': 'it speaks another protocol version than 5',
  network: 'it serves another network',
} as const;

export interface DirectoryHandshakeOptions {
  readonly terms: HandshakeTerms;
  /** Absent = the feature is not offered. */
  readonly prover: NickProver | undefined;
  readonly send: (type: number, payload: string) => void;
  /** The handshake failed: ends the connection. */
  readonly drop: (reason: string) => void;
  /** The directory accepts us; later lines are not part of the handshake. */
  readonly onAccepted: (greeting: DirectoryGreeting) => void;
}

export class DirectoryHandshake {
  readonly #options: DirectoryHandshakeOptions;
  /** Our 793. */
  readonly #payload: string;
  #isProving = false;
  #expected: (envelope: Envelope) => void = (envelope) => this.#expectGreeting(envelope);

  constructor(options: DirectoryHandshakeOptions) {
    const { prover, terms } = options;
    this.#options = options;
    this.#payload = prover ? terms.provingPayload : terms.payload;
  }

  /** The directory asked for a proof of our nick and has not accepted it. */
  get proving(): boolean {
    return this.#isProving;
  }

  start(): void {
    this.#options.send(MessageType.HANDSHAKE, this.#payload);
  }

  /** Takes each line until `onAccepted` or `drop` is called. */
  receive(envelope: Envelope): void {
    this.#expected(envelope);
  }

  #expectGreeting({ type, line: payload }: Envelope): void {
    const { terms, prover, drop } = this.#options;
    if (type === MessageType.HANDSHAKE) return drop('it is a peer, not a directory');
    // Nothing may precede the 795; other lines are ignored.
    if (type !== MessageType.DN_HANDSHAKE) return;
    const handshake = parseDirectoryHandshake(payload, terms.network);
    if (!handshake.ok) return drop(HANDSHAKE_FAULTS[handshake.reason]);
    const { accepted, nick, features } = handshake.value;
    const motd = shownLines(handshake.value.motd);
    if (!accepted) {
      const [reason = ''] = motd.split('\n', 1);
      return drop(reason === '' ? 'refused us' : `refused us: ${shownLine(reason, 200)}`);
    }
    const greeting = { nick, motd, features };
    if (prover && features.includes(NICK_AUTH_FEATURE)) {
      this.#isProving = true;
      this.#expected = (challenge) => this.#expectChallenge(prover, greeting, challenge);
    } else if (prover?.required === true) {
      drop('it does not support nick_auth, which is required here');
    } else {
      this.#accepted(greeting);
    }
  }

  /** Signs once per connection, for this directory only. */
  #expectChallenge(
    prover: NickProver,
    greeting: DirectoryGreeting,
    { type, line: payload }: Envelope,
  ): void {
    const { send, drop } = this.#options;
    if (type !== MessageType.NICK_AUTH_CHALLENGE) {
      return drop('did not send the nick challenge that it announced');
    }
    const challenge = parseNickChallenge(payload);
    if (!challenge.ok) return drop('sent a malformed nick challenge');
    if (challenge.value.directoryId !== prover.directoryId) {
      return drop('sent a nick challenge for another directory');
    }
    this.#expected = (result) => this.#expectResult(greeting, result);
    const proof = proveNick(prover.key, challenge.value, this.#payload);
    send(MessageType.NICK_AUTH_PROOF, formatNickProof(proof));
  }

  #expectResult(greeting: DirectoryGreeting, { type, line: payload }: Envelope): void {
    const { drop } = this.#options;
    const result = type === MessageType.NICK_AUTH_RESULT ? parseNickResult(payload) : undefined;
    if (!result?.ok) return drop('did not answer the proof of our nick');
    if (result.value !== 'ok') return drop(`refused the proof of our nick: ${result.value}`);
    this.#accepted(greeting);
  }

  #accepted(greeting: DirectoryGreeting): void {
    this.#isProving = false;
    this.#options.onAccepted(greeting);
  }
}
