// Forms: one submit is one request, dialogs that want a typed name, rows of name and value, shortcuts for errors.

import { $, $$ } from './dom.js';

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

// Rows of name and value: one more, one less.
document.addEventListener('click', (event) => {
  const add = event.target.closest('[data-add-row]');
  if (add) {
    const row = document.getElementById(add.dataset.addRow).content.firstElementChild.cloneNode(true);
    add.closest('[data-rows]').querySelector('[data-list]').append(row);
    $('input', row)?.focus();
  }
  const remove = event.target.closest('[data-remove-row]');
  if (remove) {
    const form = remove.closest('form');
    remove.closest('[data-row]').remove();
    form?.dispatchEvent(new Event('input', { bubbles: true }));
  }
});

// After a refused form the summary takes the focus, and each of its links the field.
const summary = $('[data-error-summary]');
summary?.focus();
for (const fold of $$('details.fold')) if ($('[aria-invalid="true"]', fold)) fold.open = true;

// A field may be shown only for one choice of another: data-when="name=value".
function when() {
  for (const el of $$('[data-when]')) {
    const [name, value] = el.dataset.when.split('=');
    const form = el.closest('form');
    const input = form?.elements[name];
    if (input) el.hidden = input.value !== value;
  }
}
document.addEventListener('change', when);
when();
