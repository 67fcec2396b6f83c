// @ts-check
// One device: what it says and said, how it is, its alarms and rules, who is
// behind it, and what can be done with it.
import { html, useEffect, useState } from '../html.js';
import { answerWord, classWord, kindWord, saysNothing, t, valueWord, wordFor } from '../words/words.js';
import { span, when, whenAgo } from '../words/times.js';
import { get } from '../state/api.js';
import { now } from '../state/clock.js';
import { verdict } from '../state/answering.js';
import { href } from '../state/route.js';
import { centre, may } from '../state/session.js';
import { served } from '../state/served.js';
import { alarms, cameraRow, loaded, nodeName, plans, sensorRow, setupTurn } from '../state/store.js';
import { Chart } from '../ui/chart.js';
import { SensorDialog } from './sensor-dialog.js';
import { SensorPeople } from './sensor-people.js';
import { SensorRules } from './sensor-rules.js';
import { CredentialCard, ReplaceCard, ServiceCard } from './sensor-service.js';

/** @typedef {import('../records.js').Sensor} Sensor */
/** @typedef {import('../records.js').SensorState} SensorState */
/** @typedef {import('../records.js').Alarm} Alarm */

const spans = /** @type {const} */ ([['day', 86_400_000], ['week', 7 * 86_400_000], ['month', 30 * 86_400_000]]);
const chartPoints = 400;
const chartsMost = 6;
const refreshEvery = 60_000;

/** @param {{id: string}} props */
export function SensorPage({ id }) {
  const [editing, setEditing] = useState(false);
  const row = sensorRow(id);
  const top = html`<a class="btn quiet" href=${href('sensors')}>‹ ${t('back')}</a>`;
  if (!row) return html`<main class="page"><div class="head">${top}</div><div class="empty"><p>${t(loaded.value ? 'status.404' : 'loading')}</p></div></main>`;
  const { sensor, state } = row;
  const change = may('configure') && !centre.value;
  return html`<main class="page device" data-testid="sensor-page"><div class="head">${top}<h1>${sensor.name || t('sensor.unnamed')}</h1>
      ${!sensor.adopted && html`<i class="tag">${t('sensor.new')}</i>`}${sensor.important && html`<i class="tag">${t('mark.important')}</i>`}
      ${state?.offline && html`<i class="tag warn" data-testid="offline-since">${t('device.offline', { time: when(state.lastSeen, now.value), span: span(now.value - Date.parse(state.lastSeen)) })}</i>`}
      ${sensor.service && html`<i class="tag warn">${t(`service.${sensor.service.mode}`)} · ${t('shelf.until', { time: when(sensor.service.until, now.value) })}</i>`}
      <div class="grow"></div>${change && html`<button type="button" class="btn go" data-testid="sensor-edit" onClick=${() => setEditing(true)}>${t(sensor.adopted ? 'change' : 'sensor.adopt')}</button>`}</div>
    <div class="cols"><div>
        <${Values} sensor=${sensor} state=${state} />
        ${served('/sensors/{id}/history') && html`<${History} id=${id} sensor=${sensor} />`}
        <${AlarmsOf} id=${id} />
      </div><div>
        <${Facts} sensor=${sensor} state=${state} />
        <${SensorRules} sensor=${sensor} change=${change} onEdit=${() => setEditing(true)} />
        ${served('/people/{id}') && !centre.value && html`<${SensorPeople} sensor=${id} />`}
        ${change && served('/sensors/{id}/service') && html`<${ServiceCard} sensor=${sensor} />`}
        ${change && served('/sensors/{id}/credential') && sensor.source.broker === 'embedded' && html`<${CredentialCard} sensor=${sensor} />`}
        ${change && served('/sensors/{id}/replacement') && sensor.adopted && html`<${ReplaceCard} sensor=${sensor} />`}
      </div></div>
    ${editing && html`<${SensorDialog} sensor=${sensor} onClose=${() => setEditing(false)} />`}
  </main>`;
}

