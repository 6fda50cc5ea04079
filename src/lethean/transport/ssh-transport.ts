/** Gates that are SSH servers, plain or inside TLS: the system's `ssh` with a SOCKS socket (section 4.2). */
import type { Duplex } from 'node:stream';
import { hostAndPort } from '../../kit/host-name.js';
import type { Gate } from '../model.js';
import type { Transport, Tunnel, TunnelEnd, TunnelTarget } from '../ports.js';
import { connectTcp, DIAL_TIMEOUT_MS, dialGate, withDeadline } from './dial.js';
import { OpenStreams } from './open-streams.js';
import { socksConnect } from './socks-connect.js';
import { knownHosts } from './ssh-identity.js';
import { SshProcess } from './ssh-process.js';
import { isRefusal, TransportError } from './transport-error.js';

export interface SshTransportOptions {
  /** Default `ssh`, from the PATH. */
  readonly program?: string;
  /** Host keys that a person pinned for a gate, in the form of OpenSSH. */
  readonly hostKeys?: (gate: Gate) => readonly string[];
  /** Seconds between signs of life; default 15. After three without an answer ssh ends. */
  readonly aliveSeconds?: number;
  /** Milliseconds until the tunnel stands; default 20,000. */
  readonly timeoutMs?: number;
}

const ALIVE_SECONDS = 15;
const ALIVE_COUNT = 3;

class SshTunnel implements Tunnel {
  readonly kind: Gate['type'];
  readonly #ssh: SshProcess;
  readonly #timeoutMs: number;
  readonly #streams = new OpenStreams();

  constructor(kind: Gate['type'], ssh: SshProcess, timeoutMs: number) {
    this.kind = kind;
    this.#ssh = ssh;
    this.#timeoutMs = timeoutMs;
    void ssh.ended.then((error) =>
      this.#streams.end({ kind: isRefusal(error) ? 'refused' : 'lost', reason: error.message }),
    );
  }

  get ended(): Promise<TunnelEnd> {
    return this.#streams.ended;
  }

  bytes(): { readonly sent: number; readonly received: number } {
    return this.#streams.bytes();
  }

  /** ssh has no reply for a destination that refuses: it closes the request (findings/ssh-dynamic-forward.sh). */
  connect(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
    return this.#streams.add(signal, (either) =>
      withDeadline(this.#timeoutMs, either, 'a connection through ssh', async (limited) => {
        const socket = await connectTcp({ path: this.#ssh.socket }, limited);
        const stop = (): void => void socket.destroy();
        limited.addEventListener('abort', stop, { once: true });
        try {
          return { socket, handshake: await socksConnect(socket, host, port, undefined) };
        } catch (error) {
          socket.destroy();
          throw error;
        } finally {
          limited.removeEventListener('abort', stop);
        }
      }),
    );
  }

  async close(): Promise<void> {
    this.#streams.end({ kind: 'closed' });
    await this.#ssh.stop();
  }
}

/** Transport of the gates that are SSH servers. */
export class SshTransport implements Transport {
  readonly #options: SshTransportOptions;

  constructor(options: SshTransportOptions = {}) {
    this.#options = options;
  }

  serves(gate: Gate): boolean {
    return gate.type === 'ssh' || gate.type === 'tls-ssh';
  }

  /**
   * Resolves when the gate has accepted the key of the session. Rejects with a TransportError; no process and no file
   * is left then.
   */
  async open(target: TunnelTarget, signal: AbortSignal): Promise<Tunnel> {
    const { gate, session, provider } = target;
    const { program = 'ssh', aliveSeconds = ALIVE_SECONDS, hostKeys } = this.#options;
    const timeoutMs = this.#options.timeoutMs ?? DIAL_TIMEOUT_MS;
    if (gate.type !== 'ssh' && gate.type !== 'tls-ssh') {
      throw new TransportError('unsupported', `a gate of type ${gate.type} is not an SSH server`);
    }
    if (session.ssh === undefined) {
      throw new TransportError('unsupported', 'the provider gave no SSH key for this session');
    }
    const { key, certificate } = session.ssh;
    const { host, port, username } = gate.ssh;
    const ca = gate.ca.length > 0 ? gate.ca : provider.ca;
    const known = knownHosts(ca, hostKeys?.(gate) ?? [], host, port);
    const at = hostAndPort(host, port);
    return withDeadline(timeoutMs, signal, `ssh to ${at}`, async (limited) => {
      const tls = gate.type === 'tls-ssh' || gate.ssh.tls;
      const connection = await dialGate({ host, port, tls }, ca, limited);
      const ssh = await SshProcess.start({
        program,
        place: { host, port, user: username },
        alive: { seconds: aliveSeconds, count: ALIVE_COUNT },
        knownHosts: known,
        key,
        certificate,
        connection,
      });
      try {
        await ssh.ready(limited);
        return new SshTunnel(gate.type, ssh, timeoutMs);
      } catch (error) {
        await ssh.stop();
        throw error;
      }
    });
  }
}
