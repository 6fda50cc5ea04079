/** `onionmc admission lokinet-config`: the configuration of an exit that asks our auth server. */
import { AUTH_METHOD } from '../../admission/omq/frames.js';
import { clientAddress, type BindAddress } from '../../admission/omq/bind-address.js';
import { loadOrCreateCurveKey } from '../../admission/omq/curve-key.js';
import { admissionFiles } from '../../admission/open.js';
import { resolveDatadir } from '../../config/paths.js';
import { printFile, printNote } from '../print.js';

export interface LokinetConfigOptions {
  readonly bind: BindAddress;
  readonly datadir?: string;
  readonly method?: string;
  readonly keyfile?: string;
  readonly service?: boolean;
}

/** The lines of lokinet.ini. */
export function lokinetConfig(auth: string, options: LokinetConfigOptions): string {
  const { method = AUTH_METHOD, keyfile = '/var/lib/lokinet/exit.private', service } = options;
  const isExit = service !== true;
  return [
    '[router]',
    'min-connections=8',
    'max-connections=10',
    '',
    '[network]',
    ...(isExit ? ['exit=true'] : []),
    'reachable=1',
    'hops=2',
    'paths=8',
    `keyfile=${keyfile}`,
    'auth=lmq',
    `auth-lmq=${auth}`,
    ...(method === AUTH_METHOD ? [] : [`auth-lmq-method=${method}`]),
    '',
  ].join('\n');
}

export async function runLokinetConfig(options: LokinetConfigOptions): Promise<void> {
  const { bind } = options;
  const { curveKey } = admissionFiles(resolveDatadir(options.datadir));
  const key = bind.curve ? await loadOrCreateCurveKey(curveKey) : undefined;
  printFile(lokinetConfig(clientAddress(bind, key?.publicHex), options));
  if (bind.kind === 'tcp' && (bind.host === '0.0.0.0' || bind.host === '::')) {
    printNote(
      'onionmc: put the address by which the exit reaches this server in place of the one in auth-lmq',
    );
  }
}
