/**
 * When is an onion service reachable? Tor publishes two descriptors (this time period's and the
 * next), each to several directories (HSDirs), and a client may ask for either. So: every descriptor
 * that was CREATED has been sent, and every UPLOAD has been answered. Pure bookkeeping over HS_DESC.
 */
import type { HsDescEvent } from './control-values.js';

const MAX_DESCRIPTORS = 16;
const MAX_HSDIRS = 256;

export interface UploadProgress {
  /** Uploads begun, and of those: accepted, refused. */
  readonly sent: number;
  readonly uploaded: number;
  readonly failed: number;
  /** Every upload of every descriptor was answered, and at least one of each was accepted. */
  readonly complete: boolean;
  /** At least one upload of every descriptor was accepted; others may be unanswered. */
  readonly partly: boolean;
}

export interface UploadWatch {
  /** One event of this service; others are the caller's to filter. */
  note(event: HsDescEvent): UploadProgress;
  progress(): UploadProgress;
}

type UploadState = 'pending' | 'uploaded' | 'failed';

/** Bounded: at most 16 descriptors and 256 directories; what is beyond is ignored. */
export function uploadWatch(): UploadWatch {
  const created = new Set<string>();
  /** Per directory, its descriptors in the order in which they were sent. */
  const byHsDir = new Map<string, Map<string, UploadState>>();

  function sent(hsDir: string, id: string): void {
    const uploads = byHsDir.get(hsDir);
    if (uploads === undefined) {
      if (byHsDir.size < MAX_HSDIRS) byHsDir.set(hsDir, new Map([[id, 'pending']]));
      return;
    }
    // Sent again (Tor does after a change of introduction points): the last one counts.
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

  /** FAILED does name it; if that one was taken for uploaded, it was the other one. */
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
    const accepted = new Set<string>();
    const counts = { pending: 0, uploaded: 0, failed: 0 };
    for (const uploads of byHsDir.values()) {
      for (const [id, state] of uploads) {
        counts[state]++;
        if (state === 'uploaded') accepted.add(id);
      }
    }
    const partly = created.size > 0 && [...created].every((id) => accepted.has(id));
    return {
      sent: counts.pending + counts.uploaded + counts.failed,
      uploaded: counts.uploaded,
      failed: counts.failed,
      complete: partly && counts.pending === 0,
      partly,
    };
  }

  return {
    progress,
    note(event) {
      const { action, hsDir, descriptorId } = event;
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
