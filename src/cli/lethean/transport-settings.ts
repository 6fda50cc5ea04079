/** The transports of a client from its settings: WireGuard only with `enable-wg`. */
import { join } from 'node:path';
import type { Log } from '../../channel/log.js';
import { needed, type LetheanSettings } from '../../lethean/config/settings.js';
import type { Transport, WireGuardKeys } from '../../lethean/ports.js';
import { createTransports } from '../../lethean/transport/transports.js';
import { StoredWireGuardKeys } from '../../lethean/transport/wg-keys.js';
import type { WireGuardCommands } from '../../lethean/transport/wg-commands.js';

export interface ClientTransports {
  readonly transports: readonly Transport[];
  /** Absent: WireGuard is off. */
  readonly wireGuardKeys?: WireGuardKeys;
}

function mapped(
  list: readonly { readonly gate: string; readonly value: string }[] | undefined,
): ReadonlyMap<string, string> {
  return new Map((list ?? []).map(({ gate, value }) => [gate, value]));
}

/** The commands that are set; the others have defaults. */
function commandsOf({ values }: LetheanSettings): Partial<WireGuardCommands> {
  const all = {
    prefix: values['wg-cmd-prefix'],
    createInterface: values['wg-cmd-create-interface'],
    deleteInterface: values['wg-cmd-delete-interface'],
    setIp: values['wg-cmd-set-ip'],
    setInterfaceUp: values['wg-cmd-set-interface-up'],
    route: values['wg-cmd-route'],
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

export function transportsOf(settings: LetheanSettings, log: Log): ClientTransports {
  const { values } = settings;
  if (!needed(values, 'enable-wg')) return { transports: createTransports() };
  const folder = join(needed(values, 'var-dir'), 'wireguard');
  const keys = new StoredWireGuardKeys({ folder, mapped: mapped(values['wg-map-privkey']) });
  const transports = createTransports({
    wireGuard: {
      keys,
      journal: join(folder, 'journal.json'),
      commands: commandsOf(settings),
      devices: mapped(values['wg-map-device']),
      removesInterface: needed(values, 'wg-shutdown-on-disconnect'),
      log,
    },
  });
  return { transports, wireGuardKeys: keys };
}
