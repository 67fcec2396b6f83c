// @ts-check
// What the sensor measured when it alarmed, and what it says now.
import { html } from '../html.js';
import { saysNothing, t, valueWord } from '../words/words.js';
import { hms, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { sensorRow } from '../state/store.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */
/** @typedef {{field: string, label: string, then: string, later: string, cause: boolean}} Reading */

const fieldsMost = 6;

/** @param {Alarm} alarm @param {AlarmDetail|null} detail @returns {{readings: Reading[], last: string}} last: what the later ones are called */
function measured(alarm, detail) {
  const then = alarm.values ?? {};
  const state = sensorRow(alarm.sensor, alarm.node)?.state ?? detail?.sensor?.state;
  const later = state?.values ?? {};
  // What alarmed comes first, the battery last.
  /** @param {string} f */
  const weight = (f) => (f === alarm.kind ? 0 : f === 'battery' ? 2 : 1);
  const readings = [...new Set([...Object.keys(then), ...Object.keys(later)])]
    .filter((f) => !saysNothing(f, then[f] || later[f]))
    .sort((a, b) => weight(a) - weight(b))
    .slice(0, fieldsMost)
    .map((f) => {
      const a = f in then ? valueWord(f, then[f]) : null;
      const b = f in later ? valueWord(f, later[f]) : null;
      return { field: f, label: (a ?? b)?.label ?? f, then: a?.text ?? '–', later: b?.text ?? '–', cause: f === alarm.kind };
    });
  // What a silent sensor said last is no "now".
  return { readings, last: state?.offline ? t('measured.last', { time: when(state.lastSeen, now.value) }) : t('measured.now') };
}

/** @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function Measured({ alarm, detail }) {
  const { readings, last } = measured(alarm, detail);
  if (!readings.length) return null;
  return html`<section class="measured"><table>
    <thead><tr><th>${t('measured')}</th><th>${t('measured.then', { time: hms(alarm.raisedAt) })}</th><th>${last}</th></tr></thead>
    <tbody>${readings.map((r) => html`<tr key=${r.field} class=${r.cause ? 'cause' : ''}><th>${r.label}</th><td>${r.then}</td><td>${r.later}</td></tr>`)}</tbody></table></section>`;
}
