// Popover menus: native popover, placed beside their button. A menu with data-load fetches its items when first opened;
// a button with data-menu lends its own address to a menu that all rows share.

import { $, $$, toLogin } from './dom.js';

const opener = (menu) => $(`[popovertarget="${CSS.escape(menu.id)}"][aria-expanded="true"]`) ?? $(`[popovertarget="${CSS.escape(menu.id)}"]`);

function place(menu, button) {
  const box = button.getBoundingClientRect();
  const left = Math.min(box.left, innerWidth - menu.offsetWidth - 8);
  const below = box.bottom + 4;
  const top = below + menu.offsetHeight > innerHeight ? box.top - menu.offsetHeight - 4 : below;
  menu.style.left = `${Math.max(8, left)}px`;
  menu.style.top = `${Math.max(8, top)}px`;
}

async function load(menu, query = '', from = menu.dataset.load) {
  const url = new URL(from, location.href);
  if (query) url.searchParams.set('q', query);
  const answer = await fetch(url, { headers: { 'HX-Request': 'true', 'HX-Request-Type': 'partial', 'HX-Current-URL': location.href } });
  if (answer.status === 401) { toLogin(); return; }
  if (!answer.ok) return;
  const list = $('[data-items]', menu) ?? menu;
  list.replaceChildren(document.createRange().createContextualFragment(await answer.text()));
  window.htmx?.process(list);
  menu.dataset.loaded = 'yes';
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('[popovertarget]');
  if (!button) return;
  for (const other of $$(`[popovertarget="${CSS.escape(button.getAttribute('popovertarget'))}"]`)) other.setAttribute('aria-expanded', 'false');
  button.setAttribute('aria-expanded', 'true');
}, true);

document.addEventListener('toggle', async (event) => {
  const menu = event.target;
  if (!(menu instanceof HTMLElement) || !menu.matches('.menu[popover]')) return;
  const button = opener(menu);
  if (event.newState !== 'open') { button?.setAttribute('aria-expanded', 'false'); return; }
  if (!button) return;
  button.setAttribute('aria-expanded', 'true');
  if (button.dataset.menu) { menu.replaceChildren(); await load(menu, '', button.dataset.menu); }
  else if (menu.dataset.load && !menu.dataset.loaded) await load(menu);
  place(menu, button);
  ($('input', menu) ?? $('a, button', menu))?.focus();
}, true);

let typing = 0;
document.addEventListener('input', (event) => {
  const menu = event.target.closest?.('.menu[data-load]');
  if (!menu) return;
  clearTimeout(typing);
  typing = setTimeout(() => load(menu, event.target.value), 150);
});

document.addEventListener('keydown', (event) => {
  const menu = event.target.closest?.('.menu[popover]');
  if (!menu || !['ArrowDown', 'ArrowUp', 'Home', 'End'].includes(event.key)) return;
  const items = $$('li :is(a, button)', menu);
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  items[(to + items.length) % items.length]?.focus();
  event.preventDefault();
});
