// Tabs inside a pane (tabs between pages are plain links). The chosen tab survives a refreshed pane.

import { $, $$ } from './dom.js';

const chosen = new Map();

function pick(tab, focus) {
  const list = tab.closest('[role="tablist"]');
  for (const other of $$('[role="tab"]', list)) {
    const mine = other === tab;
    other.setAttribute('aria-selected', String(mine));
    other.tabIndex = mine ? 0 : -1;
    const panel = document.getElementById(other.getAttribute('aria-controls'));
    if (panel) panel.hidden = !mine;
  }
  chosen.set(list.getAttribute('aria-label'), tab.id);
  const copy = $('[data-act="copy"]', tab.closest('.tabs'));
  if (copy) copy.dataset.target = tab.getAttribute('aria-controls');
  if (focus) tab.focus();
}

document.addEventListener('click', (event) => { const tab = event.target.closest('[role="tab"]'); if (tab) pick(tab); });
document.addEventListener('keydown', (event) => {
  if (!event.target.matches?.('[role="tab"]')) return;
  const tabs = $$('[role="tab"]', event.target.closest('[role="tablist"]'));
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  pick(tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length], true);
  event.preventDefault();
});
document.addEventListener('console:swapped', () => {
  for (const id of chosen.values()) { const tab = document.getElementById(id); if (tab && tab.getAttribute('aria-selected') !== 'true') pick(tab); }
});

// On a narrow screen the row of tabs scrolls: the present one is brought into sight.
function reveal() {
  for (const tab of $$('.tabs [aria-current]')) {
    const row = tab.parentElement;
    row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
  }
}
document.addEventListener('console:swapped', reveal);
reveal();
