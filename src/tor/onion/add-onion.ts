/** ADD_ONION: the command, its refusals, and proof of work if Tor supports it. */
import type { Log } from '../../channel/log.js';
import type { ControlClient } from '../control/client.js';
import type { Reply } from '../control/reply.js';
import { versionAtLeast } from '../../kit/version-numbers.js';
import { infoValue, parseAddedOnion, parseTorVersion } from '../control/values.js';
import { isFiltered, isRefusal, TorError } from '../tor-error.js';

/** The address to which Tor forwards connections of peers. */
export type OnionTarget =
  { readonly host: string; readonly port: number } | { readonly unix: string };

/**
 * The queue of rendezvous requests under proof-of-work defences: `rate` requests a second are answered,
 * `burst` at once. Requests that wait longer than about a minute are dropped, so `burst + 60 * rate`
 * must exceed the number of peers that return together after a restart.
 */
export interface PowQueue {
  /** Requests per second that leave the queue. */
  readonly rate: number;
  /** Requests that may leave at once. */
  readonly burst: number;
}

/**
 * For a maker, with the values of deployed ones: 1,750 peers within a minute, more than the network
 * has, while an attacker costs Tor 2-3 % of a core (about 1 ms for each rendezvous circuit).
 */
export const DEFAULT_POW_QUEUE: PowQueue = { rate: 25, burst: 250 };

/**
 * For a directory with up to 10,000 peers, which all return at once after its restart: 14,000 within a
 * minute.
 */
export const DIRECTORY_POW_QUEUE: PowQueue = { rate: 200, burst: 2_000 };

/** The first Tor that accepts PoWDefensesEnabled in ADD_ONION. */
const FIRST_VERSION_WITH_POW = [0, 4, 9, 2];

export interface AddOnionRequest {
  /** `NEW:ED25519-V3` or `ED25519-V3:<base64>`. */
  readonly key: string;
  readonly virtualPort: number;
  readonly target: OnionTarget;
  /** Undefined: do not ask for proof of work. */
  readonly pow: PowQueue | undefined;
  /** Public keys of the only clients that may find it, in base32; undefined: every client may. */
  readonly clients?: readonly string[] | undefined;
}

function badTarget(what: string): TorError {
  return new TorError('add-onion', 'bad-target', `an onion service cannot lead to ${what}`, {
    remedy: 'configuration',
  });
}

const isPort = (port: number) => Number.isInteger(port) && port >= 1 && port <= 65_535;

/**
 * The `Port=` argument. Throws a TorError (`add-onion`, `bad-target`) for a target that ADD_ONION
 * cannot express.
 */
