import { quotedLine, shownLine } from '../kit/shown-text.js';

/** A fault in a configuration, and its place. */
export interface ConfigFault {
  /** Path of the file. */
  readonly file: string;
  /** Line number, from 1, if known. */
  readonly line?: number | undefined;
  /** The section, without brackets; absent if the fault is not in one. */
  readonly section?: string | undefined;
  /** The key; absent if the fault is not at one. */
  readonly key?: string | undefined;
  /** The text found; shown quoted and shortened. */
  readonly found: string;
  /** The allowed values. */
  readonly allowed: string;
}

/** A section or key: shown without quotes. */
function shownName(text: string): string {
  return quotedLine(text).slice(1, -1);
}

function faultText(fault: ConfigFault): string {
  const file = shownLine(fault.file);
  const place = fault.line === undefined ? file : `${file}:${fault.line}`;
  const section = fault.section === undefined ? '' : ` [${shownName(fault.section)}]`;
  const key = fault.key === undefined ? '' : ` ${shownName(fault.key)}`;
  const within = section + key;
  return `${place}:${within}${within === '' ? '' : ':'} found ${fault.found}; allowed: ${fault.allowed}`;
}

/**
 * A configuration that cannot be used. The message is one line: file, line, section and key, what was
 * found and what is allowed. The program then exits with code 2.
 */
export class ConfigError extends Error {
  /** Always `ConfigError`. */
  override readonly name = 'ConfigError';
  /** The exit code of a program for it. */
  readonly exitCode = 2;
  /** The fault and its place. */
  readonly fault: ConfigFault;

  constructor(/** The fault and its place. */ fault: ConfigFault, options?: ErrorOptions) {
    super(faultText(fault), options);
    this.fault = fault;
  }
}
