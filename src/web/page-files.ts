/** The folder of the pages, and which files the orderbook page has. */
import type { PageFolder } from '../http/page-files.js';

// Empty in a CommonJS bundle.
const here: string | undefined = import.meta.url;

/** Beside this module, in `src` and in `dist`; both pages share some of its files. */
export const PUBLIC_FOLDER = here === undefined ? undefined : new URL('public/', here);

export const ORDERBOOK_PAGE: PageFolder = {
  folder: PUBLIC_FOLDER,
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
    'elements.js',
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
