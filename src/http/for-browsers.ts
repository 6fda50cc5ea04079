/** One path with a page for browsers and another answer for programs, chosen by `Accept` (RFC 9110, 12.5.1). */
import type { Answer } from './answer.js';
import type { PageRequest, Route, Stream } from './page.js';

/** Whether `text/html` is named in `Accept`. A wildcard does not count: curl and most programs send it. */
function asksForHtml({ headers }: PageRequest): boolean {
  const ranges = (headers.accept ?? '').toLowerCase().split(',');
  return ranges.some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    return type === 'text/html' && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}

function varying(answer: Answer | Stream): Answer | Stream {
  return 'stream' in answer
    ? answer
    : { ...answer, headers: { ...answer.headers, vary: 'accept' } };
}

/** Answers with `page` where the client asks for HTML, otherwise with `other`. */
export function forBrowsers(page: Route, other: Route): Route {
  return async (request) => varying(await (asksForHtml(request) ? page : other)(request));
}
