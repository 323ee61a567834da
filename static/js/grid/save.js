// Review and save: the effect is asked before anything is written, and who comes second sees what the first one stored.

import { $, $$, csrf, fromTemplate, toLogin } from '../dom.js';
import { toast } from '../toast.js';

const dialog = () => $('#review');

async function ask(url, body) {
  const headers = { 'X-CSRFToken': csrf(), 'HX-Request': 'true', 'HX-Request-Type': 'partial', 'Content-Type': 'application/json' };
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (answer.status === 401) toLogin();
  return answer;
}

export class Review {
  constructor(page, edits, done) {
    this.page = page;
    this.edits = edits;
    this.done = done;
    $('#review-save').addEventListener('click', () => this.save());
    dialog().addEventListener('click', (event) => { if (event.target.closest('[data-resolve]')) this.resolve(event.target.closest('[data-resolve]').dataset.resolve); });
  }

  get body() { return { cluster: this.page.dataset.cluster, units: this.edits.units() }; }

  async open() {
    this.#list();
    this.#show('', false);
    dialog().showModal();
    const out = $('#review-effect');
    out.setAttribute('aria-busy', 'true');
    const answer = await ask(this.page.dataset.preview, this.body).catch(() => null);
    out.removeAttribute('aria-busy');
    if (!answer) { this.#show('', true, 'The effect could not be planned: the server did not answer.'); return; }
    const text = await answer.text();
    this.#show(text, answer.ok);
    if (!answer.ok) this.#wrong();
  }

  async save() {
    const button = $('#review-save');
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-busy', 'true');
    const changes = this.edits.size;
    const answer = await ask(this.page.dataset.save, this.body).catch(() => null);
    button.removeAttribute('aria-busy');
    if (!answer) { toast('The server did not answer', 'bad', 'What you typed is still here; try again.'); return; }
    if (answer.ok) {
      dialog().close();
      this.edits.clear();
      await this.done();
      toast(`${changes} ${changes === 1 ? 'change was' : 'changes were'} saved`, 'ok', 'The clusters follow within seconds.');
      return;
    }
    this.#show(await answer.text(), false);
    this.#wrong();
  }

  // The second administrator takes what is stored, or keeps what they want over it; either way they have seen both.
  async resolve(how) {
    for (const { dataset } of $$('[data-stale]', dialog())) this.edits.reread(dataset.stale, Number(dataset.version));
    for (const { dataset } of $$('[data-now]', dialog())) {
      const edit = this.edits.get(dataset.unit, Number(dataset.pool), dataset.sheet);
      if (edit && how === 'theirs') this.edits.drop(edit); else if (edit) edit.was = dataset.now;
    }
    dialog().close();
    await this.done();
  }

  #show(text, ready, note = '') {
    const out = $('#review-effect');
    out.innerHTML = text;
    if (note) out.textContent = note;
    $('#review-save').setAttribute('aria-disabled', String(!ready || this.edits.wrong > 0));
  }

  // Cells that the server names are marked in the grid too.
  #wrong() {
    for (const item of $$('#review-effect [data-wrong]')) {
      const [unit, pool, sheet] = item.dataset.wrong.split('|');
      for (const edit of this.edits.cells.values()) {
        if (edit.unit === unit && edit.poolName === pool && edit.sheet === sheet) edit.wrong = item.textContent.trim();
      }
    }
    this.page.dispatchEvent(new CustomEvent('grid:repaint'));
  }

  #list() {
    const list = $('#review-cells');
    list.replaceChildren();
    const all = [...this.edits.cells.values()];
    for (const edit of all.slice(0, 12)) {
      const item = fromTemplate('change-template');
      $('[data-what]', item).textContent = `${edit.label} of ${edit.name} in ${edit.poolName}`;
      $('[data-was]', item).textContent = edit.was;
      $('[data-value]', item).textContent = edit.value;
      list.append(item);
    }
    $('#review-more').textContent = all.length > 12 ? `and ${all.length - 12} more` : '';
    $('#review-h').textContent = `Save ${all.length} ${all.length === 1 ? 'change' : 'changes'}?`;
  }
}
