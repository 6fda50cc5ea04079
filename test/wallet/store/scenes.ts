/**
 * What programs do with the folder of a wallet, with every write point of each, and what must hold
 * after the program was stopped at any of them.
 */
import { join } from 'node:path';
import {
  WalletStoreError,
  type JournalValue,
  type WalletStore,
} from '../../../src/wallet/store/api.js';
import type { StoreFiles } from '../../../src/wallet/store/files.js';
import {
  createWalletStore,
  openWalletStore,
  restoreBackup,
} from '../../../src/wallet/store/store.js';
import { COST, PASSWORD, SECRET, faultOf, makeWallet, openWallet } from './scene.js';
import { SimulatedDisk } from './simulated-disk.js';

const NEW_PASSWORD = 'another one';

/** Where a scene plays. */
export interface Place {
  readonly files: StoreFiles;
  /** The folder that holds all others. */
  readonly base: string;
}

const folderIn = ({ base }: Place): string => join(base, 'wallets', 'main');
const backupIn = ({ base }: Place): string => join(base, 'wallets', 'backup');
const oldBackupIn = ({ base }: Place): string => join(base, 'old', 'backup');

/** What a program did to a wallet, as far as it knows. */
export interface Known {
  /** Records whose call has resolved. */
  readonly confirmed: readonly JournalValue[];
  /** The group whose call runs or has failed. */
  readonly unconfirmed: readonly JournalValue[];
  /** Whether the call that makes the wallet has resolved. */
  readonly isMade: boolean;
  readonly password: 'old' | 'changing' | 'new';
  readonly isBackedUp: boolean;
}

/** Keeps what a program knows; `onChange` tells it to another process. */
export class Progress {
  #known: Known;
  readonly #onChange: (known: Known) => void;

  constructor(known: Known, onChange: (known: Known) => void = () => {}) {
    this.#known = known;
    this.#onChange = onChange;
  }

  get known(): Known {
    return this.#known;
  }

  set(change: Partial<Known>): void {
    this.#known = { ...this.#known, ...change };
    this.#onChange(this.#known);
  }

  /** The call for `unconfirmed` has resolved. */
  confirm(): void {
    const { confirmed, unconfirmed } = this.#known;
    this.set({ confirmed: [...confirmed, ...unconfirmed], unconfirmed: [] });
  }
}

type Run = (place: Place, progress: Progress) => Promise<void>;

async function append(
  store: WalletStore,
  group: readonly JournalValue[],
  progress: Progress,
): Promise<void> {
  progress.set({ unconfirmed: group });
  await store.append(group);
  progress.confirm();
}

const open = (place: Place, packFrom?: number): Promise<WalletStore> =>
  openWallet(place.files, 'write', folderIn(place), packFrom);

const create: Run = async (place, progress) => {
  const wallet = { secret: SECRET, password: PASSWORD, records: ['first'] };
  progress.set({ unconfirmed: ['first'] });
  const store = await createWalletStore(folderIn(place), wallet, {
    files: place.files,
    cost: COST,
  });
  progress.set({ isMade: true });
  progress.confirm();
  await store.close();
};

const add: Run = async (place, progress) => {
  const store = await open(place);
  await append(store, [1, 'x'.repeat(700)], progress);
  await append(store, [2], progress);
  await store.close();
};

const changePassword: Run = async (place, progress) => {
  const store = await open(place);
  progress.set({ password: 'changing' });
  await store.changePassword(NEW_PASSWORD);
  progress.set({ password: 'new' });
  await append(store, [3], progress);
  await store.close();
};

const backUp: Run = async (place, progress) => {
  const store = await open(place);
  await store.backup(backupIn(place));
  progress.set({ isBackedUp: true });
  await append(store, [4], progress);
  await store.close();
};

const restore: Run = async (place, progress) => {
  await restoreBackup(oldBackupIn(place), folderIn(place), { files: place.files });
  progress.set({ isMade: true, confirmed: OLD.flat() });
};

/** A journal is packed at its opening, and after so many calls. */
const PACK_FROM = 4;

const pack: Run = async (place, progress) => {
  const store = await open(place, PACK_FROM);
  for (let i = 0; i < PACK_FROM; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one call after the other
    await append(store, [i, 'x'.repeat(300)], progress);
  }
  await store.close();
};

/** The files of a closed wallet, by path below the base. */
type Content = Readonly<Record<string, Uint8Array>>;

const OLD: readonly (readonly JournalValue[])[] = [['old'], [[5, 6]]];
const UNPACKED = Array.from({ length: PACK_FROM }, (_, i) => [i, `record ${i}`]);

async function contentOf(
  groups: readonly (readonly JournalValue[])[],
  run: (place: Place) => Promise<void> = async () => {},
): Promise<Content> {
  const files = new SimulatedDisk();
  const place = { files, base: '/' };
  await makeWallet(files, groups, folderIn(place));
  await run(place);
  return Object.fromEntries(
    Object.entries(files.content).map(([path, bytes]) => [path.slice(1), bytes]),
  );
}

const tornContent = async (): Promise<Content> => {
  const content = await contentOf([...OLD, ['cut', 'off']]);
  const journal = content['wallets/main/journal'] ?? new Uint8Array(0);
  return { ...content, 'wallets/main/journal': journal.subarray(0, -1) };
};

const backupContent = async (): Promise<Content> => {
  const content = await contentOf(OLD, async (place) => {
    const store = await open(place);
    await store.backup(backupIn(place));
    await store.close();
  });
  return { 'old/backup': content['wallets/backup'] ?? new Uint8Array(0) };
};

