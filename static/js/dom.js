// What every module shares: short queries, the live region, the CSRF token, one fetch.

export const root = document.documentElement;
export const $ = (selector, at = document) => at.querySelector(selector);
export const $$ = (selector, at = document) => [...at.querySelectorAll(selector)];

// The one polite live region. Automatic refreshes stay silent.
export function say(text) {
  const region = $('#say');
  if (!region || !text) return;
  region.textContent = '';
  requestAnimationFrame(() => { region.textContent = text; });
}

export const csrf = () => $('meta[name="csrf-token"]')?.content ?? '';

export function post(url, data = {}) {
  return fetch(url, {
    method: 'POST',
    headers: { 'X-CSRFToken': csrf(), 'HX-Request': 'true', 'HX-Request-Type': 'partial' },
    body: new URLSearchParams(data),
  });
}

// A session that ended must become a whole login page, never a form inside a table.
export function toLogin() {
  const next = encodeURIComponent(location.pathname + location.search);
  location.assign(`${root.dataset.login ?? '/login/'}?next=${next}`);
}

// Clones a <template>, so that no markup lives in a script.
export function fromTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}
