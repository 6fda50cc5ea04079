/** Access codes of exits, decided by the engine of `src/admission` as it decides about the clients of a Lokinet endpoint. */
import { parseAuthInfo } from '../../admission/omq/auth-info.js';
import type { AdmissionEngine } from '../../admission/engine.js';
import type { AccessRequest, AccessVerdict } from '../../llarp/exit/access.js';
import { lokiHost } from '../../protocol/loki-address.js';

/**
 * For `ExitsOptions.admits`. A client's address is that of its key, so a code that is bound to an address fits a client
 * that keeps its key.
 * @param now Unix milliseconds
 */
export function accessByCode(
  engine: Pick<AdmissionEngine, 'decide'>,
  now: () => number,
): (request: AccessRequest) => Promise<AccessVerdict> {
  return async ({ metainfo, code }) => {
    const info = parseAuthInfo(metainfo);
    if (!info.ok) return 'REJECT';
    const address = lokiHost(info.value.sender.signingKey);
    const { verdict } = await engine.decide({ door: 'lokinet', address, code, now: now() });
    return verdict;
  };
}
