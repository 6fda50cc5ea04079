/** What the checks of `lokinet-checks.ts` do: Lokinet's resolver, its RPC, the record of the service. */
import type { LokinetSettings } from '../config/lokinet-settings.js';
import { errorText } from '../kit/error-text.js';
import { hostAndPort } from '../kit/host-name.js';
import { iniLineOf, lokinetIni } from '../lokinet/lokinet-ini.js';
import { startLokinet } from '../lokinet/lokinet-error.js';
import { LokinetResolver, OWN_NAME } from '../lokinet/resolver.js';
import { createLokinetRpc, RpcError, ZEROMQ_LINE } from '../lokinet/rpc.js';
import { note, ok, wrong, type Check, type Machine } from './check.js';

/** Whether the program has an address in Lokinet. */
const serves = ({ serve }: LokinetSettings, { role }: Machine): boolean =>
  serve && (role === 'directory' || role === 'maker');

/** Whether lokinet.ini names the port of the service. */
async function hasRecord(resolver: LokinetResolver, port: number, signal: AbortSignal) {
  const records = await resolver.servicesOf(OWN_NAME, signal).catch(() => []);
  return records.some((record) => record.port === port);
}

export const lokinetRuns: { readonly resolver: Check['run']; readonly rpc: Check['run'] } = {
  async resolver(facts, machine) {
    const settings = facts.get('lokinet');
    const { dns, virtualPort } = settings;
    const { signal, role } = machine;
    const resolver = new LokinetResolver(dns);
    const at = hostAndPort(dns.host, dns.port);
    let host: string;
    try {
      host = await resolver.ownName(signal);
      await resolver.ownAddress(signal);
    } catch (error) {
      return wrong(`Lokinet's resolver at ${at}: ${errorText(error)}`, startLokinet(dns));
    }
    if (!serves(settings, machine)) return ok(`its resolver at ${at} answers`);
    // A maker takes any port, and nobody looks for it.
    if (role === 'directory' && !(await hasRecord(resolver, virtualPort, signal))) {
      return note(
        `its resolver at ${at} answers, as ${host}; no SRV record names the port ${virtualPort}`,
        `so that peers need not know the port, add to lokinet.ini and restart Lokinet: ${lokinetIni(virtualPort).replaceAll('\n', ', ')}`,
      );
    }
    return ok(
      `its resolver at ${at} answers, as ${host}${role === 'directory' ? `; ${iniLineOf(virtualPort)}` : ''}`,
    );
  },

  async rpc(facts, { signal }) {
    const { rpc: address } = facts.get('lokinet');
    if (address === undefined) {
      return note(
        'rpc is empty: the state of Lokinet is not known',
        `to see it here and on the status page: rpc = tcp://127.0.0.1:1190, and ${ZEROMQ_LINE}`,
      );
    }
    const rpc = createLokinetRpc(address);
    try {
      const version = await rpc.version(signal);
      const { networkReady, paths = 0, peers = 0 } = await rpc.status(signal);
      const figures = `${paths} paths, connected to ${peers} routers`;
      return networkReady === false
        ? wrong(
            `${version} is not ready: ${figures}`,
            'wait some minutes; then restart Lokinet, and look at its log (journalctl -u lokinet -e)',
          )
        : ok(`${version}, ${figures}`);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      return wrong(
        error.message,
        error.code === 'package'
          ? ZEROMQ_LINE
          : `correct rpc, or leave it empty: it is only needed to see the state of Lokinet`,
      );
    } finally {
      rpc.close();
    }
  },
};
