// Keyboard: never while typing. Destinations are read from the navigation, so that only places that exist have a key.

import { $, $$ } from './dom.js';
import { openPalette } from './palette.js';

let chord = '';

function walk(key) {
  const links = $$('[data-list] tbody .name a');
  const at = links.indexOf(document.activeElement) + (key === 'j' ? 1 : -1);
  links[Math.max(0, Math.min(at, links.length - 1))]?.focus();
}

document.addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') { openPalette(); event.preventDefault(); return; }
  if (event.target.closest?.('input, textarea, select, dialog, [contenteditable]') || event.ctrlKey || event.metaKey || event.altKey) return;
  if (chord === 'g') {
    chord = '';
    const link = $(`.side a[data-key="${CSS.escape(event.key)}"]`);
    if (link) location.assign(link.href);
    return;
  }
  if (event.key === 'g') { chord = 'g'; setTimeout(() => { chord = ''; }, 900); }
  if (event.key === '/') { const box = $('[data-search]'); if (box) { box.focus(); box.select(); event.preventDefault(); } }
  if (event.key === '?') $('#keys')?.showModal();
  if ('jk'.includes(event.key)) walk(event.key);
  if (event.key === 'x') document.activeElement.closest?.('tr')?.querySelector('.check input')?.click();
});
