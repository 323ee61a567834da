// The log of a pod: opens a stream through the cluster's link, reads it piece by piece, keeps the newest 5,000 lines.
// Scrolling up stops following; the search counts and marks hits in what is shown.

import { $, $$, post, say, toLogin } from './dom.js';

const box = $('[data-log]');
const KEEP = 5000;
let stream = '';
let offset = 0;
let number = 0;
let rest = '';
let following = true;
let words = '';
let timer = 0;

const note = (text) => { $('[data-log-note]').textContent = text; };

function marked(text) {
  const parts = document.createDocumentFragment();
  const low = text.toLowerCase();
  let at = 0;
  for (let hit = words ? low.indexOf(words) : -1; hit >= 0; hit = low.indexOf(words, at)) {
    parts.append(text.slice(at, hit), Object.assign(document.createElement('mark'), { textContent: text.slice(hit, hit + words.length) }));
    at = hit + words.length;
  }
  parts.append(text.slice(at));
  return parts;
}

// Kubernetes writes RFC 3339 time, a space, the text.
function row(line) {
  const [, time = '', text = line] = line.match(/^\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d(?:\.\d{1,3})?)\d*Z (.*)$/s) ?? [];
  const li = document.createElement('li');
  number += 1;
  for (const value of [String(number), time]) li.append(Object.assign(document.createElement('span'), { textContent: value }));
  const last = document.createElement('span');
  last.append(marked(text));
  li.append(last);
  if (/\b(error|fatal|traceback|exception)\b/i.test(text)) li.className = 'lv-e';
  else if (/\b(warn|warning)\b/i.test(text)) li.className = 'lv-w';
  return li;
}

function count() {
  const hits = words ? $$('mark', box).length : 0;
  $('[data-log-hits]').textContent = words ? `${hits} ${hits === 1 ? 'hit' : 'hits'}` : '';
}

function append(data) {
  const lines = (rest + data).split('\n');
  rest = lines.pop();
  if (!lines.length) return;
  const list = $('ol', box);
  const news = document.createDocumentFragment();
  for (const line of lines.slice(-KEEP)) news.append(row(line));
  list.append(news);
  while (list.children.length > KEEP) list.firstElementChild.remove();
  if (following) box.scrollTop = box.scrollHeight;
  if (words) count();
}

async function read() {
  const answer = await fetch(`${box.dataset.read}?stream=${stream}&offset=${offset}`, { headers: { 'HX-Request': 'true', 'X-Live': '1' }, cache: 'no-store' });
  if (answer.status === 401) { toLogin(); return; }
  if (!answer.ok) { note('The log cannot be read now; trying again.'); timer = setTimeout(read, 4000); return; }
  const piece = await answer.json();
  append(piece.data);
  offset = piece.next;
  if (piece.error) { note(piece.error); return; }
  if (piece.ended) {
    if (rest) append('\n');
    note(number ? `The log has ended; ${number} lines.` : 'This pod wrote nothing to its log.');
    say('The log has ended');
    return;
  }
  note(number ? 'Following.' : 'Waiting for the first line.');
  timer = setTimeout(read, document.hidden ? 5000 : piece.data ? 150 : 1000);
}

async function open() {
  clearTimeout(timer);
  [offset, number, rest] = [0, 0, ''];
  $('ol', box).replaceChildren();
  note('Asking the cluster for the log.');
  const answer = await post(box.dataset.open, { pod: $('[data-log-pod]')?.value ?? box.dataset.pod, tail: 2000 });
  if (answer.status === 401) { toLogin(); return; }
  const opened = await answer.json().catch(() => ({ error: 'The log cannot be opened now.' }));
  if (opened.error) { note(opened.error); return; }
  stream = opened.stream;
  read();
}

function follow(on) {
  following = on;
  const button = $('[data-log-follow]');
  button.dataset.state = on ? 'live' : 'paused';
  button.setAttribute('aria-pressed', String(on));
  $('span', button).textContent = on ? 'Following' : 'Not following';
  if (on) box.scrollTop = box.scrollHeight;
}

if (box) {
  $('[data-log-pod]')?.addEventListener('change', open);
  $('[data-log-follow]').addEventListener('click', () => follow(!following));
  $('[data-log-wrap]').addEventListener('click', (event) => {
    const off = box.toggleAttribute('data-nowrap');
    event.currentTarget.setAttribute('aria-pressed', String(!off));
  });
  $('[data-log-search]').addEventListener('input', (event) => {
    words = event.target.value.trim().toLowerCase();
    for (const cell of $$('li > span:last-child', box)) cell.replaceChildren(marked(cell.textContent));
    count();
  });
  box.addEventListener('scroll', () => {
    const end = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
    if (end !== following) follow(end);
  }, { passive: true });
  open().catch(() => note('The server did not answer.'));
}
