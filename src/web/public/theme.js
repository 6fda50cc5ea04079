/* Light or dark: the system's choice, or the one remembered. Runs before the page is painted. */
(() => {
  const KEY = 'onionmc-theme';
  const CHOICES = ['auto', 'light', 'dark'];
  const root = document.documentElement;

  function remembered() {
    try {
      const value = localStorage.getItem(KEY);
      return CHOICES.includes(value) ? value : 'auto';
    } catch {
      // Without storage: the choice lasts until the page is closed.
      return 'auto';
    }
  }

  function remember(choice) {
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // See above.
    }
  }

  function apply(choice) {
    root.dataset.theme = choice;
    for (const button of document.querySelectorAll('[data-theme-choice]')) {
      button.setAttribute('aria-pressed', String(button.dataset.themeChoice === choice));
    }
    document.dispatchEvent(new Event('themechange'));
  }

  apply(remembered());
  document.addEventListener('DOMContentLoaded', () => {
    apply(root.dataset.theme);
    document.addEventListener('click', ({ target }) => {
      const button = target instanceof Element ? target.closest('[data-theme-choice]') : null;
      if (button === null) return;
      remember(button.dataset.themeChoice);
      apply(button.dataset.themeChoice);
    });
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
    document.dispatchEvent(new Event('themechange')),
  );
})();
