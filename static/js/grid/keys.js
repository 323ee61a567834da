// Spreadsheet keys: move, type, undo, copy and paste. The one field for typing is cloned from the page.

import { $, fromTemplate, say } from '../dom.js';
import { block, typed } from './cells.js';

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-12, 0], PageDown: [12, 0] };

export class Keys {
  constructor(table, commit, back) {
    this.table = table;
    this.commit = commit;
    this.back = back;
    this.field = null;
    const { el } = table;
    el.addEventListener('keydown', (event) => this.#key(event));
    el.addEventListener('pointerup', (event) => this.#point(event));
    el.addEventListener('dblclick', (event) => { const td = event.target.closest('td'); if (this.table.isValue(td)) this.open(td); });
    el.addEventListener('focusout', (event) => { if (event.target === this.field) this.close(true); });
  }

  #point(event) {
    const td = event.target.closest('td');
    if (!this.table.isValue(td) || event.target === this.field) return;
    const again = event.pointerType === 'touch';
    this.table.focus(this.table.place(td), false);
    if (again) this.open(td);
  }

  #key(event) {
    if (event.target === this.field) { this.#typing(event); return; }
    const td = event.target.closest('td');
    if (!this.table.isValue(td)) return;
    const at = this.table.place(td);
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key.toLowerCase() === 'z') { this.back(event.shiftKey); event.preventDefault(); return; }
    if (control && event.key.toLowerCase() === 'y') { this.back(true); event.preventDefault(); return; }
    if (MOVES[event.key] && !event.altKey) {
      const [down, right] = MOVES[event.key];
      const far = control ? 10_000 : 1;
      this.table.focus({ row: at.row + down * far, column: at.column + right * far });
    } else if (event.key === 'Home') this.table.focus({ row: control ? 0 : at.row, column: 0 });
    else if (event.key === 'End') this.table.focus({ row: control ? 10_000 : at.row, column: 10_000 });
    else if (control || event.altKey) return;
    else if (event.key === 'Enter' || event.key === 'F2') this.open(td);
    else if (event.key === 'Delete' || event.key === 'Backspace') this.#put(td, '');
    else if (event.key.length === 1 && event.key !== ' ') this.open(td, event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #typing(event) {
    const at = this.table.place(this.field.closest('td'));
    event.stopPropagation();
    if (event.key === 'Escape') { this.close(false); this.table.focus(at); }
    else if (event.key === 'Enter') { this.close(true); this.table.focus({ row: at.row + (event.shiftKey ? -1 : 1), column: at.column }); }
    else if (event.key === 'Tab') { this.close(true); this.table.focus({ row: at.row, column: at.column + (event.shiftKey ? -1 : 1) }); }
    else if (event.key === 'ArrowUp' || event.key === 'ArrowDown') { this.close(true); this.table.focus({ row: at.row + (event.key === 'ArrowUp' ? -1 : 1), column: at.column }); }
    else return;
    event.preventDefault();
  }

  open(td, first) {
    if (!this.table.editable(td)) { say(`${td.parentElement.dataset.name} is not yours to change`); return; }
    this.close(true);
    this.table.focus(this.table.place(td));
    const at = this.table.address(td);
    this.field = fromTemplate('cell-template');
    this.field.setAttribute('aria-label', `${at.label} of ${at.name} in ${at.poolName}`);
    this.field.value = first ?? this.table.value(td);
    this.field.dataset.start = this.table.value(td);
    td.append(this.field);
    this.field.focus();
    if (first === undefined) this.field.select();
  }

  close(keep) {
    const { field } = this;
    if (!field) return;
    this.field = null;
    const td = field.closest('td');
    field.remove();
    if (keep && field.value !== field.dataset.start) this.#put(td, field.value);
  }

  #put(td, text) {
    if (!this.table.editable(td)) { say(`${td.parentElement.dataset.name} is not yours to change`); return; }
    this.commit([this.change(td, text)]);
  }

  change(td, text) {
    const { text: value, wrong } = typed(this.table.sheet, text);
    return { ...this.table.address(td), value, wrong };
  }

  copy(event) {
    const td = document.activeElement?.closest?.('td');
    if (this.field || !this.table.isValue(td)) return;
    event.clipboardData.setData('text/plain', this.table.value(td));
    event.preventDefault();
  }

  // A block lands with its first cell on the cursor; what lies beyond the grid or is not yours is counted and said.
  paste(event) {
    const td = document.activeElement?.closest?.('td');
    const text = event.clipboardData.getData('text/plain');
    if (!this.table.isValue(td) || (this.field && !/[\t\n]/.test(text.trim()))) return;
    event.preventDefault();
    this.close(false);
    const at = this.table.place(td);
    const changes = [];
    let left = 0;
    block(text).forEach((line, down) => line.forEach((value, right) => {
      const inside = at.column + right < this.table.pools.length;
      const target = inside && this.table.cell({ row: at.row + down, column: at.column + right });
      if (target && this.table.editable(target)) changes.push(this.change(target, value)); else left += 1;
    }));
    if (changes.length) this.commit(changes);
    this.table.focus(at);
    say(`${changes.length} cells pasted${left ? `, ${left} left out: beyond the grid or not yours to change` : ''}`);
  }
}
