/** The files of the page of the Lethean client. */
import type { Routes } from '../http/page.js';
import { loadWebPage } from './page-files.js';

/** The routes of its files. Rejects with a PageFileError when they are not there. */
export function letheanPageFiles(): Promise<Routes> {
  return loadWebPage({
    title: 'Lethean client',
    content: 'lethean.html',
    start: 'providers',
    data: 'status',
    styles: ['status.css', 'lethean.css'],
    script: 'lethean.js',
    modules: ['lethean-views.js', 'poll.js'],
    hasPlots: false,
  });
}
