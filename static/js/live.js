// Live refresh by conditional polling. Each [data-live] element asks for its page's fragment every few seconds and is
// morphed in place; a tag that did not change costs one 304. It pauses while the tab is hidden, a menu or dialog is open
// or text is selected, and the badge says Live, Paused or Stale with the age.

import { $, $$, say, toLogin } from './dom.js';

const STALE_AFTER = 15000;
const region = () => $('[data-live]');
let tag = '';
let url = '';
let fresh = Date.now();
let paused = false;
let timer = 0;
let running = false;

// The page says itself how soon to ask again: sooner while what it shows is on its way.
const every = () => Number(region()?.dataset.every || 4) * 1000;
const badge = () => $('.live[data-act="live"]');

function paint() {
  const el = badge();
  if (!el) return;
  const age = Math.round((Date.now() - fresh) / 1000);
  const state = paused ? 'paused' : age * 1000 > STALE_AFTER ? 'stale' : 'live';
  const text = { live: 'Live', paused: 'Paused', stale: `Stale, ${age < 120 ? `${age} s` : `${Math.round(age / 60)} min`}` }[state];
  if (el.dataset.state !== state) el.dataset.state = state;
  if ($('span', el).textContent !== text) $('span', el).textContent = text;
  el.setAttribute('aria-pressed', String(!paused));
}

const busy = () => document.hidden || paused || $(':popover-open, dialog[open]') || !getSelection().isCollapsed;

// Rows carry data-v, what they show; a row whose value changed is marked for as long as the flash lasts.
function marked(before) {
  for (const row of $$('[data-live] tr[data-v]')) {
    if (before.has(row.id) && before.get(row.id) !== row.dataset.v) {
      row.classList.add('changed');
      setTimeout(() => row.classList.remove('changed'), 1700);
    }
  }
}

export async function swap(text) {
  const before = new Map($$('[data-live] tr[data-v]').map((row) => [row.id, row.dataset.v]));
  const parts = document.createElement('template');
  parts.innerHTML = text;
  for (const part of [...parts.content.children]) {
    const target = part.id && document.getElementById(part.id);
    if (target) await window.htmx.swap({ text: part.outerHTML, target, swap: 'outerMorph' });
  }
  marked(before);
  document.dispatchEvent(new CustomEvent('console:swapped'));
}

async function refresh() {
  const el = region();
  const from = el.dataset.live || location.href;
  if (from !== url) { url = from; tag = ''; }
  // X-Live: a page that refreshes itself keeps no session alive
  const headers = { 'HX-Request': 'true', 'HX-Request-Type': 'partial', 'X-Live': '1' };
  if (tag) headers['If-None-Match'] = tag;
  const answer = await fetch(from, { headers, cache: 'no-store', redirect: 'manual' });
  if (answer.status === 401 || answer.type === 'opaqueredirect') { toLogin(); return; }
  if (answer.status === 404 || answer.status === 403) { location.reload(); return; }
  if (answer.status !== 304 && !answer.ok) return;
  fresh = Date.now();
  if (answer.status === 304) return;
  const text = await answer.text();
  if (region() !== el || busy() || (el.dataset.live || location.href) !== from) return;
  tag = answer.headers.get('ETag') ?? '';
  await swap(text);
}

async function tick(now = false) {
  clearTimeout(timer);
  if (!region()) return;
  if (!running && (now || !busy())) {
    running = true;
    try { await refresh(); } catch { /* offline: the badge goes stale by itself */ } finally { running = false; }
  }
  paint();
  if (region()?.dataset.done === undefined) timer = setTimeout(tick, every());
}

export function toggleLive() {
  paused = !paused;
  if (!paused) tick(true);
  paint();
  say(paused ? 'Live updates paused' : 'Live updates on');
}

export const refreshNow = () => tick(true);

document.addEventListener('visibilitychange', () => { if (!document.hidden && !paused) tick(true); });
document.addEventListener('htmx:after:swap', () => { fresh = Date.now(); tag = ''; });
setInterval(() => { if (region() && !document.hidden) paint(); }, 1000);
if (region()) timer = setTimeout(tick, Math.min(2000, every()));
