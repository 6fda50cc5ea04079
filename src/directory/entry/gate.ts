/**
 * The gate of a private directory: asked once for each handshake whether the peer may enter, and once a
 * second whether the peers inside may stay. What decides lies outside of the directory.
 */
import { formatLocation } from '../../protocol/location.js';
import type { Clock } from '../../channel/ports.js';
import type { Fanout } from '../fanout/fanout.js';
import { isServing, type Peer } from '../peer.js';
import type { Registry } from '../registry.js';
import type { CloseReason } from '../stats.js';

/** A peer that was let in. */
export interface EntryPass {
  readonly nick: string;
  /** What let it in, as the gate named it; moves with an upgrade. */
  readonly pass: string;
}

/** The decision about a newcomer. */
export type GateAnswer =
  | { readonly enters: true; readonly pass: string }
  | {
      readonly enters: false;
      /** `private`: it has no code, as every deployed program. `code`, `code-limited`: its code is refused. */
      readonly reason: 'private' | 'code' | 'code-limited';
      /** For the peer. */
      readonly text: string;
    };

/** The port of a directory to what admits peers. */
export interface EntryGate {
  /** @param request the peer's handshake; nick and location are not proven. Must not throw or reject. */
  ask(request: {
    readonly nick: string;
    /** `host:port`; undefined for a peer that is not serving. */
    readonly location: string | undefined;
    /** The code in its handshake. */
    readonly code: string | undefined;
  }): GateAnswer | Promise<GateAnswer>;
  /** Whether a peer may stay; called about once a second. */
  stays(pass: EntryPass): boolean;
  /** A peer with a pass has gone. */
  left(pass: EntryPass): void;
}

/** Least time between two looks at the peers inside. */
const LOOK_MS = 1_000;

export interface GateKeeperOptions {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  drop(peer: Peer, reason: CloseReason): void;
}

export class GateKeeper {
  readonly #gate: EntryGate;
  readonly #options: GateKeeperOptions;
  #lookedAt = -Infinity;

  constructor(gate: EntryGate, options: GateKeeperOptions) {
    this.#gate = gate;
    this.#options = options;
  }

  /**
   * Decides about a newcomer in state `new` whose handshake is valid; `then` is called at once, or later
   * while it is still there.
   */
  ask(peer: Peer, code: string | undefined, then: (answer: GateAnswer) => void): void {
    const gate = this.#gate;
    const { fanout } = this.#options;
    const decide = (answer: GateAnswer): void => {
      if (answer.enters) peer.pass = answer.pass;
      then(answer);
    };
    const location = isServing(peer) ? formatLocation(peer.location) : undefined;
    const answer = gate.ask({ nick: peer.nick, location, code });
    if (!(answer instanceof Promise)) {
      decide(answer);
      return;
    }
    peer.state = 'gated';
    void answer.then((late) => {
      fanout.batch(() => {
        if (peer.state === 'gated') {
          peer.state = 'new';
          decide(late);
        } else if (late.enters) {
          gate.left({ nick: peer.nick, pass: late.pass });
        }
      });
      return undefined;
    });
  }

  /** A peer has gone, whatever its state was. */
  gone({ nick, pass }: Peer): void {
    const gate = this.#gate;
    const { registry } = this.#options;
    // Another connection may have taken over the nick, and with it the session.
    if (pass !== undefined && !registry.byNick(nick)) gate.left({ nick, pass });
  }

  /** Ends the peers that may not stay: their code was revoked or has expired, or they never had one. */
  sweep(now: number): void {
    const gate = this.#gate;
    const { registry } = this.#options;
    if (now - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now;
    const over = registry.ready.filter(
      ({ nick, pass }) => pass === undefined || !gate.stays({ nick, pass }),
    );
    for (const peer of over) this.#options.drop(peer, 'code-ended');
  }
}
