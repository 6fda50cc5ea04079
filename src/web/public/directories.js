/** The health of each directory, and the results of the audit. */
import { element, fact } from './elements.js';
import * as format from './format.js';

const STATES = { up: 'up', waiting: 'down', connecting: 'connecting', handshaking: 'greeting' };

function share(part, whole) {
  return whole === 0 ? 'nothing yet' : `${format.count(part)} of ${format.count(whole)}`;
}

/** Flags of one directory that are listed; the rest is counted. */
const FLAGS_SHOWN = 10;

/** A maker that never uses the directory looks the same. */
const accusation = ({ kind, maker }) =>
  kind === 'withholds' ? `seems to withhold ${maker}` : 'loses messages';

function flagList({ flags, flagged }) {
  const list = element('ul', 'flags');
  const shown = flags.slice(0, FLAGS_SHOWN);
  for (const flag of shown) {
    const item = element('li');
    item.append(element('strong', '', accusation(flag)), element('span', '', flag.detail));
    list.append(item);
  }
  const others = flagged - shown.filter(({ kind }) => kind === 'withholds').length;
  if (others > 0) list.append(element('li', '', `and ${format.many(others, 'more maker')}`));
  return list;
}

function verdict(directory) {
  const { up, audit } = directory;
  if (audit?.avoided) return ['bad', 'avoided'];
  if (audit !== null && audit.flags.length > 0) return ['bad', 'flagged'];
  if (!up) return ['warn', STATES[directory.state] ?? directory.state];
  return ['good', 'up'];
}

function missingNicks({ missing, missing_count: total }) {
  const details = element('details');
  details.append(element('summary', '', `Not shown here: ${format.many(total, 'maker')}`));
  const list = element('ul', 'nicks');
  for (const nick of missing) list.append(element('li', '', nick));
  if (total > missing.length) {
    list.append(element('li', 'more', `and ${format.count(total - missing.length)} more`));
  }
  details.append(
    element('p', 'hint', 'Other directories show them. A maker may simply not be connected here.'),
    list,
  );
  return details;
}

function card(directory, now, wasOpen) {
  const article = element('article', 'directory');
  article.dataset.location = directory.location;
  const [tone, word] = verdict(directory);
  const head = element('header');
  const name = element('h3', 'mono', format.shortLocation(directory.location));
  name.title = directory.location;
  head.append(name, element('span', `badge ${tone}`, word));
  article.append(head);

  const facts = element('dl', 'facts');
  if (directory.since !== null) {
    fact(facts, directory.up ? 'Up for' : 'Down for', format.duration(now - directory.since));
  }
  fact(
    facts,
    'Shows',
    `${format.many(directory.offers, 'offer')} of ${format.many(directory.makers, 'maker')}`,
  );
  fact(facts, 'Only here', format.many(directory.only, 'maker'));
  fact(facts, 'Other terms', format.many(directory.differing, 'offer'));
  fact(
    facts,
    'Lost',
    `${format.count(directory.losses)} of ${format.many(directory.sessions, 'session')}`,
  );
  const { audit } = directory;
  if (audit !== null) {
    fact(facts, 'Private messages', share(audit.delivered, audit.rounds));
    fact(facts, 'Public messages', share(audit.public_delivered, audit.public_expected));
    fact(
      facts,
      'Leaves told',
      audit.leaves_contradicted === 0
        ? format.count(audit.leaves)
        : `${format.count(audit.leaves)}, ${format.count(audit.leaves_contradicted)} of them wrong`,
    );
  }
  article.append(facts);
  if (directory.reason !== null) article.append(element('p', 'reason', directory.reason));

  if (audit !== null && audit.flags.length > 0) {
    article.append(flagList(audit));
  } else if (audit !== null && audit.suspicion > 0) {
    const meter = element('meter');
    meter.max = 1;
    meter.high = 0.75;
    meter.value = audit.suspicion;
    const label = element('label', 'suspicion', 'Suspicion ');
    label.append(meter);
    article.append(label);
  }
  if (directory.missing_count > 0) {
    const details = missingNicks(directory);
    details.open = wasOpen;
    article.append(details);
  }
  return article;
}

/** Renders all directories again; opened parts stay open. */
export function showDirectories(place, { directories }, now) {
  const open = new Set(
    [...place.querySelectorAll('article:has(details[open])')].map((each) => each.dataset.location),
  );
  const focused = document.activeElement?.closest('.directory')?.dataset.location;
  place.replaceChildren(...directories.map((each) => card(each, now, open.has(each.location))));
  if (focused === undefined) return;
  const again = [...place.children].find((each) => each.dataset.location === focused);
  again?.querySelector('summary')?.focus({ preventScroll: true });
}

/** The newest findings of the audit, newest first. */
export function showEvidence(list, { evidence }) {
  list.replaceChildren(
    ...evidence.toReversed().map((record) => {
      const item = element('li');
      const time = element('time', '', `${format.date(record.at)} ${format.clockTime(record.at)}`);
      time.dateTime = new Date(record.at * 1000).toISOString();
      const where = format.shortLocation(record.directory);
      const what = accusation(record);
      item.append(
        time,
        ` ${where} ${record.event === 'flag' ? what : `cleared: ${what}`} (${share(record.delivered, record.rounds)} came through)`,
      );
      return item;
    }),
  );
}
