// Behaviour of the console: small, delegated, no inline handlers, nothing evaluated.
// Every page works without it, except the palette, the chart cursor and the live refresh.

import { $, $$, post, root, say } from './dom.js';
import { openPalette } from './palette.js';
import { toggleLive } from './live.js';
import { toast } from './toast.js';
import './charts.js';
import './forms.js';
import './hypermedia.js';
import './keys.js';
import './log.js';
import './menu.js';
import './passkey.js';
import './select.js';
import './tabs.js';
import './zoom.js';

const system = matchMedia('(prefers-color-scheme: dark)');
const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : system.matches);

function paintTheme() {
  for (const button of $$('[data-act="theme"]')) {
    button.setAttribute('aria-label', isDark() ? 'Use light theme' : 'Use dark theme');
    const use = $('use', button);
    use?.setAttribute('href', use.getAttribute('href').replace(/#.*/, isDark() ? '#sun' : '#moon'));
  }
}

// The attribute changes at once; the server keeps it for every other browser of this person.
function prefer(name, value) {
  root.dataset[name] = value;
  document.dispatchEvent(new CustomEvent('console:preference', { detail: { name, value } }));
  if (root.dataset.preferences) post(root.dataset.preferences, { [name]: value }).catch(() => say('The preference was not saved'));
}

export function toggleNav(open = !root.classList.contains('nav-open')) {
  root.classList.toggle('nav-open', open);
  $('[data-act="nav"][aria-expanded]')?.setAttribute('aria-expanded', String(open));
  const scrim = $('.scrim');
  if (scrim) scrim.hidden = !open;
  if (open) $('.side a')?.focus();
}

const acts = {
  theme() { prefer('theme', isDark() ? 'light' : 'dark'); paintTheme(); },
  density() {
    const next = root.dataset.density === 'compact' ? 'comfortable' : 'compact';
    prefer('density', next);
    say(`Density: ${next}`);
  },
  nav() { toggleNav(); },
  palette() { openPalette(acts); },
  dialog(el) { openDialog(el); },
  close(el) { el.closest('dialog')?.close(); },
  dismiss(el) { el.closest('.toast')?.remove(); },
  live(el) { toggleLive(el); },
  reload() { location.reload(); },
  async copy(el) {
    const source = document.getElementById(el.dataset.target);
    try { await navigator.clipboard.writeText(source.textContent.trim()); } catch { toast('Copying is blocked by the browser', 'bad'); return; }
    say('Copied');
    const label = $('span', el);
    if (!label) return;
    const before = label.textContent;
    label.textContent = 'Copied';
    setTimeout(() => { label.textContent = before; }, 1500);
  },
};

// A dialog may take the action and the name of the row that opened it.
function openDialog(el) {
  const dialog = document.getElementById(el.dataset.target);
  if (!dialog) return;
  const form = $('form', dialog);
  if (el.dataset.action && form) form.action = el.dataset.action;
  if (el.dataset.name) for (const slot of $$('[data-slot="name"]', dialog)) slot.textContent = el.dataset.name;
  el.closest('[popover]')?.hidePopover();
  dialog.showModal();
}

document.addEventListener('click', (event) => {
  const el = event.target.closest('[data-act]');
  if (el && acts[el.dataset.act]) acts[el.dataset.act](el);
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && root.classList.contains('nav-open')) { toggleNav(false); $('[data-act="nav"]')?.focus(); }
});
document.addEventListener('console:act', (event) => acts[event.detail]?.(document.body));

// Toasts written by the server leave by themselves; they never hold the only copy of a fact.
for (const el of $$('.toasts .toast')) setTimeout(() => el.remove(), 8000);
system.addEventListener('change', paintTheme);
paintTheme();
