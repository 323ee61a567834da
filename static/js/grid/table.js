// The grid's table: reads and paints cells, keeps the sums of departments, rows and node pools.

import { $, $$ } from '../dom.js';
import { amount, thousandths, written } from './cells.js';

export class Table {
  constructor(el, edits) {
    this.el = el;
    this.edits = edits;
    const { sheet, label, unit, empty, allowed, sums } = el.dataset;
    this.sheet = { key: sheet, label, unit, empty, allowed, sums: sums !== undefined };
    this.pools = $$('thead [data-pool]', el).map((th) => ({ pk: Number(th.dataset.pool), name: th.dataset.name, head: th }));
    this.rows = [...el.tBodies[0].rows].filter((row) => row.dataset.unit);
    this.byUnit = new Map(this.rows.map((row) => [row.dataset.unit, row]));
    this.cursor = { row: 0, column: 0 };
  }

  cell({ row, column }) { return this.rows[row]?.cells[column + 1]; }
  place(td) { return { row: this.rows.indexOf(td.parentElement), column: td.cellIndex - 1 }; }
  isValue(td) { return td?.tagName === 'TD' && td.cellIndex > 0 && td.cellIndex <= this.pools.length && td.parentElement.dataset.unit; }
  editable(td) { return td.parentElement.dataset.edit !== undefined; }
  value(td) { return td.firstChild?.nodeType === Node.TEXT_NODE ? td.firstChild.data : ''; }

  // Everything a change of this cell needs to be told by.
  address(td) {
    const row = td.parentElement;
    const pool = this.pools[td.cellIndex - 1];
    const old = this.edits.get(row.dataset.unit, pool.pk, this.sheet.key);
    return {
      unit: row.dataset.unit, name: row.dataset.name, version: Number(row.dataset.version), dept: row.dataset.dept,
      pool: pool.pk, poolName: pool.name, sheet: this.sheet.key, label: this.sheet.label, was: old ? old.was : this.value(td),
    };
  }

  // Show what an edit, or its end, makes of a cell; then the sums it is part of.
  paint(edit) {
    if (edit.sheet !== this.sheet.key) return;
    const row = this.byUnit.get(edit.unit);
    const column = this.pools.findIndex((pool) => pool.pk === edit.pool);
    if (!row || column < 0) return;
    const td = row.cells[column + 1];
    const now = this.edits.get(edit.unit, edit.pool, edit.sheet);
    const text = now ? now.value : edit.was;
    const before = this.value(td);
    if (td.firstChild?.nodeType === Node.TEXT_NODE) td.firstChild.data = text; else td.prepend(text);
    td.classList.toggle('dirty', Boolean(now));
    td.classList.toggle('wrong', Boolean(now?.wrong));
    if (now?.wrong) { td.setAttribute('aria-invalid', 'true'); td.title = now.wrong; } else { td.removeAttribute('aria-invalid'); td.removeAttribute('title'); }
    if (!this.sheet.sums) return;
    if (!row.dataset.dept) this.#promise(column, thousandths(text) - thousandths(before));
    this.#total(row);
    this.#mark(td, row);
    if (row.dataset.dept) this.#given(this.byUnit.get(row.dataset.dept), column, before, text);
  }

  // All of a sheet that has just come, with what is typed for it; sums know rows of other pages by their department.
  paintAll() {
    for (const edit of [...this.edits.cells.values()]) {
      if (edit.sheet !== this.sheet.key) continue;
      const row = this.byUnit.get(edit.unit);
      const column = this.pools.findIndex((pool) => pool.pk === edit.pool);
      if (row && column >= 0) {
        if (this.value(row.cells[column + 1]) === edit.value) this.edits.drop(edit);
        this.paint(edit);
      }
      else if (edit.dept && this.sheet.sums) this.#given(this.byUnit.get(edit.dept), column, edit.was, edit.value);
    }
  }

  #total(row) {
    const out = $('.total', row);
    if (!out) return;
    let sum = 0;
    for (let column = 0; column < this.pools.length; column += 1) { const n = thousandths(this.value(row.cells[column + 1])); if (!Number.isNaN(n)) sum += n; }
    out.textContent = written(sum);
  }

  // The small figure of a project is what it holds, of a department what its projects are given.
  #mark(td) {
    const small = $('i', td);
    if (small) td.classList.toggle('over', amount(small.textContent) > amount(this.value(td)));
  }

  #given(row, column, before, after) {
    if (!row || row.dataset.sums === undefined) return;
    const td = row.cells[column + 1];
    const small = $('i', td);
    const change = thousandths(after) - thousandths(before);
    if (!small || Number.isNaN(change) || small.textContent === '∞') return;
    small.textContent = written(thousandths(small.textContent) + change);
    this.#mark(td, row);
  }

  #promise(column, change) {
    const { head } = this.pools[column];
    const out = $('[data-promised]', head);
    if (!out || Number.isNaN(change)) return;
    out.textContent = written(thousandths(out.textContent) + change);
    const total = $('[data-total]', head);
    if (total) head.classList.toggle('over', amount(out.textContent) > amount(total.textContent));
  }

  // One cell of the grid is in the tab order: where the cursor is.
  focus({ row, column }, scroll = true) {
    const next = { row: Math.max(0, Math.min(row, this.rows.length - 1)), column: Math.max(0, Math.min(column, this.pools.length - 1)) };
    this.cell(this.cursor)?.removeAttribute('tabindex');
    this.cursor = next;
    const td = this.cell(next);
    if (!td) return;
    td.tabIndex = 0;
    td.focus({ preventScroll: !scroll });
    if (scroll) this.#uncover(td);
  }

  // The head and the first column stay in place and would hide the cell that the browser has just scrolled to.
  #uncover(td) {
    const wrap = this.el.parentElement;
    const head = this.el.tHead.offsetHeight;
    const first = this.rows[0].cells[0].offsetWidth;
    const top = td.parentElement.offsetTop - wrap.scrollTop;
    if (top < head) wrap.scrollTop -= head - top;
    const left = td.offsetLeft - wrap.scrollLeft;
    if (left < first) wrap.scrollLeft -= first - left;
  }
}
