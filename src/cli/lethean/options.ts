/** The options of client.ini on the command line: their flags, and their texts by name. */
import { Option, type Command } from 'commander';
import { OPTION_NAMES, OPTIONS } from '../../lethean/config/options.js';
import { loadLetheanSettings, type LetheanSettings } from '../../lethean/config/settings.js';
import { printNote } from '../print.js';

/** Parsed options by their camelCase names, as commander gives them. */
export type Given = Readonly<Record<string, unknown>>;

const camelCase = (name: string): string =>
  name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

const collected = (text: string, before: string | undefined): string =>
  before === undefined ? text : `${before}\n${text}`;

/** All options of the table, hidden in the help, which would have 70 lines more. */
export function withSettings(command: Command): Command {
  command.option('--config <file>', 'client.ini (default: those of the platform)');
  for (const name of OPTION_NAMES) {
    const { about, ...option } = OPTIONS[name];
    const flag = new Option(`--${name} <value>`, about).hideHelp();
    if ('isList' in option) flag.argParser(collected);
    command.addOption(flag);
  }
  return command.addHelpText(
    'after',
    '\nEach option of client.ini can be given as well, such as --wallet-name default: "onionmc lethean options" lists them.\nAn optional module; it was never tried against the live network.',
  );
}

/** Rejects with a LetheanConfigError. Prints which of the set options have no effect. */
export async function settingsOf(given: Given): Promise<LetheanSettings> {
  const commandLine: Record<string, string> = {};
  for (const name of OPTION_NAMES) {
    const text = given[camelCase(name)];
    if (typeof text === 'string') commandLine[name] = text;
  }
  const { config } = given;
  const settings = await loadLetheanSettings({
    commandLine,
    ...(typeof config === 'string' ? { config } : {}),
  });
  for (const notice of settings.notices) printNote(`onionmc: ${notice}`);
  return settings;
}
