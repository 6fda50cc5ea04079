/** One client of the private network. Tests and the demo use it as their Tor. */
import { join } from 'node:path';
import { waitForBootstrap, type OnBootstrap } from '../../tor/process/bootstrap.js';
import type { ControlClient } from '../../tor/control/client.js';
import type { ControlEndpoint } from '../../tor/control/endpoint.js';
import { TorError } from '../../tor/tor-error.js';
import type { RunningTor } from '../../tor/process/running-tor.js';
import { launchTor, listenersOf } from '../../tor/process/tor-program.js';
import { freePorts } from './free-ports.js';
import { clientLines, COMMON_LINES } from './torrc.js';

export interface StartTorOptions {
  /** Name of its folder; default `c1`, `c2`, ... */
  readonly name?: string;
  /** Opens a cookie-authenticated control port on 127.0.0.1. */
  readonly controlPort?: boolean;
  /** Opens a cookie-authenticated control socket in its folder. */
  readonly controlSocket?: boolean;
  readonly extraTorrc?: readonly string[];
  readonly onBootstrap?: OnBootstrap;
  /** Ports to use instead of free ones: those of a killed tor. */
  readonly ports?: { readonly socks?: number; readonly control?: number };
  /** Folder to use: that of a killed tor. */
  readonly dataDir?: string;
}

export interface PrivateTor {
  readonly pid: number;
  readonly dataDir: string;
  /** The connection that owns the process; tor ends when it is closed. */
  readonly control: ControlClient;
  /** The TCP control port, else the control socket, if one was requested. */
  readonly controlEndpoint: ControlEndpoint | undefined;
  readonly controlSocket: string | undefined;
  /** 32 bytes, new at every start; only with a control port or socket. */
  readonly cookieFile: string;
  readonly socks: { readonly host: string; readonly port: number };
  /** Kills it, as a crash would; resolves when it has ended. */
  kill(): Promise<void>;
  /** Starts it again with the same ports and folder; kills it first if it runs. */
  restart(): Promise<PrivateTor>;
}

/** The facts about its network that a client needs. */
export interface ClientContext {
  readonly joinLines: readonly string[];
  readonly torProgram: string | undefined;
  readonly signal: AbortSignal;
  readonly onRunning: (running: RunningTor) => void;
}

/** The port of the first TCP listener among `GETINFO net/listeners/...` addresses. */
async function tcpPort(control: ControlClient, kind: 'socks' | 'control'): Promise<number> {
  const listeners = await listenersOf(control, kind);
  const port = listeners.map((address) => /^127\.0\.0\.1:(\d+)$/.exec(address)?.[1]).find(Boolean);
  if (port === undefined) {
    throw new TorError('process', 'bad-torrc', `tor opened no ${kind} port on 127.0.0.1`);
  }
  return Number(port);
}

/** Starts a client in a seeded folder and waits for 100 %. Rejects with a TorError. */
export async function startClient(
  dataDir: string,
  options: StartTorOptions,
  context: ClientContext,
): Promise<PrivateTor> {
  const { ports, extraTorrc = [] } = options;
  const wantsPort = options.controlPort === true || ports?.control !== undefined;
  const [anySocks = 0, anyControl = 0] = await freePorts(2);
  const controlSocket = options.controlSocket === true ? join(dataDir, 'control.sock') : undefined;
  const running = await launchTor({
    dataDir,
    torrc: [
      ...context.joinLines,
      ...COMMON_LINES,
      ...clientLines({
        socks: ports?.socks ?? anySocks,
        control: wantsPort ? (ports?.control ?? anyControl) : undefined,
        controlSocket,
      }),
      ...extraTorrc,
    ],
    signal: context.signal,
    ...(context.torProgram === undefined ? {} : { program: context.torProgram }),
  });
  context.onRunning(running);
  const { control } = running;
  try {
    const socksPort = await tcpPort(control, 'socks');
    const controlPort = wantsPort ? await tcpPort(control, 'control') : undefined;
    await waitForBootstrap(control, context.signal, options.onBootstrap);
    return {
      pid: running.pid,
      dataDir,
      control,
      controlEndpoint: endpointOf(controlPort, controlSocket),
      controlSocket,
      cookieFile: join(dataDir, 'control_auth_cookie'),
      socks: { host: '127.0.0.1', port: socksPort },
      kill: () => running.kill(),
      async restart() {
        await running.kill();
        const same = controlPort === undefined ? {} : { control: controlPort };
        return startClient(dataDir, { ...options, ports: { socks: socksPort, ...same } }, context);
      },
    };
  } catch (error) {
    await running.kill();
    throw error;
  }
}

function endpointOf(
  port: number | undefined,
  socket: string | undefined,
): ControlEndpoint | undefined {
  if (port !== undefined) return { kind: 'tcp', host: '127.0.0.1', port };
  return socket === undefined ? undefined : { kind: 'unix', path: socket };
}
