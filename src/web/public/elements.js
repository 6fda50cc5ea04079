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
