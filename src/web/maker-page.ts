/** The page of a maker for people: which files it has, and what it reads besides `/status`. */
import { json } from '../http/answer.js';
import { loadPageFiles } from '../http/page-files.js';
import type { Route, Routes } from '../http/page.js';
import { PUBLIC_FOLDER } from './page-files.js';

/** The routes of the page. Rejects with a PageFileError when its files are not there. */
export async function makerPageRoutes(history: () => unknown): Promise<Routes> {
  const files = await loadPageFiles({
    folder: PUBLIC_FOLDER,
    index: 'maker.html',
    names: [
      'maker.html',
      'style.css',
      'status.css',
      'maker.css',
      'icon.svg',
      'maker.js',
      'maker-plots.js',
      'elements.js',
      'format.js',
      'plots.js',
      'poll.js',
      'theme.js',
    ],
    packageFiles: ['uplot/dist/uPlot.esm.js', 'uplot/dist/uPlot.min.css'],
  });
  return new Map<string, Route>([...files, ['/history', () => json(200, history())]]);
}
