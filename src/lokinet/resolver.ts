/**
 * Look-ups through Lokinet's own resolver, the only way to its names. The system's resolver and its
 * `hosts` file are never asked, and only names of Lokinet and addresses that connected to us are looked up.
 * Each look-up uses a resolver of its own: it can be aborted alone, and no answer is kept.
 */
import { Resolver } from 'node:dns/promises';
import { hostAndPort } from '../kit/host-name.js';
import { parseLokiName } from '../protocol/loki-address.js';
import {
  isTimeout,
  lookUpError,
  LookUpError,
  noPath,
  type ResolverAddress,
} from './lokinet-error.js';

/** One SRV record of a service. */
export interface ServiceRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** Lokinet's name for itself, in its resolver. */
export const OWN_NAME = 'localhost.loki';
/** The service of a directory or peer in SRV records. */
const SERVICE = '_joinmarket._tcp';
/**
 * Longest wait for one answer. Node.js 20.17 and later (c-ares 1.32) wait no longer, whatever `timeout` is, and
 * take no answer to an earlier try (findings/node-resolver-timeout.sh).
 */
const ANSWER_MS = 5_000;
/** Questions about one name: Lokinet may need that long for a path, some two minutes. It gives up earlier by itself. */
const PATH_QUESTIONS = 24;

/** The addresses that Lokinet maps names to are private, or, in tests, of this machine. */
const PRIVATE = /^(?:127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)/;

/** The name for the look-up of an address; undefined for anything but IPv4. */
function reverseName(address: string): string | undefined {
  const plain = address.replace(/^::ffff:/, '');
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(plain)) return undefined;
  return `${plain.split('.').toReversed().join('.')}.in-addr.arpa`;
}

/** The first of some names that is the address of a service. */
function serviceAddress(names: readonly string[]): string | undefined {
  return names
    .map((name) => name.toLowerCase().replace(/\.$/, ''))
    .find((name) => {
      const read = parseLokiName(name);
      return read.ok && read.value.kind === 'address' && read.value.subdomain === '';
    });
}

/** Asks the resolver of one Lokinet. All calls reject with a LookUpError. */
export class LokinetResolver {
  readonly at: ResolverAddress;
  readonly #pathQuestions: number;

  constructor(at: ResolverAddress, pathQuestions = PATH_QUESTIONS) {
    this.at = at;
    this.#pathQuestions = pathQuestions;
  }

  /**
   * The private address that Lokinet maps a name to, after it has built a path. Throws a RangeError for a
   * name that is not Lokinet's.
   */
  async addressOf(host: string, signal: AbortSignal): Promise<string> {
    this.#checkName(host);
    return this.#mapped(await this.#askForPath(signal, (dns) => dns.resolve4(host)));
  }

  /** The SRV records of the directory or peer at a name, the preferred one first. */
  async servicesOf(host: string, signal: AbortSignal): Promise<readonly ServiceRecord[]> {
    if (host !== OWN_NAME) this.#checkName(host);
    const question = (dns: Resolver) => dns.resolveSrv(`${SERVICE}.${host}`);
    const records = await (host === OWN_NAME
      ? this.#ask(signal, question)
      : this.#askForPath(signal, question));
    return records
      .map(({ priority, weight, port, name }) => ({ priority, weight, port, target: name }))
      .filter(({ target, port }) => port > 0 && [host, OWN_NAME].includes(target.toLowerCase()))
      .toSorted((a, b) => a.priority - b.priority || b.weight - a.weight);
  }

  /** The address of this Lokinet, `<52 characters>.loki`. */
  async ownName(signal: AbortSignal): Promise<string> {
    const names = await this.#ask(signal, (dns) => dns.resolveCname(OWN_NAME));
    const own = serviceAddress(names);
    if (own !== undefined) return own;
    throw new LookUpError('no-name', `Lokinet's resolver does not tell its own address`);
  }

  /** The private address of this Lokinet's interface: services listen there. */
  async ownAddress(signal: AbortSignal): Promise<string> {
    return this.#mapped(await this.#ask(signal, (dns) => dns.resolve4(OWN_NAME)));
  }

  /** The `.loki` address of the peer behind a mapped address; undefined when Lokinet names none. */
  async hostOf(address: string, signal: AbortSignal): Promise<string | undefined> {
    const name = reverseName(address);
    if (name === undefined) return undefined;
    // Not `reverse`, which reads the file of hosts first.
    return serviceAddress(await this.#ask(signal, (dns) => dns.resolvePtr(name)));
  }

  #checkName(host: string): void {
    const name = parseLokiName(host);
    if (!name.ok || name.value.kind === 'router') throw new RangeError(`no service: ${host}`);
  }

  #mapped([address]: readonly string[]): string {
    if (address !== undefined && PRIVATE.test(address)) return address;
    const { host, port } = this.at;
    throw new LookUpError(
      'foreign',
      `the resolver at ${hostAndPort(host, port)} is not Lokinet's, since it maps the name to a public address: correct dns in the section with type = lokinet`,
    );
  }

  /**
   * Asks again while Lokinet builds a path: it answers at once when it has one. A resolver that does not even answer
   * about itself is not there.
   */
  async #askForPath<T>(signal: AbortSignal, question: (dns: Resolver) => Promise<T>): Promise<T> {
    for (let asked = 1; asked < this.#pathQuestions; asked += 1) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one question after the other
        return await this.#ask(signal, question);
      } catch (error) {
        if (!isTimeout(error)) throw error;
      }
      // oxlint-disable-next-line no-await-in-loop
      await this.ownAddress(signal);
    }
    return this.#ask(signal, question).catch((error: unknown) => {
      throw isTimeout(error) ? noPath(error) : error;
    });
  }

  async #ask<T>(signal: AbortSignal, question: (dns: Resolver) => Promise<T>): Promise<T> {
    if (signal.aborted) throw new LookUpError('aborted', 'aborted');
    const dns = new Resolver({ timeout: ANSWER_MS, tries: 1 });
    dns.setServers([hostAndPort(this.at.host, this.at.port)]);
    const abort = (): void => dns.cancel();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await question(dns);
    } catch (error) {
      throw lookUpError(error, this.at);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}
