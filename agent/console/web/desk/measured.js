// @ts-check
// What the sensor measured when it alarmed, and what it says now.
import { html } from '../html.js';
import { saysNothing, t, valueWord } from '../words/words.js';
import { hms, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { sensorRow } from '../state/store.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */

const fieldsMost = 6;

/** @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function Measured({ alarm, detail }) {
  const then = alarm.values ?? {};
  const state = sensorRow(alarm.sensor, alarm.node)?.state ?? detail?.sensor?.state;
  const later = state?.values ?? {};
  // What alarmed comes first, the battery last.
  /** @param {string} f */
  const weight = (f) => (f === alarm.kind ? 0 : f === 'battery' ? 2 : 1);
  const fields = [...new Set([...Object.keys(then), ...Object.keys(later)])]
    .filter((f) => !saysNothing(f, then[f] || later[f]))
    .sort((a, b) => weight(a) - weight(b))
    .slice(0, fieldsMost);
  if (!fields.length) return null;
  // What a silent sensor said last is no "now".
  const last = state?.offline ? t('measured.last', { time: when(state.lastSeen, now.value) }) : t('measured.now');
  return html`<section class="measured"><table>
    <thead><tr><th>${t('measured')}</th><th>${t('measured.then', { time: hms(alarm.raisedAt) })}</th><th>${last}</th></tr></thead>
    <tbody>${fields.map((f) => {
      const a = f in then ? valueWord(f, then[f]) : null;
      const b = f in later ? valueWord(f, later[f]) : null;
      return html`<tr key=${f} class=${f === alarm.kind ? 'cause' : ''}><th>${(a ?? b)?.label}</th><td>${a?.text ?? '–'}</td><td>${b?.text ?? '–'}</td></tr>`;
    })}</tbody></table></section>`;
}
