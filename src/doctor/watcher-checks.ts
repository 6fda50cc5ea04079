/** The check of an orderbook watcher: its page. */
import { hostAndPort } from '../kit/host-name.js';
import { askStatus, statusBase, type StatusQuestion } from '../ops/status-client.js';
import { note, ok, wrong, type Check, type Verdict } from './check.js';
import { listenFault, listenerHint } from './running-checks.js';

/** The program that uses the address of the page. */
async function inUse(at: string, port: number, question: Omit<StatusQuestion, 'path'>) {
  // The page of a directory, which is another one.
  const status = await askStatus({ ...question, path: '/status' });
  const health = await askStatus({ ...question, path: '/healthz' });
  if (health.kind === 'silent') {
    return wrong(
      `a program, perhaps the watcher, listens at ${at} and does not answer (${health.reason}): it hangs, or is stopped`,
      `${listenerHint(port)}; if ps -o stat= -p PID begins with T it is stopped, and sudo kill -CONT PID continues it; else restart it`,
    );
  }
  const isDirectory = status.kind === 'page' && 'peers' in status.page;
  const well = health.kind === 'page' && !isDirectory ? health.page['ok'] : undefined;
  if (well === true) return ok(`the watcher serves it at http://${at}/`);
  if (well === false) {
    return note(
      `the watcher serves it at http://${at}/, and reaches no directory`,
      'see the line of the directories; after a start it takes a minute',
    );
  }
  return wrong(
    `${at} (host and port in [OBWATCHER]) is taken by another program: a start fails`,
    `stop that program (${listenerHint(port)}), or set port in [OBWATCHER] to a free one`,
  );
}

function faultVerdict(fault: string, at: string): Verdict {
  return fault === 'EACCES'
    ? wrong(
        `${at} is not allowed to this user: a start fails`,
        'set port in [OBWATCHER] above 1023',
      )
    : wrong(
        `nothing can listen at ${at} (${fault}): a start fails`,
        'set host = 127.0.0.1 in [OBWATCHER]',
      );
}

export const pageCheck: Check = {
  id: 'page',
  title: 'orderbook page',
  needs: ['settings'],
  gives: [],
  async run(facts, { signal }) {
    const { host, port } = facts.get('settings').obWatcher;
    if (port === 0) return ok('at any port that is free');
    const at = hostAndPort(host, port);
    const fault = await listenFault(host, port);
    if (fault === undefined) {
      return note(`${at} is free: no watcher runs`, 'to start it: onionmc ob-watcher');
    }
    if (fault !== 'EADDRINUSE') return faultVerdict(fault, at);
    return inUse(at, port, { base: statusBase(host, port), signal });
  },
};
