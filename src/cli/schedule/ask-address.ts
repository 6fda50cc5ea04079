/** Asks for the address of a step at the terminal. */
import { addressFaultText, parseAddress } from '../../bitcoin/address.js';
import { shownLine } from '../../kit/shown-text.js';
import type { SchedulePlace } from '../../roles/schedule-files.js';
import type { SchedulePorts } from '../../schedule/run.js';
import { UsageError } from '../errors.js';
import { StoppedError, type Asker } from '../wallet/terminal.js';

/** How often a person may answer again. */
const ATTEMPTS = 10;

export function addressAsker(
  asker: Asker,
  { path, network }: SchedulePlace,
): SchedulePorts['address'] {
  return async (step) => {
    if (!asker.canAsk) {
      throw new UsageError(
        `step ${step + 1} needs an address, and there is no terminal to ask at: write one in place of its addrask in ${path}, and run it again`,
      );
    }
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one question after the other
      const text = (await asker.line(`A new address for step ${step + 1}: `)).trim();
      const parsed = parseAddress(text, network);
      if (parsed.ok) return { kind: 'address', address: text, script: parsed.value.script };
      asker.show(
        `${shownLine(text, 100)} ${addressFaultText(parsed.reason)} (this wallet is of ${network})`,
      );
    }
    throw new StoppedError(`no address for step ${step + 1} after ${ATTEMPTS} attempts`);
  };
}
