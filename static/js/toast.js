// Short messages in the corner: made from a template of the page, announced politely, gone after a while.

import { $, fromTemplate, say } from './dom.js';

const ICONS = { ok: '#st-completed', bad: '#st-failed', wait: '#st-pending', info: '#info' };

export function toast(text, tone = 'ok', detail = '') {
  const el = fromTemplate('toast-template');
  const icon = $('.icon', el);
  icon.classList.add(tone);
  const use = $('use', icon);
  use.setAttribute('href', use.getAttribute('href').replace(/#.*/, ICONS[tone] ?? ICONS.info));
  $('strong', el).textContent = text;
  $('.line2', el).textContent = detail;
  $('.toasts').append(el);
  say(detail ? `${text}. ${detail}` : text);
  setTimeout(() => el.remove(), tone === 'bad' ? 15000 : 6000);
}
