/** Makes and removes the interface of a tunnel, with a journal, so that nothing stays after a crash. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '../../kit/error-text.js';
import { isRecord } from '../../kit/json-record.js';
import type { Log } from '../../channel/log.js';
import { readStateFile, writeStateFile } from '../../ops/state-file.js';
import { hasDevice } from './net-devices.js';
import { addressFault } from './own-addresses.js';
import { makePrivateFolder } from './private-folder.js';
import { TransportError } from './transport-error.js';
import { commandOf, runCommand, type WireGuardCommands } from './wg-commands.js';
import { ipv4Mask, type TunnelAddress, type WireGuardPlan } from './wg-config.js';

const MAX_JOURNAL_BYTES = 100_000;
const MAX_ENTRIES = 50;
/** After all routes of the tunnel: what it does not reach is refused, and takes no other way. */
const LAST_METRIC = '4278198272';
const DEVICE = /^[A-Za-z][A-Za-z0-9_.-]{0,14}$/;

/** What was made, or was about to be made. */
export interface JournalEntry {
  readonly device: string;
  /** Addresses with a rule. */
  readonly rules: readonly string[];
  /** It stays at the end of a session (`wg-shutdown-on-disconnect=0`). */
  readonly stays: boolean;
}

export interface InterfacesOptions {
  readonly commands: WireGuardCommands;
  /** The `wg` program. */
  readonly wg: string;
  /** A file of this client. */
  readonly journal: string;
  /** Number of the table of routes. */
  readonly table: number;
  readonly stays: boolean;
  readonly log: Log;
}

const NEVER = new AbortController().signal;

function parseJournal(bytes: Uint8Array | undefined): readonly JournalEntry[] {
  if (bytes === undefined) return [];
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return [];
  }
  return (Array.isArray(value) ? value : []).slice(0, MAX_ENTRIES).flatMap((entry: unknown) => {
    if (!isRecord(entry)) return [];
    const { device, rules, stays } = entry;
    if (typeof device !== 'string' || !DEVICE.test(device) || !Array.isArray(rules)) return [];
    const addresses = rules.filter(
      (rule): rule is string => typeof rule === 'string' && /^[0-9A-Fa-f.:]{2,45}$/.test(rule),
    );
    return [{ device, rules: addresses, stays: stays === true }];
  });
}

export class WireGuardInterfaces {
  readonly #options: InterfacesOptions;

  constructor(options: InterfacesOptions) {
    this.#options = options;
  }

