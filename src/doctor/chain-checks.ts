/** Checks of the bitcoin node that `[BLOCKCHAIN]` names: its cookie, the node itself, its chain, its index. */
import { stat } from 'node:fs/promises';
import { ChainError, type ChainFault } from '../chain/chain-error.js';
import { cookiePlaces } from '../chain/node/credentials.js';
import { canMatch } from '../chain/node/node-facts.js';
import type { NodeSettings } from '../config/node-settings.js';
import { bondFilePath } from '../config/data-files.js';
import type { Settings } from '../config/settings.js';
import { errorCode } from '../kit/error-text.js';
import { grouped } from '../kit/decimal.js';
import { hostAndPort, isLoopbackHost } from '../kit/host-name.js';
import { accountOf, barrierTo } from '../ops/user-access.js';
import { BITCOIN_NETWORKS } from '../bitcoin/network.js';
import { note, ok, skipped, wrong, type Check, type Machine, type Verdict } from './check.js';

const quoted = (path: string): string => JSON.stringify(path);
const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, '0');

/** The values with which the original fills a new file: they stand for "not configured". */
const isDefault = ({ user, password }: NodeSettings): boolean =>
  (user === 'bitcoin' && password === 'password') || (user === '' && password === '');

/** Why the user of the program cannot read a cookie; undefined when it can, or when there is none. */
async function cookieBarrier(path: string, owner: number): Promise<string | undefined> {
  const barrier = await barrierTo(await accountOf(String(owner)), path, 'read');
  return barrier && `${barrier.path} has mode ${octal(barrier.mode)}`;
}

const readableFix = (path: string): string =>
  `rpccookieperms=group in the bitcoin.conf of the node, restart it, and let the user of this program be in its group: sudo usermod -aG "$(stat -c %G ${quoted(path)})" "$(id -un)"`;

/** The cookie file that the settings name. */
async function namedCookie(path: string, owner: number): Promise<Verdict> {
  let found;
  try {
    found = await stat(path);
  } catch (error) {
    const code = errorCode(error) ?? 'unknown';
    return wrong(
      `${path} (rpc_cookie_file) cannot be read (${code})`,
      code === 'ENOENT'
        ? 'start the node, which writes it; or correct rpc_cookie_file in [BLOCKCHAIN]; or leave it empty'
        : readableFix(path),
    );
  }
  if (!found.isFile()) {
    return wrong(`${path} (rpc_cookie_file) is not a file`, `name the file .cookie in it`);
  }
  const barrier = await cookieBarrier(path, owner);
  if (barrier !== undefined) {
    return wrong(
      `${path} cannot be read by the user of this program: ${barrier}`,
      readableFix(path),
    );
  }
  return ok(path);
}

/** A cookie in one of the usual places. */
async function usualCookie({ network, host }: NodeSettings, owner: number): Promise<Verdict> {
  if (!isLoopbackHost(host)) {
    return note(
      `no cookie of ${host} can be found here, and rpc_user and rpc_password are the default`,
      'set rpc_user and rpc_password in [BLOCKCHAIN] to those of the node',
    );
  }
  for (const path of cookiePlaces(network)) {
    // oxlint-disable-next-line no-await-in-loop -- the first one counts
    const exists = await stat(path).then(
      (stats) => stats.isFile(),
      (error: unknown) => errorCode(error) === 'EACCES',
    );
    if (!exists) continue;
    // oxlint-disable-next-line no-await-in-loop
    const barrier = await cookieBarrier(path, owner);
    if (barrier === undefined) return ok(`${path}, found by itself`);
    return wrong(
      `${path} cannot be read by the user of this program: ${barrier}`,
      readableFix(path),
    );
  }
  return note(
    'no cookie of a node is in a usual place',
    'start the node; or set rpc_cookie_file, or rpc_user and rpc_password, in [BLOCKCHAIN]',
  );
}

export const cookieCheck: Check = {
  id: 'node-cookie',
  title: 'bitcoin cookie',
  needs: ['settings', 'owner'],
  gives: [],
  async run(facts) {
    const { node, configFile } = facts.get('settings');
    const owner = facts.get('owner');
    if (node === undefined) return ok('none is needed: no node is asked');
    if (node.cookieFile !== undefined) return namedCookie(node.cookieFile, owner);
    if (isDefault(node)) return usualCookie(node, owner);
    const mode = await stat(configFile).then(
      (stats) => stats.mode,
      () => 0,
    );
    if ((mode & 0o077) !== 0) {
      return wrong(
        `${configFile} holds rpc_password, and others can read it`,
        `chmod 600 ${quoted(configFile)}`,
      );
    }
    return ok('not used: rpc_user and rpc_password are set');
  },
};

/** Faults after which a program that can go on without a node does so. */
const PASSING: readonly ChainFault[] = ['unreachable', 'starting', 'timeout'];
const NO_NODE = 'set blockchain_source = no-blockchain in [BLOCKCHAIN], to ask no node';

/** Whether the program does not start without its node. */
function needsNode({ role }: Machine, settings: Settings, hasWallet: boolean): boolean {
  if (role === 'wallet') return true;
  return role === 'maker' && (hasWallet || bondFilePath(settings) !== undefined);
}

