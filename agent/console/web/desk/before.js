// @ts-check
// Whether the same device has alarmed before, and what it turned out to be.
import { html } from '../html.js';
import { answerWord, kindWord, t } from '../words/words.js';
import { when } from '../words/times.js';
import { now } from '../state/clock.js';
import { verdict } from '../state/answering.js';
import { alarms } from '../state/store.js';

/** @typedef {import('../records.js').Alarm} Alarm */

const most = 5;

/** The device's earlier alarms that are at hand, the newest first. @param {Alarm} alarm */
const past = (alarm) =>
  [...alarms.value.values()]
    .filter((a) => a.id !== alarm.id && a.sensor === alarm.sensor && a.node === alarm.node && a.raisedAt < alarm.raisedAt)
    .sort((a, b) => (a.raisedAt < b.raisedAt ? 1 : -1));

/** @param {Alarm} a */
const outcome = (a) => answerWord(verdict(a)) || t(a.state === 'cleared' ? 'alarm.over' : 'alarm.goesOn');

/** @param {{alarm: Alarm}} props */
export function Before({ alarm }) {
  if (!alarm.sensor) return null;
  const list = past(alarm).slice(0, most);
  return html`<section class="measured before"><h2>${t('before')}</h2>
    ${list.length
      ? html`<ul>${list.map((a) => html`<li key=${a.id}><time>${when(a.raisedAt, now.value)}</time><span>${kindWord(a.kind)}</span><b>${outcome(a)}</b></li>`)}</ul>`
      : html`<p class="note">${t('before.none')}</p>`}
  </section>`;
}
