/** The desk behind the page of the Lethean client: which quote a decision is about, and what a cancel ends. */
import t from 'tap';
import { deferred } from '../../src/kit/deferred.js';
import { Desk, type DeskClient } from '../../src/lethean/page/desk.js';
import { quoteOf, ScriptedClient, WALLET } from '../helpers/lethean-desk.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const deskOf = (client: DeskClient): Desk =>
  new Desk({
    client,
    wallet: () => Promise.resolve(WALLET),
    settings: [],
    proxy: () => undefined,
    now: () => 1_800_000_000,
  });

t.test('a decision is about the quote that was shown, not about a later one', async (t) => {
  const client = new ScriptedClient();
  const desk = deskOf(client);
  t.teardown(() => desk.close());
  desk.select('link', 1);
  await nextTurn();
  const first = desk.view().attempt;
  if (first.step !== 'paying') throw new Error(first.step);
  // Another tab gives it up and selects a dearer one.
  desk.decide(false, first.question);
  await nextTurn();
  desk.select('link', 30);
  await nextTurn();
  const second = desk.view().attempt;
  if (second.step !== 'paying') throw new Error(second.step);
  t.not(second.quote.cost, first.quote.cost);
  for (const question of [first.question, undefined, String(second.question)]) {
    t.throws(() => desk.decide(true, question), { name: 'DeskError', message: /look at it first/ });
  }
  await nextTurn();
  t.equal(client.paid, false, 'nothing was paid');
  t.equal(desk.view().attempt.step, 'paying', 'it waits as before');
  desk.decide(true, second.question);
  await nextTurn();
  t.equal(client.paid, true);
});

t.test('a provider that answers after the cancel is not paid, and nobody is asked', async (t) => {
  const answer = deferred<void>();
  const agreed: boolean[] = [];
  const client = Object.assign(new ScriptedClient(), {
    // As one whose answer was on its way when the attempt was cancelled.
    async connect(...[, request]: Parameters<DeskClient['connect']>) {
      await answer.promise;
      agreed.push((await request.agree?.(quoteOf(1))) ?? true);
      throw new Error('the payment was not agreed to: nothing was paid');
    },
  });
  const desk = deskOf(client);
  t.teardown(() => desk.close());
  desk.select('link', 1);
  desk.cancel();
  answer.resolve();
  await nextTurn();
  t.same(agreed, [false]);
  t.equal(desk.view().attempt.step, 'failed');
});
