// @ts-check
// The answers: one key each, the space bar is 收到. Nothing asks again; for a
// minute it can be undone.
import { html } from '../html.js';
import { answerWord, t } from '../words/words.js';
import { hm, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { answer, sending, standing, verdict } from '../state/answering.js';
import { centre, may } from '../state/session.js';
import { isForeign, nodeName } from '../state/store.js';
import { CentreHands } from './centre.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */
/** @typedef {import('../records.js').AnswerKind} AnswerKind */

/** @type {[AnswerKind, string][]} */
const rest = [['real', '1'], ['false', '2'], ['test', '3'], ['called', '4']];

/** Whether a station has given the alarm to its centre, and nobody has answered it since. @param {Alarm} alarm @param {AlarmDetail|null|undefined} detail */
const handed = (alarm, detail) => Boolean(centre.value && detail?.response?.parent && alarm.state === 'raised');

/** @param {{alarm: Alarm, detail?: AlarmDetail|null}} props */
export function Acts({ alarm, detail }) {
  const list = standing(alarm);
  const got = list.find((a) => a.kind === 'received') ?? list[0];
  const judged = verdict(alarm);
  const busy = sending.value.has(alarm.id);
  if (alarm.state === 'cleared') {
    return html`<div class="acts done" data-testid="alarm-over"><p><strong>${t('alarm.over')}</strong>
      ${t('alarm.ended', { time: when(alarm.clearedAt, now.value) })}${judged && ` · ${answerWord(judged)}`}</p></div>`;
  }
  if (isForeign(alarm.node)) {
    const last = list[list.length - 1];
    if (handed(alarm, detail)) {
      return html`<div class="acts done handed" data-testid="answer-handed"><p><strong>${t('answer.handed')}</strong>
        ${t(detail?.response?.closed ? 'answer.handed.closed' : 'answer.handed.nobody', { station: nodeName(alarm.node) })}</p></div>`;
    }
    return html`<div class="acts done" data-testid="answer-elsewhere"><p><strong>${t('answer.elsewhere', { station: nodeName(alarm.node) })}</strong>
      ${last ? `${last.name || last.by} ${hm(last.at)} ${answerWord(last.kind)}` : t('answer.elsewhere.none')}</p>
      <${CentreHands} key=${alarm.id} alarm=${alarm} /></div>`;
  }
  if (!may('answer')) return html`<div class="acts done"><p>${t('answer.notAllowed')}</p></div>`;
  return html`<div class="acts" role="group" aria-label=${t('answers')}>
    <button type="button" class="answer go ${got ? 'given' : ''}" data-testid="answer-received" aria-keyshortcuts="Space" disabled=${busy} onClick=${() => answer(alarm, 'received')}>
      ${got ? html`<span>${t('answer.received.done')}</span><small>${got.name || got.by} ${hm(got.at)}</small>` : html`<span>${answerWord('received')}</span><kbd>${t('key.space')}</kbd>`}
    </button>
    ${rest.map(([kind, key]) => {
      const given = kind === 'called' ? list.some((a) => a.kind === 'called') : judged === kind;
      return html`<button type="button" key=${kind} class="answer ${kind === 'real' ? 'true' : ''} ${given ? 'given' : ''}" data-testid=${`answer-${kind}`}
        aria-keyshortcuts=${key} aria-pressed=${given} disabled=${busy} onClick=${() => answer(alarm, kind)}>
        <span>${given ? '✓ ' : ''}${answerWord(kind)}</span><kbd>${key}</kbd></button>`;
    })}
  </div>`;
}
