/** `onionmc upgrade`: the running directory continues in a new process, without a disconnect. */
import { resolveDatadir } from '../config/paths.js';
import { NobodyRunsError, requestUpgrade, type UpgradeAnswer } from '../ops/request-socket.js';
import { counted } from '../kit/decimal.js';
import { shownLine } from '../kit/shown-text.js';
import { ExitCode } from '../ops/exit.js';
import { UnreachableError } from './errors.js';
import { print, printJson, printNote } from './print.js';

interface UpgradeCommandOptions {
  readonly datadir?: string;
  readonly json?: boolean;
}

async function ask(datadir: string): Promise<UpgradeAnswer> {
  try {
    return await requestUpgrade(datadir);
  } catch (error) {
    if (!(error instanceof NobodyRunsError)) throw error;
    throw new UnreachableError(
      `no directory runs with the data directory ${datadir} (${error.message}); start it, or give its --datadir`,
      { cause: error },
    );
  }
}

export async function runUpgrade(options: UpgradeCommandOptions): Promise<void> {
  const answer = await ask(resolveDatadir(options.datadir));
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
