/** The files of the page of the Lethean client. */
import { loadPageFiles } from '../http/page-files.js';
import type { Routes } from '../http/page.js';
import { PUBLIC_FOLDER } from './page-files.js';

/** The routes of its files. Rejects with a PageFileError when they are not there. */
export function letheanPageFiles(): Promise<Routes> {
  return loadPageFiles({
    folder: PUBLIC_FOLDER,
    index: 'lethean.html',
    names: [
      'lethean.html',
      'style.css',
      'status.css',
      'lethean.css',
      'icon.svg',
      'lethean.js',
      'lethean-views.js',
      'elements.js',
      'format.js',
      'poll.js',
      'theme.js',
    ],
    packageFiles: [],
  });
}
