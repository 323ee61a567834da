// Forms: one submit is one request, dialogs that want a typed name, the live preview, the way from an error to its field.

import { $, $$, csrf, say, toLogin } from './dom.js';
import { swap } from './live.js';

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.method !== 'post') return;
  if (form.dataset.sent) { event.preventDefault(); event.stopImmediatePropagation(); return; }
  const button = event.submitter ?? $('[type="submit"]', form);
  if (button?.getAttribute('aria-disabled') === 'true') { event.preventDefault(); event.stopImmediatePropagation(); return; }
  form.dataset.sent = 'yes';
  button?.setAttribute('aria-busy', 'true');
  setTimeout(() => { delete form.dataset.sent; button?.removeAttribute('aria-busy'); }, form.dataset.download === undefined ? 15000 : 1500);
}, true);

// Coming back by the back button shows the page as it was left, busy button included.
addEventListener('pageshow', () => {
  for (const form of $$('form[data-sent]')) { delete form.dataset.sent; $('[aria-busy]', form)?.removeAttribute('aria-busy'); }
});

// Destructive dialogs: the button wakes up when the typed name matches.
document.addEventListener('input', (event) => {
  const wanted = event.target.dataset?.confirm;
  if (!wanted) return;
  const button = $('[data-confirmed]', event.target.closest('dialog, form'));
  button.setAttribute('aria-disabled', String(event.target.value.trim() !== wanted));
});

// A form with data-preview asks the server what it would become, while it is filled; the last question wins.
let asking = null;
let pause = 0;

async function preview(form) {
  asking?.abort();
  asking = new AbortController();
  const headers = { 'HX-Request': 'true', 'HX-Request-Type': 'partial', 'X-CSRFToken': csrf() };
  try {
    const answer = await fetch(form.dataset.preview, { method: 'POST', headers, body: new URLSearchParams(new FormData(form)), signal: asking.signal });
    if (answer.status === 401) toLogin();
    else if (answer.ok) await swap(await answer.text());
  } catch (error) {
    if (error.name !== 'AbortError') say('The preview could not be refreshed');
  }
}

document.addEventListener('input', (event) => {
  const form = event.target.closest?.('form[data-preview]');
  if (!form) return;
  clearTimeout(pause);
  pause = setTimeout(() => preview(form), 250);
});

// After a refused form the summary takes the focus, and each of its links the field.
const summary = $('[data-error-summary]');
summary?.focus();
for (const fold of $$('details.fold')) if ($('[aria-invalid="true"]', fold)) fold.open = true;