  /** Makes the interface of a plan, and everything it needs. Rejects with a TransportError; nothing is left then. */
  async create(plan: WireGuardPlan, signal: AbortSignal): Promise<void> {
    const { device, addresses } = plan;
    const known = (await this.#journal()).find((entry) => entry.device === device);
    if (known !== undefined) await this.#remove(known);
    if (hasDevice(device)) {
      throw new TransportError(
        'unsupported',
        `the interface ${device} exists and was not made by this client: remove it, or set wg-map-device`,
      );
    }
    for (const { ip } of addresses) {
      const fault = addressFault(ip, device);
      if (fault === undefined) continue;
      throw new TransportError(
        'unsupported',
        `the provider gives this machine the address ${ip}, which ${fault}: connections of others could be led into the tunnel; choose another gate`,
      );
    }
    const rules = this.#hasTable ? addresses.map(({ ip }) => ip) : [];
    const entry = { device, rules, stays: this.#options.stays };
    await this.#write([...(await this.#journal()), entry]);
    try {
      await this.#build(plan, signal);
    } catch (error) {
      await this.#remove(entry);
      throw error;
    }
  }

  /**
   * After the end of a tunnel; `always` after one that never stood. What could not be removed is told, and tried again later.
   */
  async end(device: string, always = false): Promise<void> {
    const entry = (await this.#journal()).find((each) => each.device === device);
    if (entry === undefined || (entry.stays && !always)) return;
    await this.#remove(entry);
  }

  /** Removes what an earlier process left. */
  async cleanUp(): Promise<void> {
    for (const entry of await this.#journal()) {
      // oxlint-disable-next-line no-await-in-loop -- each changes the journal
      if (!entry.stays) await this.#remove(entry);
    }
  }

  /** Seconds since 1970 of the last handshake; 0 without one. Rejects when there is no such interface. */
  async lastHandshake(device: string, signal: AbortSignal): Promise<number> {
    const output = await this.#run(
      '{wg} show {iface} latest-handshakes',
      { iface: device },
      signal,
    );
    return Number(/\t(\d{1,12})\s*$/.exec(output)?.[1] ?? 0);
  }

  get #hasTable(): boolean {
    return this.#options.commands.route.includes('{table}');
  }

  async #build(plan: WireGuardPlan, signal: AbortSignal): Promise<void> {
    const { commands } = this.#options;
    const { device, addresses, networks, gateways } = plan;
    const run = (
      template: string,
      values: Readonly<Record<string, string>> = {},
    ): Promise<string> => this.#run(template, { iface: device, ...values }, signal);
    await run(commands.createInterface);
    const folder = await makePrivateFolder();
    try {
      const file = join(folder, 'wg.conf');
      await writeFile(file, plan.config, { mode: 0o600 });
      await run('{wg} setconf {iface} {file}', { file });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    for (const address of addresses) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      await run(commands.setIp, valuesOf(address));
    }
    await run(commands.setInterfaceUp);
    if (this.#hasTable) {
      for (const { ip, family } of addresses) {
        const values = { ip, family: String(family) };
        // oxlint-disable no-await-in-loop -- in order
        await run('ip -{family} route add unreachable default metric {metric} table {table}', {
          ...values,
          metric: LAST_METRIC,
        });
        await run('ip -{family} rule add from {ip} table {table}', values);
        // oxlint-enable no-await-in-loop
      }
    }
    for (const network of networks) {
      if (!addresses.some(({ family }) => family === network.family)) continue;
      const { ip, prefix, family } = network;
      const values = { ...valuesOf(network), network: `${ip}/${prefix}`, gw: gateways[family] };
      // oxlint-disable-next-line no-await-in-loop -- in order
      await run(commands.route, values);
    }
  }

  async #remove(entry: JournalEntry): Promise<void> {
    const { commands, log } = this.#options;
    const attempt = async (
      template: string,
      values: Readonly<Record<string, string>>,
    ): Promise<void> => {
      await this.#run(template, { iface: entry.device, ...values }, NEVER).catch((error: unknown) =>
        log.debug('a command of WireGuard failed at the end', { error: errorText(error) }),
      );
    };
    for (const ip of entry.rules) {
      const family = ip.includes(':') ? '6' : '4';
      // oxlint-disable no-await-in-loop -- in order
      await attempt('ip -{family} rule delete from {ip} table {table}', { ip, family });
      await attempt('ip -{family} route delete unreachable default metric {metric} table {table}', {
        family,
        metric: LAST_METRIC,
      });
      // oxlint-enable no-await-in-loop
    }
    if (hasDevice(entry.device)) await attempt(commands.deleteInterface, {});
    if (hasDevice(entry.device)) {
      log.warn('the interface of a tunnel could not be removed', { interface: entry.device });
      return;
    }
    const rest = (await this.#journal()).filter(({ device }) => device !== entry.device);
    await this.#write(rest);
  }

  #run(
    template: string,
    values: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<string> {
    const { commands, wg, table } = this.#options;
    // An empty command of the settings does nothing, as in the reference.
    if (template === '') return Promise.resolve('');
    const all = { ...values, wg, table: String(table) };
    return runCommand(commandOf(commands.prefix, template, all), signal);
  }

  async #journal(): Promise<readonly JournalEntry[]> {
    return parseJournal(await readStateFile(this.#options.journal, MAX_JOURNAL_BYTES));
  }

  #write(entries: readonly JournalEntry[]): Promise<void> {
    return writeStateFile(
      this.#options.journal,
      `${JSON.stringify(entries.slice(-MAX_ENTRIES))}\n`,
    );
  }
}

function valuesOf({ ip, prefix, family }: TunnelAddress): Readonly<Record<string, string>> {
  return {
    ip,
    prefix: String(prefix),
    mask: family === 4 ? ipv4Mask(prefix) : '',
    af: family === 4 ? 'ipv4' : 'ipv6',
    type: family === 4 ? 'static' : '',
  };
}
