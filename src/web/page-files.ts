/**
 * The files of the pages. All have one frame (`public/frame.html`), a style and some scripts; a page adds its content
 * and its own files.
 */
import { loadPageFiles } from '../http/page-files.js';
import type { Routes } from '../http/page.js';

// Empty in a CommonJS bundle.
const here: string | undefined = import.meta.url;

/** Beside this module, in `src` and in `dist`. */
const PUBLIC_FOLDER = here === undefined ? undefined : new URL('public/', here);

const FRAME = 'frame.html';
const COMMON = ['style.css', 'icon.svg', 'theme.js', 'elements.js', 'format.js'];

/** What a page has of its own. All texts are constants of the program. */
export interface WebPage {
  /** `Directory`: the heading, and the title of the window. */
  readonly title: string;
  /** What its frame contains: `status.html`. */
  readonly content: string;
  /** The id of its first part, and its name: `state`. */
  readonly start: string;
  /** The path of its data, for browsers without JavaScript. */
  readonly data: string;
  /** Style sheets after `style.css`. */
  readonly styles: readonly string[];
  /** The script that the page starts. */
  readonly script: string;
  /** Scripts that it imports. */
  readonly modules: readonly string[];
  readonly hasPlots: boolean;
}

const styleLink = (name: string): string => `<link rel="stylesheet" href="${name}" />`;

/** The routes of a page's files. Rejects with a PageFileError when they are not there. */
export function loadWebPage(page: WebPage): Promise<Routes> {
  const { title, content, start, data, styles, script, modules, hasPlots } = page;
  // The sheet of the package first, so that the page's own ones decide.
  const sheets = [...(hasPlots ? ['vendor/uPlot.min.css'] : []), 'style.css', ...styles];
  const links = sheets.map(styleLink).join('\n    ');
  return loadPageFiles({
    folder: PUBLIC_FOLDER,
    index: { frame: FRAME, content, fields: { title, start, data, script, styles: links } },
    names: [...COMMON, ...(hasPlots ? ['plots.js'] : []), ...styles, script, ...modules],
    packageFiles: hasPlots ? ['uplot/dist/uPlot.esm.js', 'uplot/dist/uPlot.min.css'] : [],
  });
}
