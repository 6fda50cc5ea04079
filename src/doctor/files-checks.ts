/** Checks of files: data directory, configuration, onion key. */
import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCodeOrText } from '../kit/error-text.js';
import { ConfigError } from '../config/config-error.js';
import { misspeltNotices, peekSettings } from '../config/settings.js';
import { VIRTUAL_PORT } from '../protocol/constants.js';
import { nameOfId } from '../tor/control/cookie-file.js';
import { readOnionHostname, readOnionKey } from '../tor/onion/key-folder.js';
import { TorError } from '../tor/tor-error.js';
import {
  note,
  ok,
  startCommand,
  theProgram,
  wrong,
  wrongAs,
  type Check,
  type Machine,
  type Verdict,
} from './check.js';

/** Files of a data directory: a key, a configuration, and the state of a Tor. */
const LEAST_BYTES = 16_777_216;
const LEAST_FILES = 100;

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, '0');
const quoted = (path: string): string => JSON.stringify(path);

/** Peers create their data directory at the first start, if they may. */
async function missingDatadir(machine: Machine): Promise<Verdict> {
  const { datadir, role, uid } = machine;
  if (role === 'directory') {
    return wrong(`${datadir} does not exist`, `onionmc init --datadir ${quoted(datadir)}`);
  }
  let above = dirname(datadir);
  // oxlint-disable-next-line no-await-in-loop -- upwards, one after the other
  while (above !== '/' && !(await exists(above))) above = dirname(above);
  try {
    await access(above, constants.W_OK | constants.X_OK);
  } catch {
    return wrong(
      `${datadir} does not exist, and this user may not make it in ${above}: a start fails`,
      `give --datadir a folder of this user, or sudo install -d -m 700 -o "$(id -un)" ${quoted(datadir)}`,
    );
  }
  return note(
    `${datadir} does not exist; the first start makes it`,
    `${startCommand(machine)}, or --datadir if it is elsewhere`,
    { owner: uid ?? 0 },
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

export const datadirCheck: Check = {
  id: 'datadir',
  title: 'data directory',
  needs: [],
  gives: ['owner'],
  async run(_facts, machine) {
    const { datadir, uid, space, role } = machine;
    const us = theProgram(machine);
    let stats;
    try {
      stats = await stat(datadir);
    } catch (error) {
      const code = errorCodeOrText(error);
      return code === 'ENOENT'
        ? missingDatadir(machine)
        : wrong(
            `${datadir} cannot be read (${code})`,
            `run onionmc doctor as root, or as the user of ${us}`,
          );
    }
    if (!stats.isDirectory()) {
      return wrong(`${datadir} is not a folder`, 'give --datadir a folder, or move that file away');
    }
    const owner = await nameOfId('/etc/passwd', stats.uid);
    // Root can check the directory of another user; any other user must be that user.
    if (uid !== undefined && uid !== 0 && stats.uid !== uid) {
      const me = await nameOfId('/etc/passwd', uid);
      const as = role === 'directory' ? '' : ` --role ${role}`;
      return wrong(
        `${datadir} belongs to ${owner}, and this is run by ${me}`,
        `sudo -u ${owner} onionmc doctor${as} --datadir ${quoted(datadir)}, or sudo chown -R ${me} ${quoted(datadir)}`,
      );
    }
    if ((stats.mode & 0o022) !== 0) {
      return wrong(
        `${datadir} has mode ${octal(stats.mode)}: others can put files into it`,
        `chmod 700 ${quoted(datadir)}`,
        { owner: stats.uid },
      );
    }
    // Root may write anywhere; the user of the directory may not.
    if ((stats.mode & 0o700) !== 0o700 && stats.uid !== 0) {
      return wrong(
        `${datadir} has mode ${octal(stats.mode)}: its owner ${owner} cannot create files in it: a start fails`,
        `chmod 700 ${quoted(datadir)}`,
        { owner: stats.uid },
      );
    }
    const left = await space(datadir);
    if (left !== undefined && (left.bytes < LEAST_BYTES || left.files < LEAST_FILES)) {
      const what = left.bytes < LEAST_BYTES ? `${left.bytes} bytes` : `${left.files} more files`;
      return wrong(
        `the disk of ${datadir} is full: there is room for ${what}`,
        `make room (df -h ${quoted(datadir)} and df -i ${quoted(datadir)} show it; sudo journalctl --vacuum-size=100M empties old logs)`,
        { owner: stats.uid },
      );
    }
    return ok(`${datadir}, of ${owner}, mode ${octal(stats.mode)}`, { owner: stats.uid });
  },
};

/** Other users can read the file, and it contains a password. */
async function exposedPassword(path: string, password: string | undefined): Promise<boolean> {
  if (password === undefined) return false;
  return ((await stat(path)).mode & 0o077) !== 0;
}

export const configCheck: Check = {
  id: 'config',
  title: 'configuration',
  needs: [],
  gives: ['settings', 'cluster', 'lokinet'],
  async run(_facts, machine) {
    const { datadir, role } = machine;
    const us = theProgram(machine);
    let peeked;
    try {
      peeked = await peekSettings({ datadir, role });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const { found, allowed } = error.fault;
      if (error.cause !== undefined && errorCodeOrText(error.cause) === 'EACCES') {
        return wrong(
          `${error.fault.file} cannot be read by this user`,
          `run onionmc doctor as the user of ${us}, or sudo chown --reference=${quoted(datadir)} ${quoted(error.fault.file)}; sudo chmod 600 ${quoted(error.fault.file)}`,
        );
      }
      const place = error.message.slice(0, -`found ${found}; allowed: ${allowed}`.length);
      return wrong(`${place}found ${found}`, `write ${allowed}`);
    }
    const { settings, configExists } = peeked;
    const { configFile, network, onion } = settings;
    if (!configExists && role === 'directory') {
      return wrong(`there is no ${configFile}`, `onionmc init --datadir ${quoted(datadir)}`);
    }
    const { cluster } = settings;
    const found = {
      settings,
      ...(cluster === undefined ? {} : { cluster }),
      ...(onion.lokinet === undefined ? {} : { lokinet: onion.lokinet }),
    };
    const refused = await machine.refusal?.(settings);
    if (refused !== undefined) return wrong(refused.text, refused.fix, found);
    if (!configExists) {
      return note(
        `there is no ${configFile}; the first start writes the default, and network is ${network}`,
        startCommand(machine),
        found,
      );
    }
    const misspelt = misspeltNotices(settings.cfg);
    if (misspelt.length > 0) {
      return wrong(misspelt.join('; '), 'correct the name, or take the line out', found);
    }
    if (await exposedPassword(configFile, onion.controlPassword)) {
      return wrong(
        `${configFile} holds tor_control_password, and others can read it`,
        `chmod 600 ${quoted(configFile)}`,
        found,
      );
    }
    return ok(`${configFile}, network ${network}, tor_mode ${onion.torMode}`, found);
  },
};

const keyNow = ({ role, datadir }: Machine): string =>
  role === 'directory'
    ? `; else onionmc init --datadir ${quoted(datadir)} makes a key now and prints the address`
    : '';

async function keyIn(dir: string, owner: number, machine: Machine): Promise<Verdict> {
  const key = await readOnionKey(dir, owner);
  if (key === undefined) {
    return note(
      `no key yet in ${dir}; the next start makes one, with a new address`,
      `if ${theProgram(machine)} had an address before, first put its key folder back at ${quoted(dir)}${keyNow(machine)}`,
      { keyless: dir },
    );
  }
  const { host } = key;
  return ok(`${host}, in ${dir}`, { location: { kind: 'onion', host, port: VIRTUAL_PORT } });
}

export const keyCheck: Check = {
  id: 'onion-key',
  title: 'onion key',
  needs: ['settings', 'owner'],
  gives: ['location', 'keyless'],
  async run(facts, machine) {
    const { onion } = facts.get('settings');
    const { withoutTor, torMode, hiddenServiceDir } = onion;
    if (withoutTor && onion.lokinet) return ok('no key needed: Lokinet has the one of its address');
    if (withoutTor) return ok('no key needed in loopback test mode');
    if (hiddenServiceDir === undefined) {
      return torMode === 'external'
        ? wrong(
            'tor_mode = external needs hidden_service_dir, whose file hostname names our onion: a start fails',
            'set hidden_service_dir to the HiddenServiceDir of your torrc, or tor_mode = auto',
          )
        : ok('no key is kept (hidden_service_dir is empty): each start has a new address');
    }
    try {
      if (torMode !== 'external') return await keyIn(hiddenServiceDir, facts.get('owner'), machine);
      const host = await readOnionHostname(hiddenServiceDir);
      return ok(`${host}, of the service in your torrc`, {
        location: { kind: 'onion', host, port: VIRTUAL_PORT },
      });
    } catch (error) {
      if (error instanceof TorError) {
        return wrongAs(error, 'set hidden_service_dir to a folder of its own');
      }
      throw error;
    }
  },
};
