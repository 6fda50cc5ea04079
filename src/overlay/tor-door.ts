/** The listener to which Tor forwards: a unix socket that is proved by a dial, else TCP. */
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import { errorText } from '../kit/error-text.js';
import type { OnionService } from '../tor/onion/service.js';
import type { SelfTest } from '../tor/onion/self-test.js';
import type { Listening } from './listen.js';
import { startSocketProof } from './socket-proof.js';

export interface TorDoorOptions {
  readonly listening: Listening;
  /** Opens the listener on TCP, for a Tor that cannot reach the socket. */
  readonly openTcp: () => Promise<Listening>;
  readonly selfTest: SelfTest;
  readonly clock: Clock;
  readonly log: Log;
}

export class TorDoor {
  readonly #options: TorDoorOptions;
  #listening: Listening;
  #service: Pick<OnionService, 'location' | 'recreate'> | undefined;
  #isReachable = false;
  #isClosed = false;
  #stopProof: (() => void) | undefined;

  constructor(options: TorDoorOptions) {
    this.#options = options;
    this.#listening = options.listening;
  }

  get listening(): Listening {
    return this.#listening;
  }

  /** The service that leads here; it may be reachable already. */
  leadsFrom(service: Pick<OnionService, 'location' | 'recreate'>): void {
    this.#service = service;
    this.#prove();
  }

  /** Whether peers can reach the service; another Tor may not reach the socket. */
  reachable(isReachable: boolean): void {
    this.#isReachable = isReachable;
    this.#stop();
    this.#prove();
  }

  /** Stops the proof while another process may take over. */
  hold(): void {
    this.#stop();
  }

  release(): void {
    this.#prove();
  }

  close(): void {
    this.#isClosed = true;
    this.#stop();
    this.#listening.close();
  }

  #stop(): void {
    this.#stopProof?.();
    this.#stopProof = undefined;
  }

  #prove(): void {
    const listening = this.#listening;
    const service = this.#service;
    // With circuits it is a socket of our own Tor.
    const isOpen = listening.socket?.circuits === false;
    if (!this.#isReachable || this.#isClosed || !isOpen || service === undefined) return;
    if (this.#stopProof !== undefined) return;
    const { selfTest, clock, log } = this.#options;
    const before = listening.accepted;
    this.#stopProof = startSocketProof({
      selfTest,
      host: service.location.host,
      clock,
      log,
      wasUsed: () => listening.accepted > before,
      onRefused: () => void this.#useTcp(service),
    });
  }

  async #useTcp({ recreate }: Pick<OnionService, 'recreate'>): Promise<void> {
    const { openTcp, log } = this.#options;
    const socket = this.#listening;
    try {
      const tcp = await openTcp();
      if (this.#isClosed) {
        tcp.close();
        return;
      }
      this.#listening = tcp;
      socket.close();
      recreate(`Tor cannot reach ${socket.text}; it forwards to ${tcp.text} from now on`);
    } catch (error) {
      log.warn(`Tor cannot reach ${socket.text}, and TCP cannot be used`, {
        reason: errorText(error),
      });
    }
  }
}
