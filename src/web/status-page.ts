/** The page of a directory for people: which files it has, and what it reads besides `/status`. */
import { json } from '../http/answer.js';
import type { Route, Routes } from '../http/page.js';
import { loadWebPage } from './page-files.js';

export interface StatusPageData {
  /** `/history`. */
  readonly history: () => Readonly<Record<string, unknown>>;
  /** `/limits`: the limits in force. */
  readonly limits: () => readonly unknown[];
}

/** The routes of the page. Rejects with a PageFileError when its files are not there. */
export async function statusPageRoutes({ history, limits }: StatusPageData): Promise<Routes> {
  const files = await loadWebPage({
    title: 'Directory',
    content: 'status.html',
    start: 'state',
    data: 'status',
    styles: ['status.css'],
    script: 'status.js',
    modules: ['status-plots.js', 'poll.js'],
    hasPlots: true,
  });
  return new Map<string, Route>([
    ...files,
    ['/history', () => json(200, history())],
    ['/limits', () => json(200, { limits: limits() })],
  ]);
}
