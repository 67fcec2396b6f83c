// @ts-check
// The duty desk. The eye's path: what, where, since when; see it; what to do;
// who knows; one big answer. Without an alarm it is quiet.
import { html, useEffect, useSignalEffect } from '../html.js';
import { answer, takeBack, undos } from '../state/answering.js';
import { chosen, chooseNext, choose, chosenId, expire, settled } from '../state/choice.js';
import { now } from '../state/clock.js';
import { may } from '../state/session.js';
import { details, isForeign, loadDetail } from '../state/store.js';
import { Acts } from './acts.js';
import { Facts } from './facts.js';
import { Queue } from './queue.js';
import { Quiet } from './quiet.js';
import { Steps } from './steps.js';
import { Title } from './title.js';
import { Told } from './told.js';
import { Film, Views } from './views.js';

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
  if (e.key === 'Escape') return choose('');
  const kind = keys[e.key];
  const alarm = chosen.peek();
  if (!kind || !alarm || alarm.state === 'cleared' || !may('answer') || isForeign(alarm.node)) return;
  if (e.key === ' ' && keepsSpace(el)) return;
  e.preventDefault();
  if (settled()) answer(alarm, kind);
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
            <${Acts} alarm=${alarm} />
          </main>
          <aside>
            <${Film} alarm=${alarm} detail=${detail} />
            <${Steps} kind=${alarm.kind} />
            <div class="rest"><${Told} alarm=${alarm} detail=${detail} /><${Facts} alarm=${alarm} detail=${detail} /></div>
          </aside>`
      : html`<${Quiet} />`}
  </div>`;
}
