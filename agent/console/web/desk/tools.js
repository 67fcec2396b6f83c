// @ts-check
// The row beneath the answers: take it in hand, log a call, write a note, put it
// on the shelf, the whole screen, the keys. What needs words opens in the row
// itself: nothing covers the alarm.
import { effect, html, signal, useEffect, useRef, useState } from '../html.js';
import { t } from '../words/words.js';
import { hm } from '../words/times.js';
import { chosenId } from '../state/choice.js';
import { addNote, giveBack, logCall, shelve, take, unshelve } from '../state/deeds.js';
import { display, may, session } from '../state/session.js';
import { isForeign, lifeSafety } from '../state/store.js';
import { served } from '../state/served.js';
import { inLog, personWord } from './people.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */

/** What the row is busy with: nothing, "note", "shelf" or "call". */
export const tool = signal('');
// Another alarm begins with none of them. At once, not after it is painted: by then a
// key may have been pressed for it.
effect(() => {
  chosenId.value;
  tool.value = '';
});
/** Whether the list of keys is open. */
export const keysOpen = signal(false);

/** Minutes for which an alarm can be put away. */
const times = [15, 60, 240, 480];

/** Whether an alarm may be put on the shelf now, and here: a display only answers. @param {Alarm} alarm */
export const shelvable = (alarm) => !display.value && alarm.state !== 'cleared' && (!lifeSafety.has(alarm.kind) || !!alarm.returnedAt);

/** Whether anything can be done here at all. @param {Alarm} alarm */
export const workable = (alarm) => may('answer') && !isForeign(alarm.node) && alarm.state !== 'cleared';

/** Takes it, or gives it back where it is one's own. @param {Alarm} alarm */
export const takeOrGive = (alarm) => (alarm.takenBy && alarm.takenBy.by === session.peek()?.actor?.account ? giveBack(alarm) : take(alarm));

export function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  else document.documentElement.requestFullscreen?.().catch(() => {});
}

/** @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function Tools({ alarm, detail }) {
  const ours = workable(alarm);
  if (ours && tool.value === 'note') return html`<${NoteForm} alarm=${alarm} />`;
  if (ours && tool.value === 'shelf' && shelvable(alarm)) return html`<${ShelfForm} alarm=${alarm} />`;
  if (ours && tool.value === 'call') return html`<${CallForm} alarm=${alarm} detail=${detail} />`;
  return html`<div class="tools" role="toolbar" aria-label=${t('tools')}>
    ${ours && html`
      ${served('/alarms/{id}/take') && html`<${TakeButton} alarm=${alarm} />`}
      ${served('/alarms/{id}/calls') && html`<${ToolButton} name="call" letter="C" word=${t('tool.call')} />`}
      ${served('/alarms/{id}/notes') && html`<${ToolButton} name="note" letter="N" word=${t('tool.note')} />`}
      ${served('/alarms/{id}/shelf') && (alarm.shelf
        ? html`<button type="button" data-testid="unshelve" onClick=${() => unshelve(alarm)}>${t('tool.unshelve')}</button>`
        : shelvable(alarm) && html`<${ToolButton} name="shelf" letter="S" word=${t('tool.shelf')} />`)}`}
    <span class="grow"></span>
    <button type="button" data-testid="full-screen" onClick=${fullScreen}>${t('tool.full')}<kbd>F</kbd></button>
    <button type="button" data-testid="keys" aria-expanded=${keysOpen.value} onClick=${() => (keysOpen.value = !keysOpen.value)}>${t('tool.keys')}<kbd>?</kbd></button>
  </div>`;
}

/** @param {{name: string, letter: string, word: string}} props */
function ToolButton({ name, letter, word }) {
  return html`<button type="button" data-testid=${`tool-${name}`} onClick=${() => (tool.value = name)}>${word}<kbd>${letter}</kbd></button>`;
}

/** @param {{alarm: Alarm}} props */
function TakeButton({ alarm }) {
  const by = alarm.takenBy;
  const mine = by && by.by === session.value?.actor?.account;
  const word = !by ? t('tool.take') : mine ? t('tool.taken.mine', { time: hm(by.at) }) : t('tool.taken', { name: [by.name || by.by, by.seat].filter(Boolean).join(' · '), time: hm(by.at) });
  return html`<button type="button" class=${by ? 'taken' : ''} data-testid="take" aria-pressed=${!!mine} onClick=${() => takeOrGive(alarm)}>${by && html`<i class="dot playing"></i>`}${word}<kbd>T</kbd></button>`;
}