/** What it says now. @param {{sensor: Sensor, state: SensorState|null}} props */
function Values({ sensor, state }) {
  const list = Object.entries(state?.values ?? {})
    .filter(([f, v]) => !saysNothing(f, v))
    .sort(([a], [b]) => Number(b === sensor.class) - Number(a === sensor.class));
  if (!list.length) return html`<section class="card"><p class="note">${t('device.noValues')}</p></section>`;
  return html`<dl class="card bigvalues" data-testid="sensor-values">${list.map(([f, v]) => {
    const w = valueWord(f, v);
    return html`<div key=${f}><dt class=${wordFor(`field.${f}`) ? '' : 'typed'}>${w.label}</dt><dd class=${f === 'battery' && Number(v) <= 20 ? 'warn' : ''}>${w.text}</dd></div>`;
  })}</dl>`;
}

/** What it said. @param {{id: string, sensor: Sensor}} props */
function History({ id, sensor }) {
  const [name, setName] = useState(/** @type {'day'|'week'|'month'} */ ('day'));
  const [data, setData] = useState(/** @type {any} */ (null));
  const length = spans.find(([n]) => n === name)?.[1] ?? spans[0][1];
  const turn = Math.floor(now.value / refreshEvery);
  useEffect(() => {
    let gone = false;
    const to = Date.now();
    const query = new URLSearchParams({ from: new Date(to - length).toISOString(), to: new Date(to).toISOString(), points: String(chartPoints) });
    get(`/sensors/${encodeURIComponent(id)}/history?${query}`).then((body) => gone || setData({ from: to - length, to, ...body }), () => gone || setData(null));
    return () => {
      gone = true;
    };
  }, [id, name, turn]);
  const list = (data?.series ?? [])
    .filter((/** @type {any} */ s) => s.type !== 'text' && (s.points ?? []).length > 0 && (s.type !== 'bool' || s.turns > 0 || s.field === sensor.class)) // a fault that never was needs no chart
    .sort((/** @type {any} */ a, /** @type {any} */ b) => weight(a.field, sensor) - weight(b.field, sensor))
    .slice(0, chartsMost);
  return html`<section class="card history" data-testid="history"><header><h2>${t('history')}</h2>
      <div class="segments" role="radiogroup" aria-label=${t('history')}>${spans.map(([n]) => html`<button type="button" role="radio" key=${n} aria-checked=${n === name} data-testid=${`history-${n}`} onClick=${() => setName(n)}>${t(`history.${n}`)}</button>`)}</div></header>
    ${list.map((/** @type {any} */ s) => html`<${OneChart} key=${s.field} series=${s} from=${data.from} to=${data.to} />`)}
    ${data && !list.length && html`<p class="note">${t('history.none')}</p>`}
    ${data && list.length > 0 && served('/sensors/{id}/history.csv') && html`<p class="below"><a class="btn quiet" data-testid="history-csv" download href=${`/api/v1/sensors/${encodeURIComponent(id)}/history.csv?${new URLSearchParams({ from: new Date(data.from).toISOString(), to: new Date(data.to).toISOString() })}`}>${t('history.csv')}</a></p>`}
  </section>`;
}

/** What alarms first, what tells of the device itself last. @param {string} field @param {Sensor} sensor */
const weight = (field, sensor) => (field === sensor.class ? 0 : field === 'battery' ? 8 : /linkquality|rssi|snr|signal|voltage/.test(field) ? 9 : 1);

/** @param {{series: any, from: number, to: number}} props */
function OneChart({ series, from, to }) {
  const [at, setAt] = useState('');
  /** @param {number} v */
  const format = (v) => (series.type === 'bool' ? valueWord(series.field, v >= 0.5).text : valueWord(series.field, v).text);
  const label = valueWord(series.field, 0).label;
  return html`<div class="onechart"><p><b class=${wordFor(`field.${series.field}`) ? '' : 'typed'}>${label}</b><span>${at || range(series, format)}</span></p>
    <${Chart} series=${series} from=${from} to=${to} format=${format} label=${`${label} ${range(series, format)}`} onAt=${setAt} testid="chart" /></div>`;
}

/** Its least and greatest, or how often it turned. @param {any} series @param {(v: number) => string} format */
function range(series, format) {
  if (series.type === 'bool') return series.turns ? t('history.turns', { n: series.turns }) : '';
  const least = Math.min(...series.points.map((/** @type {number[]} */ p) => p[1]));
  const most = Math.max(...series.points.map((/** @type {number[]} */ p) => p[3]));
  return least === most ? format(least) : `${format(least)} – ${format(most)}`;
}

