// @ts-check
// The other alarms of the same place and event, one line each.
import { html } from '../html.js';
import { kindWord, t } from '../words/words.js';
import { age, span } from '../words/times.js';
import { now } from '../state/clock.js';
import { choose } from '../state/choice.js';
import { alarms, byUrgency } from '../state/store.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */

const most = 5;

/** @param {Alarm} alarm @param {AlarmDetail|null} detail @returns {Alarm[]} */
function others(alarm, detail) {
  if (!alarm.incident) return [];
  const known = new Map((detail?.incident?.alarms ?? []).map((a) => [a.id, a]));
  for (const a of alarms.value.values()) if (a.incident === alarm.incident) known.set(a.id, a);
  known.delete(alarm.id);
  return [...known.values()].sort((a, b) => Number(a.state === 'cleared') - Number(b.state === 'cleared') || byUrgency(a, b));
}

/** @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function Incident({ alarm, detail }) {
  const list = others(alarm, detail);
  if (!list.length) return null;
  return html`<section class="card incident" data-testid="incident"><h2>${t('incident', { n: list.length + 1 })}</h2>
    <ul>${list.slice(0, most).map((a) => html`<li key=${a.id}><button type="button" onClick=${() => choose(a.id)}>
      <b class=${a.state === 'raised' && !a.test ? 'red' : ''}>${kindWord(a.kind)}</b><span>${a.place || a.name}</span>
      <time>${a.state === 'cleared' ? t('alarm.over') : a.state === 'raised' ? age(now.value - Date.parse(a.raisedAt)) : span(now.value - Date.parse(a.raisedAt))}</time></button></li>`)}</ul>
    ${list.length > most && html`<p class="note">${t('alarm.others', { n: list.length - most })}</p>`}
  </section>`;
}
