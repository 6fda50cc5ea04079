/** The audit of directories with its file of evidence. */
import { createAudit, type Audit } from '../audit/audit.js';
import { parseEvidence } from '../audit/evidence.js';
import type { Log } from '../channel/log.js';
import type { OnionMessageChannel } from '../channel/message-channel.js';
import type { Clock } from '../channel/ports.js';
import { openEvidenceFile, readEvidenceFile } from '../ops/evidence-file.js';
import { errorFields } from '../kit/error-text.js';
import type { EvidenceRecord } from '../orderbook/book-api.js';

export const EVIDENCE_FILE = 'directory-evidence.jsonl';

/** Options of an audit that keeps its evidence in a file. */
export interface DirectoryAuditOptions {
  /** The channel whose directories are compared. */
  readonly channel: OnionMessageChannel;
  /** The time of rounds and flags. */
  readonly clock: Clock;
  /** Receives the log lines of the audit. */
  readonly log: Log;
  /** The file of evidence; created when missing, mode 0600. */
  readonly path: string;
}

/** A running audit with its file. */
export interface DirectoryAuditRole extends Omit<Audit, 'close'> {
  /** Stops the audit and writes the remaining records; never rejects. */
  close(): Promise<void>;
}

/**
 * Starts comparing directories and routing by the result. A file that cannot be used causes only a
 * warning.
 */
export async function startDirectoryAudit(
  options: DirectoryAuditOptions,
): Promise<DirectoryAuditRole> {
  const { channel, clock, log, path } = options;
  const warn = (error: unknown): void =>
    log.warn('the evidence of the directory audit cannot be stored', {
      path,
      ...errorFields(error),
    });
  const file = openEvidenceFile<EvidenceRecord>({ path, onError: warn });
  const former = await readEvidenceFile(path, parseEvidence).catch((error: unknown) => {
    warn(error);
    return [];
  });
  const audit = createAudit({
    channel,
    clock,
    log,
    formerEvidence: former,
    onEvidence: (record) => file.append(record),
  });
  return {
    asked: () => audit.asked(),
    report: (directory) => audit.report(directory),
    avoid: (directory, maker) => audit.avoid(directory, maker),
    get evidence() {
      return audit.evidence;
    },
    close() {
      audit.close();
      return file.close();
    },
  };
}
