// Passkeys: a form with data-passkey asks the browser to create or use one, and posts its answer.
// Without a script, or without the browser's help, the form says so; codes work in any case.

import { $, $$, csrf } from './dom.js';

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (letter) => letter.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
const ids = (rows) => rows?.map((row) => ({ ...row, id: bytes(row.id) }));

// Options come as JSON with base64url texts where the browser wants bytes.
function read(options) {
  const found = { ...options, challenge: bytes(options.challenge) };
  if (options.user) found.user = { ...options.user, id: bytes(options.user.id) };
  if (options.excludeCredentials) found.excludeCredentials = ids(options.excludeCredentials);
  if (options.allowCredentials) found.allowCredentials = ids(options.allowCredentials);
  return found;
}

function write(credential) {
  const response = {};
  for (const name of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response, clientExtensionResults: {} });
}

function tell(form, message) {
  const place = $('[data-passkey-error]', form);
  place.textContent = message;
  place.hidden = !message;
}

async function ask(form) {
  if (!window.PublicKeyCredential) { tell(form, 'This browser knows no passkeys.'); return; }
  const answer = await fetch(form.dataset.options, { method: 'POST', headers: { 'X-CSRFToken': csrf() } });
  if (answer.redirected) { location.assign(answer.url); return; }
  const options = await answer.json();
  if (!answer.ok) { tell(form, options.message); return; }
  const wanted = { publicKey: read(options) };
  const made = form.dataset.passkey === 'create' ? await navigator.credentials.create(wanted) : await navigator.credentials.get(wanted);
  form.elements.credential.value = write(made);
  form.submit();
}

for (const form of $$('form[data-passkey]')) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    tell(form, '');
    try {
      await ask(form);
    } catch (error) {
      tell(form, error.name === 'InvalidStateError' ? 'This passkey is registered already.' : 'The browser did not use a passkey; try again.');
    }
  });
}
