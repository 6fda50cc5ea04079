/** Takes the marked commands from a page and runs them in order, as a person would. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Step {
  readonly name: string;
  /** A program that keeps running. */
  readonly background: boolean;
  /** Shell commands as the page has them. */
  readonly commands: string;
}

/**
 * The fenced blocks after a comment `<!-- step: name -->` (or another word for `step`), with
 * `background` after the name when the block is a program that keeps running.
 */
export async function stepsOf(page: string, word = 'step'): Promise<readonly Step[]> {
  const text = await readFile(join(ROOT, page), 'utf8');
  const marked = new RegExp(
    `^( *)<!-- ${word}: ([\\w-]+)( background)? -->\\n\\n *\`\`\`\\n([^\`]*?\\n) *\`\`\`$`,
    'gm',
  );
  const steps = [...text.matchAll(marked)].map(
    ([, indent = '', name = '', background, block = '']): Step => ({
      name,
      background: background !== undefined,
      commands: block.replaceAll(new RegExp(`^${indent}`, 'gm'), '').trimEnd(),
    }),
  );
  const marks = text.split(`<!-- ${word}: `).length - 1;
  if (marks !== steps.length) throw new Error(`${page}: a mark without a block after it`);
  return steps;
}

export interface Session {
  /** The folder of its outputs, as `NAME.out` and `NAME.err`. */
  readonly logs: string;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Values for the placeholders of the page; first match first. */
  readonly replace: readonly (readonly [string, string])[];
  /** Shell commands to run before and after a step, in place of the checks and waits of a person. */
  readonly before?: Readonly<Record<string, string>>;
  readonly after?: Readonly<Record<string, string>>;
  /** The program that gets the script as its last argument; default bash. */
  readonly shell?: readonly string[];
}

/** `until_shown NAME TEXT`: waits until the output of a running step has the text. */
const HELPERS = `
set -euo pipefail
exec 3<&0 </dev/null
# The test holds the other end: when it dies, also by SIGKILL, everything that was started here ends.
( read -r <&3 || kill -KILL 0 ) >/dev/null 2>&1 &
until_shown() {
  until grep -qsF -- "$2" "$LOGS/$1.out" "$LOGS/$1.err"; do
    [[ -z \${PIDS[$1]-} ]] || kill -0 "\${PIDS[$1]}" || return 1
    sleep 0.1
  done
}
declare -A PIDS
`;

function scriptOf(steps: readonly Step[], { replace, before, after }: Session): string {
  const parts = steps.map(({ name, background, commands }) => {
    const typed = replace.reduce((text, [from, to]) => text.replaceAll(from, to), commands);
    const output = `>"$LOGS/${name}.out" 2>"$LOGS/${name}.err"`;
    const run = background
      ? `( exec ${typed} ) ${output} &\nPIDS[${name}]=$!`
      : `{\n${typed}\n} ${output}`;
    return [`echo "@@ ${name} $SECONDS"`, before?.[name] ?? '', run, after?.[name] ?? ''].join(
      '\n',
    );
  });
  return [HELPERS, ...parts, 'echo "@@ done $SECONDS"'].join('\n');
}

/**
 * Runs them in one shell. Resolves with the names of the steps that began; the last one is `done` after a
 * success. A failed step fails the test with its output.
 */
export async function runSteps(
  t: Test,
  steps: readonly Step[],
  session: Session,
): Promise<readonly string[]> {
  const [program = 'bash', ...args] = session.shell ?? ['bash'];
  const child = spawn(program, [...args, '-c', scriptOf(steps, session)], {
    cwd: session.cwd,
    env: { ...process.env, ...session.env, LOGS: session.logs, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
    // A process group of its own, so that programs that a step left running end with it.
    detached: true,
  });
  let isOver = false;
  const endGroup = (): void => {
    process.off('exit', endGroup);
    // The number of an ended group may be that of another one.
    if (isOver) return;
    isOver = true;
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group has ended.
    }
  };
  // After a time-out there is no teardown.
  process.once('exit', endGroup);
  t.teardown(endGroup);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
  // `exit`, not `close`: a program that a step left running may hold the pipes.
  await new Promise((resolve, reject) => child.once('exit', resolve).once('error', reject));
  endGroup();
  const marks = [...said.matchAll(/^@@ ([\w-]+) (\d+)$/gm)];
  const begun = marks.map(([, name = '']) => name);
  t.comment(`began after seconds: ${marks.map(([, name, at]) => `${name} ${at}`).join(', ')}`);
  const last = begun.at(-1);
  if (last !== 'done') {
    const [out, err] = await Promise.all(
      ['out', 'err'].map((kind) =>
        readFile(join(session.logs, `${last}.${kind}`), 'utf8').catch(() => ''),
      ),
    );
    t.fail(`step ${last} failed`, { out, err, said });
  }
  return begun;
}
