// What is typed and not saved yet: by unit, node pool and sheet, with the way back. Knows no element.

import { key } from './cells.js';

export class Edits {
  constructor() { this.cells = new Map(); this.past = []; this.future = []; }

  get size() { return this.cells.size; }
  get wrong() { return [...this.cells.values()].filter((edit) => edit.wrong).length; }
  get(unit, pool, sheet) { return this.cells.get(key(unit, pool, sheet)); }

  // One step of the person: several cells when a block is pasted. Each change is {unit, pool, sheet, was, value, …}.
  apply(changes) {
    const step = changes.map((change) => ({ before: this.cells.get(key(change.unit, change.pool, change.sheet)), after: change }));
    this.past.push(step);
    this.future = [];
    for (const { after } of step) this.#put(after, after);
    return changes;
  }

  undo() { return this.#move(this.past, this.future, 'before'); }
  redo() { return this.#move(this.future, this.past, 'after'); }

  // After a save or for a fresh start; what the server holds is the base of everything then.
  clear() { this.cells.clear(); this.past = []; this.future = []; }

  drop(edit) { this.cells.delete(key(edit.unit, edit.pool, edit.sheet)); }

  // The row was read again: what is typed in it stands over its present version.
  reread(unit, version) { for (const edit of this.cells.values()) if (edit.unit === unit) edit.version = version; }

  #move(from, to, which) {
    const step = from.pop();
    if (!step) return [];
    to.push(step);
    for (const pair of step) this.#put(pair.after, pair[which]);
    return step.map(({ after }) => after);
  }

  #put(at, edit) {
    const where = key(at.unit, at.pool, at.sheet);
    if (edit && (edit.value !== edit.was || edit.wrong)) this.cells.set(where, edit);
    else this.cells.delete(where);
  }

  // By row, for the server.
  units() {
    const found = new Map();
    for (const { unit, version, pool, sheet, value, was } of this.cells.values()) {
      if (!found.has(unit)) found.set(unit, { unit, version, cells: [] });
      found.get(unit).cells.push({ pool, sheet, value, was });
    }
    return [...found.values()];
  }
}
