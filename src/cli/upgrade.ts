/** `onionmc upgrade`: the running directory continues in a new process, without a disconnect. */
import { resolveDatadir } from '../config/paths.js';
import { requestUpgrade } from '../ops/request-socket.js';
import { counted } from '../kit/decimal.js';
import { shownLine } from '../kit/shown-text.js';
import { ExitCode } from '../ops/exit.js';
import { print, printJson, printNote } from './print.js';
import { askRunning } from './running-directory.js';

interface UpgradeCommandOptions {
  readonly datadir?: string;
  readonly json?: boolean;
}

export async function runUpgrade(options: UpgradeCommandOptions): Promise<void> {
  const answer = await askRunning(resolveDatadir(options.datadir), requestUpgrade);
  if (options.json === true) printJson(answer);
  else if (answer.done) {
    const { pid, version, peers, heldMs } = answer;
    print(
      `upgraded: version ${shownLine(version)} runs as process ${pid}; ${counted(peers, 'peer')} stayed, unserved for ${Math.round(heldMs)} ms`,
    );
  }
  if (answer.done) return;
  if (options.json !== true) {
    printNote(`onionmc: not upgraded, the old program goes on: ${shownLine(answer.why)}`);
  }
  process.exitCode = ExitCode.FAILED;
}
