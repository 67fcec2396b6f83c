// @ts-check
// The facts of the sensor (or camera) behind the alarm: is it to be believed,
// where does it hang, when was it heard.
import { html } from '../html.js';
import { classWord, t, wordFor } from '../words/words.js';
import { span, when, whenAgo } from '../words/times.js';
import { now } from '../state/clock.js';
import { cameraRow, nodeName, sensorRow } from '../state/store.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */

const skewTold = 5 * 60e9; // a device clock that is further off is worth a word, in ns

/** @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function Facts({ alarm, detail }) {
  const row = sensorRow(alarm.sensor, alarm.node) ?? detail?.sensor ?? null;
  const cam = !row && alarm.sensor ? cameraRow(alarm.sensor, alarm.node) : null;
  if (!row && !cam && !nodeName(alarm.node)) return null;
  /** @type {[string, any][]} */
  const list = [];
  if (nodeName(alarm.node)) list.push([t('fact.station'), nodeName(alarm.node)]);
  if (row) {
    const { sensor, state } = row;
    const battery = state?.values?.battery;
    list.push([t('fact.sensor'), `${sensor.name || alarm.name} · ${classWord(sensor.class)}`]);
    if (state) list.push([t('fact.lastSeen'), whenAgo(state.lastSeen, now.value)]);
    if (state?.offline) list.push([t('fact.state'), t('sensor.silent')]);
    if (typeof battery === 'number') list.push([t('fact.battery'), html`<span class=${battery <= 20 ? 'warn' : ''}>${Math.round(battery)}%</span>`]);
    if (state?.deviceSkew && Math.abs(state.deviceSkew) > skewTold) list.push([t('fact.skew'), span(Math.abs(state.deviceSkew) / 1e6)]);
    if (!sensor.adopted) list.push([t('fact.adopted'), t('sensor.new')]);
  }
  if (cam) {
    list.push([t('fact.camera'), cam.camera.name]);
    if (cam.state) {
      list.push([t('fact.state'), `${wordFor(`camera.status.${cam.state.status}`)} · ${t('since', { time: when(cam.state.since, now.value) })}`]);
      const remedy = wordFor(`camera.remedy.${cam.state.status}`);
      if (remedy) list.push([t('fact.remedy'), remedy]);
    }
  }
  return html`<section class="card facts"><h2>${t(cam ? 'facts.camera' : 'facts')}</h2>
    <dl>${list.map(([k, v]) => html`<div key=${k}><dt>${k}</dt><dd>${v}</dd></div>`)}</dl></section>`;
}
