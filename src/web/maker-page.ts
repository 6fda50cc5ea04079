/** The page of a maker for people: which files it has, and what it reads besides `/status`. */
import { json } from '../http/answer.js';
import type { Route, Routes } from '../http/page.js';
import { loadWebPage } from './page-files.js';

/** The routes of the page. Rejects with a PageFileError when its files are not there. */
export async function makerPageRoutes(history: () => unknown): Promise<Routes> {
  const files = await loadWebPage({
    title: 'Maker',
    content: 'maker.html',
    start: 'state',
    data: 'status',
    styles: ['status.css', 'maker.css'],
    script: 'maker.js',
    modules: ['maker-plots.js', 'poll.js'],
    hasPlots: true,
  });
  return new Map<string, Route>([...files, ['/history', () => json(200, history())]]);
}