export function portArgument(virtualPort: number, target: OnionTarget): string {
  if (!isPort(virtualPort)) throw badTarget(`virtual port ${virtualPort}`);
  if ('unix' in target) {
    if (!/^\/[^\s"\\]*$/.test(target.unix)) {
      throw badTarget(`unix:${target.unix} (write an absolute path without blanks or quotes)`);
    }
    return `Port=${virtualPort},unix:${target.unix}`;
  }
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  if (!isPort(target.port) || !/^[^\s",=]+$/.test(host)) throw badTarget(`${host}:${target.port}`);
  return `Port=${virtualPort},${host}:${target.port}`;
}

function commandLine(request: AddOnionRequest, pow: PowQueue | undefined): string {
  const { key, clients } = request;
  const words = ['ADD_ONION', key, ...(clients === undefined ? [] : ['Flags=V3Auth'])];
  if (pow !== undefined) {
    words.push('PoWDefensesEnabled=1', `PoWQueueRate=${pow.rate}`, `PoWQueueBurst=${pow.burst}`);
  }
  words.push(portArgument(request.virtualPort, request.target));
  for (const client of clients ?? []) words.push(`ClientAuthV3=${client}`);
  return words.join(' ');
}

/** A command that is unknown or not allowed: 510 to 513. */
function refusesTheWords(error: unknown): error is TorError {
  const code = isRefusal(error) ? (error.reply?.code ?? 0) : 0;
  return code >= 510 && code <= 513;
}

/** Tor's refusal of ADD_ONION, with the fix. */
function explain(error: unknown, { virtualPort, target }: AddOnionRequest): unknown {
  if (!(error instanceof TorError) || error.reply === undefined) return error;
  const { code, text } = error.reply;
  const said = `Tor refused the onion service: ${code} ${text}`;
  const details = { reply: error.reply, cause: error } as const;
  if (code === 550 && /collision/i.test(text)) {
    return new TorError(
      'add-onion',
      'collision',
      `${said}. Another process (or the torrc of this Tor) serves this address already. Fix: stop it (or restart Tor, where it is gone and Tor has not noticed), or use another hidden_service_dir`,
      { ...details, remedy: 'configuration' },
    );
  }
  if (/failed to decode|invalid key type|generate onion address/i.test(text)) {
    return new TorError('add-onion', 'bad-key', `${said}. Fix: restore the onion key`, {
      ...details,
      remedy: 'configuration',
    });
  }
  if (/non-anonymous hidden service mode/i.test(text)) {
    return new TorError(
      'add-onion',
      'rejected',
      `${said}. This Tor runs in single-onion mode, without anonymity for us. Fix: use another Tor, or remove HiddenServiceNonAnonymousMode from torrc`,
      { ...details, remedy: 'configuration' },
    );
  }
  if (isFiltered(error)) {
    return new TorError(
      'add-onion',
      'rejected',
      `${said}: a filter stands in front of the control port. Fix: let it allow "ADD_ONION ED25519-V3:KEY ${portArgument(virtualPort, target)}" (docs/troubleshooting.md, "control filter")`,
      { ...details, remedy: 'configuration' },
    );
  }
  return new TorError('add-onion', 'rejected', said, details);
}

/** Why Tor may have refused proof of work; a filter may hide its version. */
async function reasonWithoutPow(client: ControlClient, refused: TorError): Promise<string> {
  if (isFiltered(refused)) return 'a filter in front of the control port refuses them';
  try {
    const version = infoValue(await client.command('GETINFO version'), 'version') ?? '';
    const numbers = parseTorVersion(version);
    return numbers !== undefined && !versionAtLeast(numbers, FIRST_VERSION_WITH_POW)
      ? `Tor ${version} cannot; 0.4.9.2 or later can`
      : `this Tor (${version}) refuses them`;
  } catch (error) {
    if (isRefusal(error)) return 'this Tor refuses them';
    throw error;
  }
}

export interface OnionAdded {
  /** 62 characters, with `.onion`. */
  readonly host: string;
  /** `ED25519-V3:<base64>`; present when Tor made the key. */
  readonly privateKey: string | undefined;
  /** Whether proof-of-work defences are on; if not, the reason. */
  readonly pow: { readonly on: true } | { readonly on: false; readonly reason: string };
}

/**
 * Adds the service to this control connection. Requests proof-of-work defences, and repeats the command
 * without them when Tor or a filter refuses those words. Rejects with a TorError of step `add-onion`
 * (`collision`, `bad-key`, `bad-target`, `rejected`, `bad-reply`), or of the control connection.
 */
export async function addOnion(
  client: ControlClient,
  request: AddOnionRequest,
  log: Log,
): Promise<OnionAdded> {
  let { pow } = request;
  let reason = 'not asked for';
  let reply: Reply;
  try {
    try {
      reply = await client.command(commandLine(request, pow));
    } catch (error) {
      if (pow === undefined || !refusesTheWords(error)) throw error;
      log.debug('Tor refused proof of work', { reply: error.message });
      pow = undefined;
      reply = await client.command(commandLine(request, pow));
      reason = await reasonWithoutPow(client, error);
    }
  } catch (error) {
    throw explain(error, request);
  }
  const added = parseAddedOnion(reply);
  if (!added.ok) {
    throw new TorError(
      'add-onion',
      'bad-reply',
      `the answer to ADD_ONION cannot be read (${added.reason})`,
    );
  }
  return { ...added.value, pow: pow === undefined ? { on: false, reason } : { on: true } };
}
