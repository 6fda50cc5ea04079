/** Opens what `[ADMISSION]` asks for: the gate of a private directory, the door of the pages. */
import type { EntryGate } from '../directory/entry/gate.js';
import type { PageAccess } from '../http/page.js';
import { systemClock } from '../overlay/system-clock.js';
import type { Program } from './program.js';

export interface AdmissionParts {
  /** Only for a private directory. */
  readonly gate?: EntryGate;
  /** Only when the pages need a code. */
  readonly door?: PageAccess;
}

const now = (): number => Date.now();

/**
 * Loads admission only when it is configured: it is an optional module. Rejects when its files cannot be
 * used.
 */
export async function openAdmissionParts({
  settings,
  log,
  shutdown,
}: Program): Promise<AdmissionParts> {
  const { admission, datadir, role } = settings;
  const isPrivate = role === 'directory' && admission.private;
  if (!isPrivate && !admission.pages) return {};
  const { admissionFiles, openAdmission } = await import('../admission/open.js');
  const opened = await openAdmission({
    source: admission.source,
    auditPath: admissionFiles(datadir).audit,
    clock: systemClock,
    log,
  });
  shutdown.onStop('admission', () => opened.close());
  const { engine } = opened;
  return {
    ...(isPrivate
      ? { gate: (await import('../roles/directory-gate.js')).admissionGate(engine, now) }
      : {}),
    ...(admission.pages
      ? { door: (await import('../admission/page-door.js')).pageDoor(engine, now) }
      : {}),
  };
}
