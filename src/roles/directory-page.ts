/** Parts of the status page of a directory node. */
import type { Log } from '../channel/log.js';
import { PageFileError } from '../http/page-files.js';
import type { Routes } from '../http/page.js';
import { statusPageRoutes, type StatusPageData } from '../web/status-page.js';

/** How many peers have bytes waiting, and the largest amount, for a person. */
export function lagOf(queued: readonly number[]): {
  readonly peers: number;
  readonly mostBytes: number;
} {
  return {
    peers: queued.filter((bytes) => bytes > 0).length,
    mostBytes: queued.reduce((most, bytes) => Math.max(most, bytes), 0),
  };
}

/** The page for people; a bundled program has no files for it and does without. */
export async function directoryPageRoutes(data: StatusPageData, log: Log): Promise<Routes> {
  try {
    return await statusPageRoutes(data);
  } catch (error) {
    if (!(error instanceof PageFileError)) throw error;
    log.info('a bundled program has no status page for people; /status and /metrics work');
    return new Map();
  }
}
