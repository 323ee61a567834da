// htmx glue: the CSRF token on every request, login as a whole page, failures as a toast, one announcement per user's act.

import { $, csrf, say, toLogin } from './dom.js';
import { toast } from './toast.js';

document.addEventListener('htmx:config:request', (event) => {
  const { request } = event.detail.ctx;
  if (request.method !== 'GET') request.headers['X-CSRFToken'] = csrf();
});

document.addEventListener('htmx:before:request', (event) => {
  event.detail.ctx.target?.closest?.('.main')?.querySelector('.table-wrap')?.setAttribute('aria-busy', 'true');
});

document.addEventListener('htmx:before:response', (event) => {
  const { ctx } = event.detail;
  const { status } = ctx.response;
  if (status === 401) { event.preventDefault(); toLogin(); return; }
  if (status === 400 || status === 422 || status < 400) return;
  event.preventDefault();
  $('.table-wrap[aria-busy]')?.removeAttribute('aria-busy');
  const text = { 403: 'You may not do this here', 404: 'It is not there any more', 409: 'It changed in the meantime' }[status] ?? 'The server could not do it';
  toast(text, 'bad', 'Nothing was changed. Reload the page to see its present state.');
});

document.addEventListener('htmx:error', (event) => {
  if (event.detail?.ctx?.sourceElement) toast('The server did not answer', 'bad', 'What you see may be old; try again.');
});

document.addEventListener('htmx:after:swap', (event) => {
  document.dispatchEvent(new CustomEvent('console:swapped'));
  const { ctx } = event.detail;
  if (ctx?.target?.id === 'main') say($('.sentence strong')?.textContent);
});
