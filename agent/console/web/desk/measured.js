// @ts-check
// What the sensor measured when it alarmed and what it says now, and whether the
// same place has alarmed before: where there is no picture, this is the picture.
import { html } from '../html.js';
import { answerWord, kindWord, t, technicalFields, valueWord } from '../words/words.js';
import { hms, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { verdict } from '../state/answering.js';
import { alarms, sensorRow } from '../state/store.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */

const fieldsMost = 6;
const beforeMost = 4;

/** @param {{alarm: Alarm, detail: AlarmDetail|null, note?: string, link?: {to: string, word: string}|null}} props */
export function Measured({ alarm, detail, note, link }) {
  const then = alarm.values ?? {};
  const state = sensorRow(alarm.sensor, alarm.node)?.state ?? detail?.sensor?.state;
  const later = state?.values ?? {};
  // What alarmed comes first, the battery last.
  /** @param {string} f */
  const weight = (f) => (f === alarm.kind ? 0 : f === 'battery' ? 2 : 1);
  const fields = [...new Set([...Object.keys(then), ...Object.keys(later)])]
    .filter((f) => !technicalFields.has(f))
    .sort((a, b) => weight(a) - weight(b))
    .slice(0, fieldsMost);
  const before = [...alarms.value.values()]
    .filter((a) => a.id !== alarm.id && alarm.sensor && a.sensor === alarm.sensor && a.node === alarm.node)
    .sort((a, b) => (a.raisedAt < b.raisedAt ? 1 : -1))
    .slice(0, beforeMost);
  return html`<section class="measured">
    ${fields.length > 0 && html`<table>
      <thead><tr><th>${t('measured')}</th><th>${t('measured.then', { time: hms(alarm.raisedAt) })}</th><th>${t('measured.now')}</th></tr></thead>
      <tbody>${fields.map((f) => {
        const a = f in then ? valueWord(f, then[f]) : null;
        const b = f in later ? valueWord(f, later[f]) : null;
        return html`<tr key=${f} class=${f === alarm.kind ? 'cause' : ''}><th>${(a ?? b)?.label}</th><td>${a?.text ?? '–'}</td><td>${b?.text ?? '–'}</td></tr>`;
      })}</tbody></table>`}
    ${before.length > 0 && html`<div class="before"><h2>${t('before')}</h2>
      <ul>${before.map((a) => html`<li key=${a.id}><time>${when(a.raisedAt, now.value)}</time><span>${kindWord(a.kind)}</span><b>${answerWord(verdict(a)) || t(a.state === 'cleared' ? 'alarm.over' : 'alarm.goesOn')}</b></li>`)}</ul></div>`}
    ${!before.length && alarm.sensor && html`<p class="note">${t('before.none')}</p>`}
    ${note && html`<p class="note">${note} ${link && html`<a href=${link.to}>${link.word}</a>`}</p>`}
    ${!alarm.sensor && html`<p class="note big">${alarm.name}</p>`}
  </section>`;
}
