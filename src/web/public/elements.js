/** Makes elements. Text is always text, never markup. */

export function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Appends a term and its value to a list of facts. */
export function fact(list, name, value, hint) {
  const term = element('dt', '', name);
  if (hint) term.title = hint;
  list.append(term, element('dd', '', value));
}

/** A text that does not change is not announced again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** The facts of a card, replaced only if one of them changed. */
export function showFacts(card, facts) {
  const list = card.querySelector('.facts');
  const shown = facts.filter(([, value]) => value !== undefined);
  const text = JSON.stringify(shown);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren();
  for (const [name, value] of shown) fact(list, name, value);
}

/** The badge of a card: `good`, `warn` or `bad`, and a word. */
export function showBadge(card, tone, word) {
  const badge = card.querySelector('.badge');
  badge.className = `badge ${tone}`;
  setText(badge, word);
}