/** @param {{id: string}} props */
function AlarmsOf({ id }) {
  const [list, setList] = useState(/** @type {Alarm[]|null} */ (null));
  useEffect(() => {
    get(`/alarms?sensor=${encodeURIComponent(id)}&limit=20`).then((body) => setList((body.alarms ?? []).filter((/** @type {Alarm} */ a) => a.sensor === id)), () => {});
  }, [id, [...alarms.value.values()].filter((a) => a.sensor === id).length]);
  if (!list) return null;
  return html`<section class="card"><h2>${t('device.alarms')}</h2>
    ${list.length === 0 && html`<p class="note">${t('before.none')}</p>`}
    <ul class="rows">${list.map((row) => {
      const a = alarms.value.get(row.id) ?? row;
      return html`<li key=${a.id}><div><a href=${href('records', a.id)}><b class=${a.state === 'raised' && !a.test ? 'red' : ''}>${kindWord(a.kind)}</b></a>
        <span class="tab">${when(a.raisedAt, now.value)}</span></div><span>${answerWord(verdict(a)) || t(a.state === 'cleared' ? 'alarm.over' : 'alarm.goesOn')}</span></li>`;
    })}</ul></section>`;
}

const stale = 3_600_000; // ms by which a value may be older than the last word without its time being said

/** When a value of the device's own health came, where that is long before its last word. @param {SensorState|null} state @param {string} field */
function told(state, field) {
  const at = state?.vitalsAt?.[field];
  return at && state && Date.parse(state.lastSeen) - Date.parse(at) > stale ? ` · ${when(at, now.value)}` : '';
}

/** @param {{sensor: Sensor, state: SensorState|null}} props */
function Facts({ sensor, state }) {
  setupTurn.value;
  const values = state?.values ?? {};
  const signal = values.rssi ?? values.linkquality;
  const plan = sensor.position ? plans.value.get(sensor.position.plan) : null;
  /** @type {[string, any][]} */
  const list = [[t('sensor.class'), classWord(sensor.class)], [t('sensor.place'), sensor.place || '–']];
  if (nodeName(sensor.node)) list.unshift([t('fact.station'), nodeName(sensor.node)]);
  if (plan) list.push([t('plans'), html`<a href=${href('setup', 'plans')}>${[plan.name, plan.floor].filter(Boolean).join(' · ')}</a>`]);
  const cams = (sensor.cameras ?? []).map((c) => cameraRow(c, sensor.node)?.camera).filter(Boolean);
  list.push([t('nav.cameras'), cams.length ? cams.map((c) => html`<a key=${c?.id} class="eye-link" href=${href('cameras', c?.id)}>${c?.name}</a>`) : t('views.noCamera')]);
  list.push([t('fact.lastSeen'), whenAgo(state?.lastSeen, now.value)]);
  if (typeof values.battery === 'number') list.push([t('fact.battery'), `${Math.round(values.battery)}%${told(state, 'battery')}`]);
  if (typeof signal === 'number') list.push([t('device.signal'), `${Math.round(signal)}${values.rssi !== undefined ? ' dBm' : ''}${told(state, values.rssi !== undefined ? 'rssi' : 'linkquality')}`]);
  if (sensor.power) list.push([t('device.power'), wordFor(`power.${sensor.power}`) || sensor.power]);
  if (sensor.maker || sensor.model) list.push([t('device.model'), html`<span class="typed">${[sensor.maker, sensor.model].filter(Boolean).join(' ')}</span>`]);
  if (sensor.firmware) list.push([t('device.firmware'), html`<span class="typed">${sensor.firmware}</span>`]);
  if (sensor.bridge) list.push([t('device.bridge'), html`<a href=${href('sensors', sensor.bridge)}>${sensorRow(sensor.bridge)?.sensor.name || sensor.bridge}</a>`]);
  if (state?.deviceSkew && Math.abs(state.deviceSkew) > 300e9) list.push([t('fact.skew'), span(Math.abs(state.deviceSkew) / 1e6)]);
  if ((sensor.was ?? []).length) list.push([t('device.was'), t('before.count', { n: (sensor.was ?? []).length })]);
  list.push([t('sensor.topic'), html`<code>${sensor.source.topic}</code>`]);
  return html`<section class="card"><h2>${t('facts')}</h2><dl class="facts">${list.map(([k, v]) => html`<div key=${k}><dt>${k}</dt><dd>${v}</dd></div>`)}</dl></section>`;
}
