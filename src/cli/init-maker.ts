/**
 * `onionmc init --role maker`: data directory, configuration and unit of a maker with a wallet, and the
 * commands that are left (docs/maker.md).
 */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { walletsFolder } from '../config/data-files.js';
import { loadSettings, peekSettings, type Settings } from '../config/settings.js';
import { UNIT_NAMES } from '../ops/unit-file.js';
import { nameOfId } from '../tor/control/cookie-file.js';
import {
  checkOwner,
  noteWarnings,
  ownerOf,
  shellWord,
  unitFor,
  type FilledUnit,
  type UnitOptions,
} from './init-unit.js';
import { print, printFile, printJson, printNote } from './print.js';

interface MakerInitOptions extends UnitOptions {
  readonly datadir?: string;
  readonly wallet?: string;
  readonly json?: boolean;
}

/** One thing that is left to do. */
interface Step {
  readonly what: string;
  /** For a shell, or lines for an editor. */
  readonly lines: readonly string[];
}

const CREDENTIALS = '/etc/credstore.encrypted';

function credentialLine(wallet: string, secret: 'password' | 'passphrase'): string {
  const file = shellWord(`${CREDENTIALS}/onionmc-maker-${wallet}.${secret}`);
  return `systemd-ask-password -n "${secret} of the wallet:" | sudo systemd-creds encrypt --name=wallet-${secret} - ${file}`;
}

/** The drop-in without which a maker on mainnet ends at once. */
function mainnetStep(unit: FilledUnit, service: string): Step {
  const start = /^ExecStart=.*$/m.exec(unit.text)?.[0] ?? '';
  return {
    what: 'accept the risk of mainnet (docs/maker.md): a drop-in with these three lines',
    lines: [
      `sudo systemctl edit ${service}`,
      '[Service]',
      'ExecStart=',
      `${start} --mainnet-i-accept-the-risk`,
    ],
  };
}

async function stepsLeft(
  { datadir, network }: Settings,
  options: MakerInitOptions,
  unit: FilledUnit | undefined,
  isInstalled: boolean,
  owner: number,
): Promise<readonly Step[]> {
  const wallet = options.wallet ?? 'NAME';
  const at = `--datadir ${shellWord(datadir)}`;
  const user = await nameOfId('/etc/passwd', owner);
  const asUser = owner === process.geteuid?.() ? '' : `sudo -u ${shellWord(user)} `;
  const steps: Step[] = [];
  const exists = await access(join(walletsFolder(datadir), wallet)).then(
    () => true,
    () => false,
  );
  if (!exists) {
    const what = options.wallet === undefined ? 'a wallet; NAME is the one you choose' : 'a wallet';
    steps.push({ what, lines: [`${asUser}onionmc wallet create ${wallet} ${at}`] });
  }
  if (unit === undefined) {
    const lines = [`${asUser}onionmc maker --wallet ${wallet} ${at}`];
    return [...steps, { what: 'start', lines }];
  }
  const service = `onionmc-maker@${wallet}`;
  if (!isInstalled) {
    const lines = [`sudo onionmc init --role maker --wallet ${wallet} ${at} --systemd install`];
    steps.push({ what: 'install the unit', lines });
  }
  steps.push(
    {
      what: 'the password of the wallet, encrypted for this service',
      lines: [`sudo install -d -m 0700 ${CREDENTIALS}`, credentialLine(wallet, 'password')],
    },
    {
      what: 'only if its seed words have a passphrase',
      lines: [credentialLine(wallet, 'passphrase')],
    },
  );
  if (network === 'mainnet') steps.push(mainnetStep(unit, service));
  const start = `sudo systemctl daemon-reload && sudo systemctl enable --now ${service}`;
  return [...steps, { what: 'start', lines: [start] }];
}

interface Done {
  readonly settings: Settings;
  readonly createdConfig: boolean;
  readonly unitFile: string;
  readonly installedUnit: boolean | undefined;
  readonly steps: readonly Step[];
}

function summary({ settings, createdConfig, unitFile, installedUnit, steps }: Done): string {
  const { datadir, configFile, network } = settings;
  const lines = [
    `data directory  ${datadir}`,
    `configuration   ${configFile} (${createdConfig ? 'new' : 'exists, unchanged'})`,
    `network         ${network}`,
  ];
  if (installedUnit !== undefined) {
    lines.push(`systemd unit    ${unitFile} (${installedUnit ? 'new' : 'exists, unchanged'})`);
  }
  lines.push('next');
  steps.forEach(({ what, lines: commands }, at) => {
    lines.push(`  ${at + 1}. ${what}:`, ...commands.map((command) => `     ${command}`));
  });
  return lines.join('\n');
}

export async function runMakerInit(options: MakerInitOptions): Promise<void> {
  const load = { role: 'maker', datadir: options.datadir } as const;
  const { settings: planned, configExists } = await peekSettings(load);
  const owner = await ownerOf(planned.datadir);
  const unit = await unitFor('maker', options, planned.datadir, owner);
  checkOwner(planned.datadir, owner, configExists);

  const { settings, createdConfig } = await loadSettings(load);
  const installedUnit = await unit?.install();
  const isInstalled = installedUnit !== undefined;
  const steps = await stepsLeft(settings, options, unit, isInstalled, owner);
  const unitFile = join(options.unitDir, UNIT_NAMES.maker);

  noteWarnings(unit);
  const done = { settings, createdConfig, unitFile, installedUnit, steps };
  if (options.json === true) {
    const { datadir, configFile, network } = settings;
    printJson({
      datadir,
      configFile,
      createdConfig,
      network,
      changed: createdConfig || installedUnit === true,
      unit: unit?.text,
      unitInstalled: installedUnit,
      warnings: unit?.warnings,
      next: steps,
    });
  } else if (unit !== undefined && !isInstalled) {
    // Standard output contains only the unit, so that it can be redirected to a file.
    printNote(summary(done));
    printFile(unit.text);
  } else print(summary(done));
}
