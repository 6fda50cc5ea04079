/** Which files the orderbook page has. */
import type { PageFolder } from '../http/page-files.js';

// Empty in a CommonJS bundle.
const here: string | undefined = import.meta.url;

export const ORDERBOOK_PAGE: PageFolder = {
  /** Beside this module, in `src` and in `dist`. */
  folder: here === undefined ? undefined : new URL('public/', here),
  names: [
    'index.html',
    'style.css',
    'orderbook.css',
    'icon.svg',
    'app.js',
    'book-store.js',
    'chance.js',
    'charts.js',
    'details.js',
    'directories.js',
    'exports.js',
    'format.js',
    'offer-table.js',
    'plots.js',
    'selection.js',
    'summaries.js',
    'theme.js',
  ],
  packageFiles: ['uplot/dist/uPlot.esm.js', 'uplot/dist/uPlot.min.css'],
};
