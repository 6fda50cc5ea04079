/** All fields of one offer, in a dialog. */
import * as format from './format.js';

const UNSIGNED = {
  'public-only': 'no: only announced in public, which has no signature',
};
const WITHDRAWN = {
  cancel: 'cancelled',
  left: 'reported that the maker left',
  'directory-lost': 'connection lost',
};

function moment(unixSeconds, now) {
  return `${format.date(unixSeconds)} ${format.clockTime(unixSeconds)} (${format.duration(now - unixSeconds)} ago)`;
}

function bondLines(bond) {
  if (bond === null) return ['none'];
  const lines = [`${format.bondState(bond.state)}: ${bond.detail}`];
  if (bond.outpoint !== null) lines.push(bond.outpoint);
  if (bond.locktime !== null) lines.push(`locked until ${format.date(bond.locktime)}`);
  if (bond.amount !== null) lines.push(`${format.bitcoin(bond.amount)} BTC`);
  if (bond.value !== null) lines.push(`value ${format.count(bond.value)}`);
  return lines;
}

function directoryLines(offer, directories, now) {
  const shown = new Set(offer.directories);
  const gone = new Map(offer.withdrawn.map((each) => [each.directory, each]));
  return directories.map(({ location }) => {
    const name = format.shortLocation(location);
    if (offer.differing.includes(location)) return `✗ ${name}: shows other terms, unsigned`;
    if (shown.has(location)) return `✓ ${name}: shows the offer`;
    const each = gone.get(location);
    const listed = offer.listed_by.includes(location);
    if (listed) return `✓ ${name}: lists the maker`;
    if (each === undefined) return `– ${name}: not shown`;
    return `– ${name}: ${WITHDRAWN[each.why] ?? each.why} ${format.duration(now - each.at)} ago`;
  });
}

/** Opens `dialog` with the offer of a row of the table. */
export function showDetails(dialog, { offer, fee, chance }, { directories, now, amount }) {
  dialog.querySelector('h2').textContent = offer.counterparty;
  const facts = [
    ['Offer', [`${offer.ordertype}, number ${offer.oid}`]],
    ['Fee', [format.feeText(offer)]],
    [`Fee for ${format.shortBitcoin(amount)} BTC`, [format.satoshi(fee)]],
    ['Adds to the miner fee', [format.satoshi(offer.txfee)]],
    ['Smallest', [`${format.bitcoin(offer.minsize)} BTC`]],
    ['Largest', [`${format.bitcoin(offer.maxsize)} BTC`]],
    [
      'Chance to be picked',
      [chance === undefined ? 'would not be considered' : format.chanceText(chance)],
    ],
    [
      'Signed',
      [offer.signed ? 'yes, by the key of the nick' : (UNSIGNED[offer.unsigned_because] ?? 'no')],
    ],
    ['Came directly', [offer.direct ? 'yes' : 'no, through directories only']],
    ['First heard', [moment(offer.first_seen, now)]],
    ['Last heard', [moment(offer.last_seen, now)]],
    ['Bond', bondLines(offer.bond)],
    ['Directories', directoryLines(offer, directories, now)],
  ];
  dialog.querySelector('dl').replaceChildren(
    ...facts.flatMap(([name, lines]) => {
      const term = document.createElement('dt');
      term.textContent = name;
      return [
        term,
        ...lines.map((line) => {
          const value = document.createElement('dd');
          value.textContent = line;
          return value;
        }),
      ];
    }),
  );
  dialog.showModal();
}