const WALLET_FILE = ['open wallet.new to replace', 'write wallet.new', 'sync wallet.new'];
const ITS_NAME = ['rename wallet.new to wallet', 'syncFolder main'];
const START_OF_A_WALLET = [
  'makeFolder main',
  'lock lock',
  ...WALLET_FILE,
  'syncFolder main',
  'open journal to replace',
  'write journal',
];
const GROUP = ['write journal', 'sync journal'];
const PACKED = [
  'open journal.new to replace',
  'write journal.new',
  'write journal.new',
  'sync journal.new',
  'rename journal.new to journal',
  'syncFolder main',
];

/** What one program does. */
export interface Scene {
  readonly name: string;
  /** Rejects where a step fails. */
  readonly run: Run;
  /** The files that it finds. */
  readonly content: () => Promise<Content>;
  /** The records there; undefined where there is no wallet. */
  readonly old: readonly JournalValue[] | undefined;
  /** All its write points, in their order. */
  readonly points: readonly string[];
}

/** Every write point of the wallet folder is in one of them. */
export const SCENES: readonly Scene[] = [
  {
    name: 'make a wallet',
    run: create,
    content: async () => ({}),
    old: undefined,
    points: [...START_OF_A_WALLET, ...GROUP, ...ITS_NAME],
  },
  {
    name: 'add records',
    run: add,
    content: () => contentOf(OLD),
    old: OLD.flat(),
    points: ['lock lock', ...GROUP, ...GROUP],
  },
  {
    name: 'add records behind a torn end',
    run: add,
    content: tornContent,
    old: OLD.flat(),
    points: [
      'lock lock',
      'open journal.cut-1 to replace',
      'write journal.cut-1',
      'sync journal.cut-1',
      'syncFolder main',
      'truncate journal',
      'sync journal',
      ...GROUP,
      ...GROUP,
    ],
  },
  {
    name: 'pack the journal',
    run: pack,
    content: () => contentOf(UNPACKED),
    old: UNPACKED.flat(),
    points: [
      'lock lock',
      ...PACKED,
      ...Array.from({ length: PACK_FROM - 1 }, () => GROUP).flat(),
      ...PACKED,
      ...GROUP,
    ],
  },
  {
    name: 'change the password',
    run: changePassword,
    content: () => contentOf(OLD),
    old: OLD.flat(),
    points: ['lock lock', ...WALLET_FILE, ...ITS_NAME, ...GROUP],
  },
  {
    name: 'make a backup',
    run: backUp,
    content: () => contentOf(OLD),
    old: OLD.flat(),
    points: [
      'lock lock',
      'open backup.RANDOM.tmp to new',
      'write backup.RANDOM.tmp',
      'write backup.RANDOM.tmp',
      'write backup.RANDOM.tmp',
      'write backup.RANDOM.tmp',
      'sync backup.RANDOM.tmp',
      'sync backup.RANDOM.tmp',
      'rename backup.RANDOM.tmp to backup',
      'syncFolder wallets',
      ...GROUP,
    ],
  },
  {
    name: 'restore a backup',
    run: restore,
    content: backupContent,
    old: undefined,
    points: [...START_OF_A_WALLET, 'sync journal', ...ITS_NAME],
  },
];

/** What a program knows before the scene. */
export function knownBefore({ old }: Scene): Known {
  return {
    confirmed: old ?? [],
    unconfirmed: [],
    isMade: old !== undefined,
    password: 'old',
    isBackedUp: false,
  };
}

/** Opens the wallet with a password that it may have. */
async function reopen(place: Place, password: Known['password']): Promise<WalletStore> {
  const options = { files: place.files, mode: 'write', cost: COST } as const;
  const candidates = { old: [PASSWORD], new: [NEW_PASSWORD], changing: [PASSWORD, NEW_PASSWORD] };
  let last: unknown;
  for (const candidate of candidates[password]) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      return await openWalletStore(folderIn(place), candidate, options);
    } catch (error) {
      last = error;
      if (!(error instanceof WalletStoreError) || error.fault !== 'password') throw error;
    }
  }
  throw last;
}

/**
 * What is wrong after a program was stopped: the wallet must have what was confirmed, perhaps the group
 * that was being written, and take more. Undefined where all is well.
 */
export async function faultAfter(scene: Scene, place: Place, known: Known) {
  if (known.isBackedUp) {
    const restored = join(place.base, 'restored');
    await restoreBackup(backupIn(place), restored, { files: place.files });
    await (await openWallet(place.files, 'read', restored)).close();
  }
  let confirmed = known.confirmed;
  if (!known.isMade) {
    const fault = await faultOf(open(place).then((store) => store.close()));
    if (fault === 'missing') {
      // Nothing is in the way of a second attempt.
      await scene.run(place, new Progress(known));
      return undefined;
    }
    if (fault !== undefined) return fault;
    // The wallet is there as a whole.
    confirmed = scene.run === restore ? OLD.flat() : known.unconfirmed;
  }
  const store = await reopen(place, known.password);
  const found = JSON.stringify(store.records);
  await store.append(['more']);
  await store.close();
  const before = JSON.stringify(confirmed);
  const after = JSON.stringify([...known.confirmed, ...known.unconfirmed]);
  if (found !== before && found !== after) return `${found} instead of ${before}`;
  const again = await reopen(place, known.password);
  const last = again.records.at(-1);
  await again.close();
  return last === 'more' ? undefined : 'nothing can be added';
}
