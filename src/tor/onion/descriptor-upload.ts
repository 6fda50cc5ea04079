/**
 * Decides when an onion service is reachable. Tor publishes two descriptors (of this time period and
 * the next), each to several HSDirs, and a client may ask for either. So every descriptor that was
 * CREATED must be sent, and every UPLOAD answered. Pure bookkeeping over HS_DESC.
 *
 * A filter in front of the control port may remove CREATED and replace the names of HSDirs and
 * descriptors. Then it is unknown when all are uploaded, and only known whether any upload was
 * accepted.
 */
import type { HsDescEvent } from '../control/values.js';

const MAX_DESCRIPTORS = 16;
const MAX_HSDIRS = 256;

export interface UploadProgress {
  /** Uploads started, accepted and refused. */
  readonly sent: number;
  readonly uploaded: number;
  readonly failed: number;
  /** Every upload of every descriptor was answered, and at least one of each was accepted. */
  readonly complete: boolean;
  /**
   * At least one upload of every descriptor was accepted; others may be unanswered. If a filter hides
   * the descriptors: any upload.
   */
  readonly partly: boolean;
  /** The events are rewritten, so `complete` never becomes true. */
  readonly rewritten: boolean;
}

export interface UploadWatch {
  /** One event of this service; the caller filters the others. */
  note(event: HsDescEvent): UploadProgress;
  progress(): UploadProgress;
}

type UploadState = 'pending' | 'uploaded' | 'failed';

/** Tor names an HSDir `$FINGERPRINT~nickname`; CREATED has none. */
function isRewritten({ action, hsDir }: HsDescEvent): boolean {
  return (action === 'UPLOAD' || action === 'UPLOADED') && !hsDir.startsWith('$');
}

const UPLOAD_FAULTS: ReadonlySet<string> = new Set(['UPLOAD_REJECTED', 'UNEXPECTED']);

/** A client of this Tor, perhaps this program, fetched the descriptor or tried to. */
function isFetch({ action, reason }: HsDescEvent): boolean {
  if (action === 'FAILED') return reason !== undefined && !UPLOAD_FAULTS.has(reason);
  return action === 'REQUESTED' || action === 'RECEIVED' || action === 'IGNORE';
}

/** Bounded: at most 16 descriptors and 256 HSDirs; further ones are ignored. */
export function uploadWatch(): UploadWatch {
  const created = new Set<string>();
  /** For each HSDir its descriptors, in the order in which they were sent. */
  const byHsDir = new Map<string, Map<string, UploadState>>();
  /** The actions of the events, whatever descriptor they are about. */
  const words = { sent: 0, uploaded: 0, failed: 0 };
  let rewritten = false;

  function sent(hsDir: string, id: string): void {
    const uploads = byHsDir.get(hsDir);
    if (uploads === undefined) {
      if (byHsDir.size < MAX_HSDIRS) byHsDir.set(hsDir, new Map([[id, 'pending']]));
      return;
    }
    // Sent again (Tor does so after a change of introduction points): the last upload counts.
    uploads.delete(id);
    if (uploads.size < MAX_DESCRIPTORS) uploads.set(id, 'pending');
  }

  const oldestPending = (uploads: Map<string, UploadState>) =>
    [...uploads].find(([, state]) => state === 'pending')?.[0];

  /** UPLOADED does not name the descriptor: take the one that has waited longest. */
  function uploaded(hsDir: string): void {
    const uploads = byHsDir.get(hsDir);
    const id = uploads === undefined ? undefined : oldestPending(uploads);
    if (id !== undefined) uploads?.set(id, 'uploaded');
  }

  /** FAILED names it. If that one was counted as uploaded, it was the other one. */
  function failed(hsDir: string, id: string): void {
    const uploads = byHsDir.get(hsDir);
    const state = uploads?.get(id);
    if (uploads === undefined || state === undefined) return;
    if (state === 'uploaded') {
      const other = oldestPending(uploads);
      if (other !== undefined) uploads.set(other, 'uploaded');
    }
    uploads.set(id, 'failed');
  }

  function progress(): UploadProgress {
    if (rewritten) return { ...words, complete: false, partly: words.uploaded > 0, rewritten };
    const accepted = new Set<string>();
    const counts = { pending: 0, uploaded: 0, failed: 0 };
    for (const uploads of byHsDir.values()) {
      for (const [id, state] of uploads) {
        counts[state]++;
        if (state === 'uploaded') accepted.add(id);
      }
    }
    const all = created.size > 0 && [...created].every((id) => accepted.has(id));
    return {
      sent: counts.pending + counts.uploaded + counts.failed,
      uploaded: counts.uploaded,
      failed: counts.failed,
      complete: all && counts.pending === 0,
      partly: all || (created.size === 0 && words.uploaded > 0),
      rewritten,
    };
  }

  return {
    progress,
    note(event) {
      const { action, hsDir, descriptorId } = event;
      if (isFetch(event)) return progress();
      if (action === 'UPLOAD') words.sent += 1;
      else if (action === 'UPLOADED') words.uploaded += 1;
      else if (action === 'FAILED') words.failed += 1;
      rewritten ||= isRewritten(event);
      if (action === 'UPLOADED') uploaded(hsDir);
      else if (descriptorId !== undefined) {
        if (action === 'CREATED' && created.size < MAX_DESCRIPTORS) created.add(descriptorId);
        else if (action === 'UPLOAD') sent(hsDir, descriptorId);
        else if (action === 'FAILED') failed(hsDir, descriptorId);
      }
      return progress();
    },
  };
}