/** The message of an error of the chain ends with what to do, behind its last colon. */
function faultVerdict(
  error: ChainError,
  machine: Machine,
  settings: Settings,
  hasWallet: boolean,
): Verdict {
  const cut = error.message.lastIndexOf(': ');
  const text = cut === -1 ? error.message : error.message.slice(0, cut);
  const fix = cut === -1 ? 'wait until the node has started' : error.message.slice(cut + 2);
  const needed = needsNode(machine, settings, hasWallet);
  if (PASSING.includes(error.fault) && !needed) {
    return note(
      `${text}; the program goes on without it, and bonds have no value`,
      `${fix}; or ${NO_NODE}`,
    );
  }
  if (machine.role === 'wallet' || (machine.role === 'maker' && hasWallet)) return wrong(text, fix);
  return wrong(needed ? `${text}: a start fails` : text, `${fix}; or ${NO_NODE}`);
}

export const bitcoinNodeCheck: Check = {
  id: 'bitcoin-node',
  title: 'bitcoin node',
  needs: ['settings'],
  gives: ['chain'],
  async run(facts, machine) {
    const settings = facts.get('settings');
    const { node } = settings;
    const hasWallet = (facts.peek('wallets') ?? []).length > 0;
    if (node === undefined) {
      return machine.role === 'wallet' || (machine.role === 'maker' && hasWallet)
        ? wrong(
            'no node is asked (blockchain_source = no-blockchain), and a wallet needs one',
            'set blockchain_source = bitcoin-rpc in [BLOCKCHAIN]',
          )
        : ok('none is asked (blockchain_source = no-blockchain): bonds have no value');
    }
    try {
      const chain = await machine.openChain(settings, machine.signal);
      try {
        const state = await chain.facts(machine.signal);
        const tip = await chain.tip(machine.signal);
        const at = hostAndPort(node.host, node.port ?? BITCOIN_NETWORKS[node.network].rpcPort);
        const about = `${state.userAgent} at ${at}, network ${node.network}`;
        const pruned = state.pruned ? `, pruned: has blocks from ${state.firstBlock} on` : '';
        const gives = { chain: { facts: state, tip } };
        return state.snapshot
          ? note(
              `${about}: it began with a snapshot, and does not have the blocks below ${grouped(state.firstBlock)} yet`,
              'wait until it has all blocks (bitcoin-cli getchainstates) before a wallet is restored',
              gives,
            )
          : ok(`${about}${pruned}`, gives);
      } finally {
        await chain.close();
      }
    } catch (error) {
      if (!(error instanceof ChainError)) throw error;
      return faultVerdict(error, machine, settings, hasWallet);
    }
  },
};

const HOUR_MS = 3_600_000;
/** Blocks come about every ten minutes; three hours without one are rare. */
const OLD_HOURS = 3;
/** A node that has just seen a header may not have the block yet. */
const BEHIND = 3;

export const blockChainCheck: Check = {
  id: 'block-chain',
  title: 'block chain',
  needs: ['settings'],
  gives: [],
  run(facts, { today }) {
    const settings = facts.get('settings');
    if (settings.node === undefined) return Promise.resolve(ok('is not read: no node is asked'));
    const chain = facts.peek('chain');
    if (chain === undefined) return Promise.resolve(skipped('the bitcoin node must answer first'));
    const { facts: state, tip } = chain;
    const place = `block ${grouped(state.height)}`;
    if (state.initialDownload || state.headers - state.height > BEHIND) {
      const share = Math.floor(state.progress * 100);
      return Promise.resolve(
        note(
          `the node downloads the chain: ${place} of ${grouped(state.headers)}, ${share} %`,
          'wait until it has the whole chain: newer coins are not seen before',
        ),
      );
    }
    const hours = (today() - tip.time * 1_000) / HOUR_MS;
    if (settings.network !== 'regtest' && hours > OLD_HOURS) {
      return Promise.resolve(
        note(
          `${place} is ${grouped(hours)} hours old: the node may have no connections`,
          'bitcoin-cli getconnectioncount shows them; check the network and the clock of its machine',
        ),
      );
    }
    return Promise.resolve(ok(`${place}, of ${new Date(tip.time * 1_000).toISOString()}`));
  },
};

export const filterIndexCheck: Check = {
  id: 'filter-index',
  title: 'filter index',
  needs: ['chain'],
  gives: [],
  run(facts) {
    const { facts: state } = facts.get('chain');
    const { filterIndex } = state;
    if (!filterIndex.present) {
      return Promise.resolve(
        note(
          'the node has none: a wallet that is restored reads every block, which takes hours on mainnet',
          'blockfilterindex=1 in the bitcoin.conf of the node, and restart it',
        ),
      );
    }
    if (!filterIndex.synced) {
      return Promise.resolve(
        note(
          `is being built: block ${grouped(filterIndex.height)} of ${grouped(state.height)}`,
          'wait until it is complete before a wallet is restored',
        ),
      );
    }
    return Promise.resolve(
      canMatch(state)
        ? ok(`up to block ${grouped(filterIndex.height)}`)
        : note('this version of the node cannot search it', 'install version 25 or later'),
    );
  },
};
