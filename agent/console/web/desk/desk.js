// @ts-check
// The duty desk. The eye's path: what, where, since when; see it; what to do;
// who knows; one big answer. Without an alarm it is quiet.
import { html, useEffect, useSignalEffect } from '../html.js';
import { answer, takeBack, undos } from '../state/answering.js';
import { chosen, chooseNext, choose, chosenId, expire, settled } from '../state/choice.js';
import { now } from '../state/clock.js';
import { room } from '../state/room.js';
import { planFirst } from '../state/prefs.js';
import { served } from '../state/served.js';
import { may } from '../state/session.js';
import { details, isForeign, loadDetail } from '../state/store.js';
import { Acts } from './acts.js';
import { takeable, takeOver } from './centre.js';
import { Facts } from './facts.js';
import { People } from './people.js';
import { picking, Queue } from './queue.js';
import { Quiet } from './quiet.js';
import { Steps } from './steps.js';
import { Title } from './title.js';
import { Told } from './told.js';
import { fullScreen, keysOpen, shelvable, takeOrGive, tool, Tools, workable } from './tools.js';
import { enlarged, Views } from './views.js';

/** @type {Record<string, import('../records.js').AnswerKind>} */
const keys = { ' ': 'received', 1: 'real', 2: 'false', 3: 'test', 4: 'called' };

/** Whether a key typed there belongs to the control itself. @param {Element|null} el */
function belongsTo(el) {
  if (!el || el === document.body) return false;
  return el.matches('input:not([type=range]), select, textarea, dialog *') || document.querySelector('dialog[open]') !== null;
}

let tabbed = false; // whether the focus was last moved by keyboard; what was clicked shows it too once a key is pressed

/** A button or link that was reached by keyboard keeps its space bar; rows of the queue give it up. @param {Element|null} el */
const keepsSpace = (el) => tabbed && !!el?.matches('button, a, summary, input') && !el.matches('.item');

const onPointer = () => (tabbed = false);

/** @param {KeyboardEvent} e */
function onKey(e) {
  const el = document.activeElement;
  if (e.key === 'Tab') tabbed = true;
  if (e.repeat || e.altKey || e.metaKey || belongsTo(el)) return;
  if (e.key.toLowerCase() === 'z') {
    const last = undos.peek()[undos.peek().length - 1];
    if (last && may('answer')) takeBack(last);
    return;
  }
  if (e.ctrlKey) return;
  const list = el?.matches('input[type=range]') ? 0 : { ArrowDown: 1, j: 1, J: 1, ArrowUp: -1, k: -1, K: -1 }[e.key] ?? 0;
  if (list) {
    e.preventDefault();
    chooseNext(list);
    return;
  }
  if (e.key === 'Escape') return away();
  if (sheet(e)) return;
  const kind = keys[e.key];
  const alarm = chosen.peek();
  if (!kind || !alarm || alarm.state === 'cleared' || !may('answer') || isForeign(alarm.node)) return;
  if (e.key === ' ' && keepsSpace(el)) return;
  e.preventDefault();
  if (settled()) answer(alarm, kind);
}

/** One step back: what was opened last, then the alarm itself. */
function away() {
  if (keysOpen.peek()) keysOpen.value = false;
  else if (enlarged.peek()) enlarged.value = false;
  else if (picking.peek()) picking.value = null;
  else choose('');
}

/** The keys beside the answers. @param {KeyboardEvent} e @returns {boolean} whether it was one of them */
function sheet(e) {
  const alarm = chosen.peek();
  const ours = alarm && workable(alarm);
  const key = e.key.toLowerCase();
  if (key === '?') keysOpen.value = !keysOpen.peek();
  else if (key === 'f') fullScreen();
  else if (key === 'm') planFirst.value = !planFirst.peek();
  else if (key === 'x') picking.value = picking.peek() ? null : new Set();
  else if (key === '/') /** @type {HTMLElement|null} */ (document.querySelector('.queue input[type=search]'))?.focus();
  else if (key === 'v' && alarm) enlarged.value = !enlarged.peek();
  else if (key === 'p' && alarm) /** @type {HTMLElement|null} */ (document.querySelector('.film .play'))?.click();
  else if (key === 'g' && alarm && takeable(alarm)) takeOver(alarm);
  else if (key === 't' && ours && served('/alarms/{id}/take')) takeOrGive(alarm);
  else if (key === 'c' && ours && served('/alarms/{id}/calls')) tool.value = 'call';
  else if (key === 'n' && ours && served('/alarms/{id}/notes')) tool.value = 'note';
  else if (key === 's' && ours && served('/alarms/{id}/shelf') && shelvable(alarm)) tool.value = 'shelf';
  else return false;
  e.preventDefault();
  return true;
}

/** The click of a button that has the focus comes with the space bar's release. @param {KeyboardEvent} e */
function onKeyUp(e) {
  const el = document.activeElement;
  if (e.key === ' ' && !belongsTo(el) && !keepsSpace(el)) e.preventDefault();
}

export function Desk() {
  useEffect(() => {
    addEventListener('keydown', onKey);
    addEventListener('keyup', onKeyUp);
    addEventListener('pointerdown', onPointer);
    return () => {
      removeEventListener('keydown', onKey);
      removeEventListener('keyup', onKeyUp);
      removeEventListener('pointerdown', onPointer);
    };
  }, []);
  useSignalEffect(() => {
    now.value;
    const alarm = chosen.value;
    if (alarm) expire(alarm);
  });

  const alarm = chosen.value;
  const detail = alarm ? (details.value.get(alarm.id) ?? null) : null;
  const id = chosenId.value;

  useEffect(() => {
    if (id && !details.peek().has(id)) loadDetail(id).catch(() => {});
  }, [id]);
  // The clip's id comes with a later event than the alarm: then its record is wanted too.
  useEffect(() => {
    if (alarm?.clip && detail && detail.clip?.id !== alarm.clip) loadDetail(alarm.id).catch(() => {});
  }, [alarm?.clip]);

  return html`<div class="desk ${alarm ? 'busy' : 'calm'}">
    <${Queue} />
    ${alarm
      ? html`<main>
            <${Title} alarm=${alarm} detail=${detail} />
            <${Views} alarm=${alarm} detail=${detail} />
            <div class="hands"><${Acts} alarm=${alarm} detail=${detail} /><${Tools} alarm=${alarm} detail=${detail} /></div>
          </main>
          <aside>
            <${People} alarm=${alarm} detail=${detail} />
            <${Steps} kind=${alarm.kind} card=${detail?.card} />
            <div class="rest"><${Told} alarm=${alarm} detail=${detail} most=${room.value} /><${Facts} alarm=${alarm} detail=${detail} /></div>
          </aside>`
      : html`<${Quiet} />`}
  </div>`;
}
