/**
 * The tests of `test/directory` that are left out on three nodes: title and reason, by file. The scenes compare it with
 * what was left out, so one more is a decision that is taken here.
 */
const FIGURES =
  'exact figures of one bucket: those of three nodes are within a tenth, after a second';
const STRUCTURE = 'a data structure of a node';
const LIST = 'the list itself, without a directory';

/** A file that is not named leaves nothing out. */
export const LEFT_OUT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  budgets: {
    'a low class leaves room for the higher ones': FIGURES,
    'the waiting messages of a peer that leaves are dropped': FIGURES,
    'the fair queue': STRUCTURE,
    'circuits without streams are bounded': STRUCTURE,
  },
  fanout: {
    'the model detects a lost, a doubled and a swapped line': 'a test of the model of this file',
    'the log': STRUCTURE,
    'the flush window': STRUCTURE,
    'the window of public frames': STRUCTURE,
    'one write per flush, zero-copy and shared': 'writes and memory of one process',
    'the MOTD of deployed directories': 'a function without a directory',
    'queued bytes are written at once, and in a batch when the outermost batch ends':
      'writes of one process',
  },
  memory: {
    'a process with peers that came and went, and endless lines':
      'memory and descriptors of one program; processes.test.ts has three',
  },
  operator: {
    'the list of bans has a bound': LIST,
    'a kind of location that a program adds is banned by its host, as an onion is': LIST,
  },
};
