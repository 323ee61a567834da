// Ticked rows and the bulk bar; survives refreshes because rows keep their ids and the boxes are morphed in place.

import { $, $$ } from './dom.js';

function paint() {
  const boxes = $$('tbody .check input');
  const on = boxes.filter((box) => box.checked);
  const all = $('thead .check input');
  if (all) { all.checked = on.length > 0 && on.length === boxes.length; all.indeterminate = on.length > 0 && on.length < boxes.length; }
  const bar = $('.bulk');
  if (!bar) return;
  bar.hidden = on.length === 0;
  $('[data-count]', bar).textContent = on.length;
  for (const slot of $$('[data-ids]')) slot.value = on.map((box) => box.value).join(',');
}

export function clearSelection() {
  for (const box of $$('.check input')) { box.checked = false; box.indeterminate = false; }
  paint();
}

document.addEventListener('change', (event) => {
  const box = event.target;
  if (!box.matches?.('.check input')) return;
  if (box.closest('thead')) for (const each of $$('tbody .check input')) each.checked = box.checked;
  paint();
});
document.addEventListener('click', (event) => { if (event.target.closest('[data-clear-selection]')) clearSelection(); });
document.addEventListener('console:swapped', paint);

// Shadow under the sticky column only once it covers something.
document.addEventListener('scroll', (event) => {
  const wrap = event.target;
  if (wrap instanceof HTMLElement && wrap.matches('.table-wrap')) wrap.toggleAttribute('data-scrolled', wrap.scrollLeft > 2);
}, { capture: true, passive: true });
paint();
