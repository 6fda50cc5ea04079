/** A signed list of directories: time and memory of a peer that reads, keeps and ranks it. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { publicKeyOf } from '../../src/directory-lists/ed25519.js';
import { fingerprintOf } from '../../src/directory-lists/key-set.js';
import { formatDocument, parseDocument } from '../../src/directory-lists/list-document.js';
import { draftDocument, signDocument } from '../../src/directory-lists/making.js';
import { verifyDocument } from '../../src/directory-lists/verify.js';
import { onionHost, type Location } from '../../src/protocol/location.js';
import { ContactHistory } from '../../src/roles/directories/contact-history.js';
import { KeptList, LIST_FILE } from '../../src/roles/directories/kept-list.js';
import { ranked } from '../../src/roles/directories/ranking.js';
import { printTable, spread } from './table.js';

const NOW = 1_800_000_000;
const ROUNDS = 40;
const QUICK_ROUNDS = 5;
/** Of a list and its history, so that the memory of one is measured. */
const COPIES = 20;

function onions(count: number): readonly Location[] {
  return Array.from({ length: count }, () => ({
    kind: 'onion' as const,
    host: onionHost(randomBytes(32)),
    port: 5222,
  }));
}

/** A list of this many entries, signed by two of three keys. */
function signedList(locations: readonly Location[]): { bytes: Buffer; pinned: string } {
  const seeds = [1, 2, 3].map(() => Uint8Array.from(randomBytes(32)));
  const drafted = draftDocument({
    before: undefined,
    keys: { threshold: 2, keys: seeds.map(publicKeyOf) },
    network: 'mainnet',
    issued: NOW,
    expires: NOW + 86_400,
    entries: locations.map((location) => ({
      location,
      since: NOW,
      note: 'run by a person with a contact address, in some country',
      capabilities: ['directory_list', 'peerlist_features', 'ping'],
    })),
  });
  if (!drafted.ok) throw new Error(drafted.reason);
  let document = drafted.value;
  for (const seed of seeds.slice(0, 2)) {
    const signed = signDocument(document, seed);
    if (!signed.ok) throw new Error(signed.reason);
    document = signed.value;
  }
  const pinned = fingerprintOf(document.keySets[0].keySet);
  return { bytes: Buffer.from(`${formatDocument(document)}\n`), pinned };
}

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

function heapBytes(): number {
  if (typeof collect === 'function') collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Milliseconds of each call; the first ones, in which Node compiles, are left out. */
async function timesOf(rounds: number, work: () => unknown): Promise<readonly number[]> {
  const times: number[] = [];
  for (let i = 0; i < rounds + 5; i++) {
    const began = performance.now();
    // oxlint-disable-next-line no-await-in-loop
    await work();
    if (i >= 5) times.push(performance.now() - began);
  }
  return times;
}

/** `scripts/bench lists` */
export async function benchLists(quick: boolean): Promise<void> {
  const rounds = quick ? QUICK_ROUNDS : ROUNDS;
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-bench-'));
  const rows: (readonly string[])[] = [];
  try {
    for (const count of [5, 50, 500, 1_000]) {
      const locations = onions(count);
      const { bytes, pinned } = signedList(locations);
      const trust = { network: 'mainnet' as const, pinned };
      const parse = (): void => {
        const parsed = parseDocument(bytes);
        if (!parsed.ok || !verifyDocument(parsed.value, { ...trust, now: NOW }).ok) {
          throw new Error('not valid');
        }
      };
      const path = join(datadir, `${count}-${LIST_FILE}`);
      const options = { path, trust, unixTime: () => NOW };
      // oxlint-disable-next-line no-await-in-loop -- one size after the other
      const { list } = await KeptList.open(options);
      // oxlint-disable-next-line no-await-in-loop
      const taken = await list.take(bytes);
      if (taken.outcome !== 'newer') throw new Error('not kept');
      const history = new ContactHistory();
      const before = heapBytes();
      const copies: unknown[] = [];
      for (let i = 0; i < COPIES; i++) {
        const contacts = new ContactHistory();
        for (const location of locations) contacts.failed(location, NOW);
        // oxlint-disable-next-line no-await-in-loop
        copies.push(contacts, await KeptList.open(options));
      }
      const heap = (heapBytes() - before) / 1_024 / COPIES;
      for (const location of locations) history.failed(location, NOW);
      if (copies.length !== 2 * COPIES) throw new Error('copies are kept until here');
      // oxlint-disable-next-line no-await-in-loop
      const verified = await timesOf(rounds, parse);
      // oxlint-disable-next-line no-await-in-loop
      const opened = await timesOf(rounds, () => KeptList.open(options));
      // oxlint-disable-next-line no-await-in-loop
      const order = await timesOf(rounds, () =>
        ranked(list.locations(), history, NOW, Math.random),
      );
      rows.push([
        String(count),
        bytes.length.toLocaleString('en-US'),
        spread(verified, 1),
        spread(opened, 1),
        spread(order, 2),
        Math.round(heap).toLocaleString('en-US'),
      ]);
    }
  } finally {
    await rm(datadir, { recursive: true, force: true });
  }
  printTable(
    [
      'entries',
      'bytes',
      'parse and verify, ms',
      'read at the start, ms',
      'rank, ms',
      'memory, KiB',
    ],
    rows,
  );
}
