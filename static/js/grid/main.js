// The quota grid. The server draws a sheet; what is typed is kept here until it is saved, over sheets and pages.

import { $, say, toLogin } from '../dom.js';
import { Edits } from './edits.js';
import { Keys } from './keys.js';
import { Review } from './save.js';
import { Table } from './table.js';

const edits = new Edits();
let table;
let keys;
let review;

function bar() {
  const el = $('#savebar');
  el.hidden = !edits.size && !edits.future.length;
  const { size } = edits;
  const { wrong } = edits;
  $('#changes').textContent = `${size} unsaved ${size === 1 ? 'change' : 'changes'}`;
  const last = [...edits.cells.values()].slice(-3).map((edit) => `${edit.name} in ${edit.poolName} ${edit.was} to ${edit.value}`);
  $('#changes-last').textContent = wrong ? `${wrong} ${wrong === 1 ? 'cell needs' : 'cells need'} another look.` : last.join(', ');
  $('#review-open').setAttribute('aria-disabled', String(!size || wrong > 0));
  $('#undo').setAttribute('aria-disabled', String(!edits.past.length));
  $('#redo').setAttribute('aria-disabled', String(!edits.future.length));
}

function paint(changes) {
  for (const change of changes) table.paint(change);
  bar();
}

function commit(changes) {
  paint(edits.apply(changes));
  if (changes.length === 1 && changes[0].wrong) say(changes[0].wrong);
}

function back(forward) {
  const changes = forward ? edits.redo() : edits.undo();
  paint(changes);
  say(changes.length ? (forward ? 'Done again' : 'Undone') : 'Nothing to undo');
}

function start() {
  const el = $('#grid');
  if (!el) return;
  table = new Table(el, edits);
  keys = new Keys(table, commit, back);
  table.paintAll();
  bar();
}

// Another sheet, page or filter is fetched and takes the place of the old one; the typed cells are laid over it.
async function turn(href, { push = true } = {}) {
  const answer = await fetch(href, { cache: 'no-store', redirect: 'manual' });
  if (answer.type === 'opaqueredirect' || answer.status === 401) { toLogin(); return; }
  if (!answer.ok) { location.assign(href); return; }
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const id of ['grid-page', 'sheets', 'sentence']) {
    const next = page.getElementById(id);
    if (next && document.getElementById(id)) document.getElementById(id).replaceWith(next);
  }
  if (push) history.pushState({}, '', href);
  start();
}

const page = $('#quota-grid');
if (page) {
  start();
  review = new Review(page, edits, () => turn(location.href, { push: false }));
  document.addEventListener('copy', (event) => keys?.copy(event));
  document.addEventListener('paste', (event) => keys?.paste(event));
  document.addEventListener('click', (event) => {
    const link = event.target.closest('#sheets a, #grid-page .pager a');
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); event.stopPropagation(); turn(link.href); return; }
    const act = event.target.closest('[data-grid]')?.dataset.grid;
    if (act === 'undo') back(false);
    if (act === 'redo') back(true);
    if (act === 'discard') { const all = [...edits.cells.values()]; edits.clear(); paint(all); say('All changes discarded'); }
    if (act === 'review' && edits.size && !edits.wrong) review.open();
  }, true);
  page.addEventListener('grid:repaint', () => { for (const edit of edits.cells.values()) table.paint(edit); bar(); });
  addEventListener('popstate', () => turn(location.href, { push: false }));
  addEventListener('beforeunload', (event) => { if (edits.size) event.preventDefault(); });
}
