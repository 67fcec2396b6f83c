// @ts-check
// What the last shift left for this one, and a line to leave for the next.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { when } from '../words/times.js';
import { get, newKey, post, Problem } from '../state/api.js';
import { now } from '../state/clock.js';
import { failure } from '../state/answering.js';
import { may } from '../state/session.js';
import { served } from '../state/served.js';
import { setupTurn } from '../state/store.js';

/** @typedef {import('../records.js').ShiftNote} ShiftNote */

const most = 3;
const keptFor = 24 * 3600_000; // an older note is for the records

export function ShiftNotes() {
  const [notes, setNotes] = useState(/** @type {ShiftNote[]} */ ([]));
  const [text, setText] = useState('');
  const [writing, setWriting] = useState(false);
  const there = served('/shift-notes') && may('answer');
  useEffect(() => {
    if (there) get('/shift-notes?limit=10').then((body) => setNotes(body?.notes ?? []), () => {});
  }, [there, setupTurn.value]);
  if (!there) return null;
  const send = async (/** @type {Event} */ e) => {
    e.preventDefault();
    if (!text.trim()) return;
    try {
      await post('/shift-notes', { text: text.trim() }, { 'Idempotency-Key': newKey() });
      setNotes((await get('/shift-notes?limit=10'))?.notes ?? []);
      setText('');
      setWriting(false);
    } catch (err) {
      failure.value = err instanceof Problem ? err : new Problem(0, 'internal', String(err));
    }
  };
  const shown = notes.filter((n) => now.value - Date.parse(n.at) < keptFor).sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, most);
  return html`<h2 class="shifthead">${t('shift')}${!writing && html`<button type="button" class="btn quiet" data-testid="shift-write" onClick=${() => setWriting(true)}>${t('shift.write')}</button>`}</h2>
    ${writing && html`<form class="shiftform" data-testid="shift-form" onSubmit=${send}><input name="text" maxlength="500" value=${text} autofocus ref=${(/** @type {HTMLElement|null} */ el) => text === '' && el?.focus()} placeholder=${t('shift.hint')} aria-label=${t('shift')} autocomplete="off"
      onInput=${(/** @type {any} */ e) => setText(e.currentTarget.value)} onKeyDown=${(/** @type {KeyboardEvent} */ e) => {
        if (e.key !== 'Escape') return;
        e.stopPropagation();
        setWriting(false);
      }} /><button type="submit" class="btn">${t('shift.send')}</button></form>`}
    ${shown.length > 0 && html`<ul class="shift">${shown.map((n) => html`<li key=${n.id} data-testid="shift-note"><p>${n.text}</p><span>${n.name || n.by} · ${when(n.at, now.value)}</span></li>`)}</ul>`}`;
}
