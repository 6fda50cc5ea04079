/** The question for the address of a step, with a person who mistypes, gives up, or is not there. */
import t from 'tap';
import { addressAsker } from '../../../src/cli/schedule/ask-address.js';
import { UsageError } from '../../../src/cli/errors.js';
import { StoppedError, type Asker } from '../../../src/cli/wallet/terminal.js';
import { addressNumber } from '../../helpers/schedules.js';

const PLACE = { path: 'w.schedule', network: 'regtest', wallet: 'w' } as const;
const { address, script } = addressNumber(1);

/** A person who gives these answers. */
function person(...answers: readonly string[]) {
  const questions: string[] = [];
  const shown: string[] = [];
  const asker: Asker = {
    canAsk: true,
    secret: () => Promise.reject(new Error('nothing secret is asked for')),
    line: async (question) => {
      questions.push(question);
      return answers[questions.length - 1] ?? '';
    },
    show: (text) => void shown.push(text),
    close: () => {},
  };
  return { asker, questions, shown };
}

t.test('an address at the first or a later attempt', async (t) => {
  const once = person(`  ${address} `);
  t.same(await addressAsker(once.asker, PLACE)(2), { kind: 'address', address, script });
  t.same(once.questions, ['A new address for step 3: ']);
  t.same(once.shown, []);

  const mainnet = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
  const again = person('', 'nonsense\u001b[2J', mainnet, address);
  t.same(await addressAsker(again.asker, PLACE)(0), { kind: 'address', address, script });
  t.equal(again.questions.length, 4);
  t.equal(again.shown.length, 3, 'each mistake is explained');
  t.ok(again.shown.every((text) => text.endsWith('(this wallet is of regtest)')));
  t.notOk(again.shown.join('').includes('\u001b'), 'what was typed is shown cleaned');
});

t.test('ten mistakes end the run, and a terminal that ends does', async (t) => {
  const lost = person(...Array.from({ length: 20 }, () => 'nonsense'));
  await t.rejects(
    addressAsker(lost.asker, PLACE)(1),
    new StoppedError('no address for step 2 after 10 attempts'),
  );
  t.equal(lost.questions.length, 10);
  const gone = { ...person().asker, line: () => Promise.reject(new StoppedError('stopped')) };
  await t.rejects(addressAsker(gone, PLACE)(1), { message: 'stopped' });
});

t.test('without a terminal the file is named', async (t) => {
  const absent = { ...person().asker, canAsk: false };
  await t.rejects(
    addressAsker(absent, PLACE)(0),
    new UsageError(
      'step 1 needs an address, and there is no terminal to ask at: write one in place of its addrask in w.schedule, and run it again',
    ),
  );
});
