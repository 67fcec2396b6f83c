// @ts-check
// Who knows: what was said and done about the alarm, in order, and whether the
// centre has it.
import { html } from '../html.js';
import { answerWord, t } from '../words/words.js';
import { hms } from '../words/times.js';
import { now } from '../state/clock.js';
import { centre as atCentre } from '../state/session.js';
import { nodeName, status } from '../state/store.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */
/** @typedef {{at: string, what: string, word: string, look?: string}} Line */

/** @param {Alarm} alarm @returns {Line[]} */
function lines(alarm) {
  /** @type {Line[]} */
  const list = [{ at: alarm.raisedAt, what: nodeName(alarm.node) || alarm.name, word: t('told.raised') }];
  for (const a of alarm.answers ?? []) {
    if (a.kind === 'undo') continue;
    list.push({ at: a.at, what: a.note ? `${a.name || a.by} “${a.note}”` : a.name || a.by, word: answerWord(a.kind), look: a.undone ? 'undone' : 'y' });
  }
  if (alarm.returnedAt) list.push({ at: alarm.returnedAt, what: alarm.name, word: t('told.returned') });
  if (alarm.clearedAt && alarm.state === 'cleared') list.push({ at: alarm.clearedAt, what: t('told.alarm'), word: t('alarm.over') });
  return list.sort((a, b) => (Date.parse(a.at) - Date.parse(b.at)));
}

/** @param {{alarm: Alarm, detail: AlarmDetail|null, most?: number}} props */
export function Told({ alarm, detail, most = 6 }) {
  const all = lines(alarm);
  const shown = all.length > most ? [all[0], ...all.slice(1 - most)] : all;
  const up = detail?.centre;
  const received = alarm.centreAt || up?.receivedAt;
  const line = status.value?.uplink;
  return html`<section class="card told"><h2>${t('told')}</h2>
    <dl>${shown.map((l) => html`<div key=${l.at + l.word} class=${l.look}><dt>${hms(l.at)}</dt><dd>${l.what}</dd><dd class="w">${l.word}</dd></div>`)}</dl>
    ${!atCentre.value && up?.configured && html`<div class="ticks">
      <div class=${received ? 'on' : line && !line.connected ? 'off' : ''} data-testid="centre-received" data-received=${received ? 'true' : 'false'}>
        ${received ? `✓ ${t('told.centre.has')} ${hms(received)}` : line && !line.connected ? t('told.centre.down') : t('told.centre.wait', { n: Math.max(0, Math.round((now.value - Date.parse(alarm.raisedAt)) / 1000)) })}
      </div></div>`}
    ${!atCentre.value && up && !up.configured && html`<p class="note">${t('told.centre.none')}</p>`}
  </section>`;
}