/** A row with one field that takes the focus; Escape leaves it. @param {{onSend: () => Promise<boolean>, testid: string, children?: any}} props */
function InRow({ onSend, testid, children }) {
  const form = useRef(/** @type {HTMLFormElement|null} */ (null));
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    form.current?.querySelector('input')?.focus();
  }, []);
  const send = async (/** @type {Event} */ e) => {
    e.preventDefault();
    if (busy) return;
    setBusy(true);
    if (await onSend()) tool.value = '';
    setBusy(false);
  };
  return html`<form class="tools" ref=${form} data-testid=${testid} onSubmit=${send} onKeyDown=${(/** @type {KeyboardEvent} */ e) => {
    if (e.key !== 'Escape') return;
    e.stopPropagation();
    tool.value = '';
  }}>${children}<button type="button" onClick=${() => (tool.value = '')}>${t('cancel')}</button></form>`;
}

/** @param {{alarm: Alarm}} props */
function NoteForm({ alarm }) {
  const [text, setText] = useState('');
  return html`<${InRow} testid="note-form" onSend=${async () => text.trim() !== '' && addNote(alarm, text.trim())}>
    <input name="text" maxlength="500" value=${text} onInput=${(/** @type {any} */ e) => setText(e.currentTarget.value)} placeholder=${t('note.hint')} aria-label=${t('tool.note')} autocomplete="off" />
    <button type="submit" class="go">${t('note.send')}</button><//>`;
}

/** @param {{alarm: Alarm}} props */
function ShelfForm({ alarm }) {
  const [why, setWhy] = useState('');
  const [minutes, setMinutes] = useState(times[1]);
  return html`<${InRow} testid="shelf-form" onSend=${async () => why.trim() !== '' && shelve(alarm, minutes, why.trim())}>
    <span class="segments" role="radiogroup" aria-label=${t('shelf.time')}>${times.map((n) => html`<button type="button" role="radio" key=${n} aria-checked=${n === minutes} onClick=${() => setMinutes(n)}>${n < 60 ? t('time.minutes', { n }) : t('time.hours', { n: n / 60 })}</button>`)}</span>
    <input name="why" required maxlength="200" value=${why} onInput=${(/** @type {any} */ e) => setWhy(e.currentTarget.value)} placeholder=${t('shelf.why')} aria-label=${t('shelf.why')} autocomplete="off" />
    <button type="submit" class="go">${t('tool.shelf')}</button><//>`;
}

/** A call to anybody; those behind the sensor are proposed. @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
function CallForm({ alarm, detail }) {
  const calls = detail?.response?.calls ?? [];
  const behind = detail?.people?.list ?? [];
  const people = behind.map(personWord);
  const first = people.find((p) => !calls.some((c) => c.to === p || c.to === inLog(p, behind))) ?? '';
  const [to, setTo] = useState(first);
  const [note, setNote] = useState('');
  /** @param {boolean} reached */
  const log = async (reached) => {
    if (to.trim() && (await logCall(alarm, to.trim(), reached, note.trim()))) tool.value = '';
  };
  return html`<${InRow} testid="call-form" onSend=${async () => to.trim() !== '' && logCall(alarm, to.trim(), true, note.trim())}>
    <input name="to" required maxlength="80" list="call-people" value=${to} onInput=${(/** @type {any} */ e) => setTo(e.currentTarget.value)} placeholder=${t('call.to')} aria-label=${t('call.to')} autocomplete="off" />
    <datalist id="call-people">${people.map((p) => html`<option key=${p} value=${p} />`)}</datalist>
    <input name="note" maxlength="200" value=${note} onInput=${(/** @type {any} */ e) => setNote(e.currentTarget.value)} placeholder=${t('call.note')} aria-label=${t('call.note')} autocomplete="off" />
    <button type="submit" class="go" data-testid="call-form-reached">${t('call.reached')}</button>
    <button type="button" data-testid="call-form-missed" onClick=${() => log(false)}>${t('call.missed')}</button><//>`;
}

/** Every key of the desk, beside the alarm and not over it. */
export function Keys() {
  if (!keysOpen.value) return null;
  /** @type {[string, string][]} */
  const list = [
    [t('key.space'), t('answer.received')], ['1', t('answer.real')], ['2', t('answer.false')], ['3', t('answer.test')], ['4', t('answer.called')], ['Z', t('undo')],
    ['T', t('tool.take')], ['G', t('keys.takeover')], ['C', t('tool.call')], ['N', t('tool.note')], ['S', t('tool.shelf')], ['V', t('keys.enlarge')], ['P', t('keys.play')], ['F', t('tool.full')],
    ['↑ ↓', t('keys.move')], ['X', t('keys.pick')], ['/', t('keys.filter')], ['M', t('keys.plan')], ['Esc', t('keys.away')], ['?', t('tool.keys')],
  ];
  return html`<section class="card keylist" data-testid="key-list"><h2>${t('tool.keys')}</h2>
    <dl>${list.map(([key, word]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${word}</dd></div>`)}</dl></section>`;
}
