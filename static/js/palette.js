// Command palette (Ctrl K): a combobox over a listbox. The server answers with objects; pages and actions are filtered here.

import { $, $$, toLogin } from './dom.js';

const palette = $('#palette');
let picked = 0;
let waiting = 0;
let asked = '';

const hits = () => $$('[role="option"]', palette).filter((option) => !option.hidden);

function paint() {
  const list = hits();
  picked = Math.max(0, Math.min(picked, list.length - 1));
  for (const option of $$('[role="option"]', palette)) option.setAttribute('aria-selected', String(option === list[picked]));
  for (const group of $$('[role="group"]', palette)) group.hidden = !$$('[role="option"]', group).some((option) => !option.hidden);
  const input = $('input', palette);
  if (list[picked]) input.setAttribute('aria-activedescendant', list[picked].id); else input.removeAttribute('aria-activedescendant');
  list[picked]?.scrollIntoView({ block: 'nearest' });
  $('[data-none]', palette).hidden = list.length > 0;
}

async function ask(text) {
  asked = text;
  const answer = await fetch(`${palette.dataset.search}?q=${encodeURIComponent(text)}`, { headers: { 'HX-Request': 'true', 'HX-Request-Type': 'partial' } });
  if (answer.status === 401) { toLogin(); return; }
  if (!answer.ok || text !== asked) return;
  $('#palette-objects').replaceChildren(document.createRange().createContextualFragment(await answer.text()));
  paint();
}

export function openPalette() {
  if (!palette || palette.open) return;
  palette.showModal();
  const input = $('input', palette);
  input.value = '';
  input.dispatchEvent(new Event('input', { bubbles: true }));
}

function go(option) {
  palette.close();
  if (option.dataset.run) document.dispatchEvent(new CustomEvent('console:act', { detail: option.dataset.run }));
  else if (option.dataset.href) location.assign(option.dataset.href);
}

palette?.addEventListener('input', (event) => {
  const text = event.target.value.trim();
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const option of $$('#palette-fixed [role="option"]', palette)) option.hidden = !words.every((word) => option.textContent.toLowerCase().includes(word));
  picked = 0;
  paint();
  clearTimeout(waiting);
  waiting = setTimeout(() => ask(text), 120);
});
palette?.addEventListener('keydown', (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) { picked = (picked + step + hits().length) % Math.max(1, hits().length); paint(); event.preventDefault(); }
  if (event.key === 'Enter' && hits()[picked]) { go(hits()[picked]); event.preventDefault(); }
});
palette?.addEventListener('click', (event) => {
  const option = event.target.closest('[role="option"]');
  if (option) go(option); else if (event.target === palette) palette.close();
});
