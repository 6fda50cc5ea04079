/** What is wrong with a configuration, and where. */
export interface ConfigFault {
  /** Path of the file. */
  readonly file: string;
  /** Line number, from 1, where it is known. */
  readonly line?: number | undefined;
  readonly section?: string | undefined;
  readonly key?: string | undefined;
  /** What stands there; shown quoted and shortened. */
  readonly found: string;
  /** What may stand there. */
  readonly allowed: string;
}

const MAX_SHOWN = 80;

/** Text of a file or of the environment, fit for one line: control characters escaped, shortened. */
export function shown(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A section or key: the same without quotes. */
function shownName(text: string): string {
  return shown(text).slice(1, -1);
}

function faultText(fault: ConfigFault): string {
  const place = fault.line === undefined ? fault.file : `${fault.file}:${fault.line}`;
  const section = fault.section === undefined ? '' : ` [${shownName(fault.section)}]`;
  const key = fault.key === undefined ? '' : ` ${shownName(fault.key)}`;
  const within = section + key;
  return `${place}:${within}${within === '' ? '' : ':'} found ${fault.found}; allowed: ${fault.allowed}`;
}

/**
 * A configuration that cannot be used. The message is one line: which file, line, section and key,
 * what was found and what is allowed. A program that meets it exits with code 2.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly exitCode = 2;
  readonly fault: ConfigFault;

  constructor(fault: ConfigFault, options?: ErrorOptions) {
    super(faultText(fault), options);
    this.fault = fault;
  }
}
