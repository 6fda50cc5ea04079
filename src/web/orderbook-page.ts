/** The files of the orderbook page. */
import type { Routes } from '../http/page.js';
import { loadWebPage } from './page-files.js';

/** The routes of its files. Rejects with a PageFileError when they are not there. */
export function orderbookPageFiles(): Promise<Routes> {
  return loadWebPage({
    title: 'Orderbook',
    content: 'index.html',
    start: 'offers',
    data: 'orderbook.json',
    styles: ['orderbook.css'],
    script: 'app.js',
    modules: [
      'book-store.js',
      'chance.js',
      'charts.js',
      'details.js',
      'directories.js',
      'exports.js',
      'offer-table.js',
      'selection.js',
      'summaries.js',
    ],
    hasPlots: true,
  });
}
