/** The page of a directory for people: which files it has, and what it reads besides `/status`. */
import { json } from '../http/answer.js';
import { loadPageFiles } from '../http/page-files.js';
import type { Route, Routes } from '../http/page.js';
import { PUBLIC_FOLDER } from './page-files.js';

export interface StatusPageData {
  /** `/history`. */
  readonly history: () => Readonly<Record<string, unknown>>;
  /** `/limits`: the limits in force. */
  readonly limits: () => readonly unknown[];
}

/** The routes of the page. Rejects with a PageFileError when its files are not there. */
export async function statusPageRoutes({ history, limits }: StatusPageData): Promise<Routes> {
  const files = await loadPageFiles({
    folder: PUBLIC_FOLDER,
    index: 'status.html',
    names: [
      'status.html',
      'style.css',
      'status.css',
      'icon.svg',
      'status.js',
      'status-plots.js',
      'elements.js',
      'format.js',
      'plots.js',
      'poll.js',
      'theme.js',
    ],
    packageFiles: ['uplot/dist/uPlot.esm.js', 'uplot/dist/uPlot.min.css'],
  });
  return new Map<string, Route>([
    ...files,
    ['/history', () => json(200, history())],
    ['/limits', () => json(200, { limits: limits() })],
  ]);
}
