// @ts-check
// All sensors: what they say, how they are, and the ones that turned up by
// themselves and wait for a name.
import { html, useState } from '../html.js';
import { classWord, shortly, t } from '../words/words.js';
import { when } from '../words/times.js';
import { now } from '../state/clock.js';
import { href, route } from '../state/route.js';
import { centre, may } from '../state/session.js';
import { loaded, nodeName, sensors } from '../state/store.js';
import { SensorDialog } from './sensor-dialog.js';
import { SensorPage } from './sensor-page.js';

/** @typedef {import('../records.js').SensorRow} SensorRow */
/** @typedef {import('../records.js').Sensor} Sensor */

/** @type {Sensor} */
const blank = { id: '', name: '', place: '', class: 'smoke', source: { broker: 'embedded', family: 'json', topic: '' }, adopted: true };

export function Sensors() {
  return route.value.id ? html`<${SensorPage} key=${route.value.id} id=${route.value.id} />` : html`<${List} />`;
}

function List() {
  const [editing, setEditing] = useState(/** @type {Sensor|null} */ (null));
  const [find, setFind] = useState('');
  const change = may('configure') && !centre.value;
  const word = find.trim().toLowerCase();
  const rows = [...sensors.value.values()]
    .filter(({ sensor: s }) => !word || `${s.name} ${s.place} ${classWord(s.class)} ${nodeName(s.node)} ${s.id}`.toLowerCase().includes(word))
    .sort((a, b) => Number(a.sensor.adopted) - Number(b.sensor.adopted) || Number(!!b.state?.offline) - Number(!!a.state?.offline) || a.sensor.place.localeCompare(b.sensor.place, 'zh'));
  return html`<main class="page">
    <div class="head"><h1>${t('nav.sensors')}</h1><div class="grow"></div>
      <input type="search" placeholder=${t('find')} aria-label=${t('find')} value=${find} onInput=${(/** @type {any} */ e) => setFind(e.currentTarget.value)} />
      ${change && html`<button type="button" class="btn go" data-testid="sensor-add" onClick=${() => setEditing(blank)}>${t('sensors.add')}</button>`}
    </div>
    ${loaded.value && !sensors.value.size && html`<div class="empty"><p>${t('sensors.none')}</p><p>${t('sensors.none.hint')}</p></div>`}
    ${rows.length > 0 && html`<table class="list card"><thead><tr>
        <th>${t('sensor.name')}</th><th>${t('sensor.place')}</th><th>${t('sensor.class')}</th><th>${t('sensor.values')}</th><th>${t('fact.battery')}</th><th>${t('fact.lastSeen')}</th><th></th>
      </tr></thead>
      <tbody>${rows.map((row) => html`<${Row} key=${(row.sensor.node ?? '') + row.sensor.id} row=${row} change=${change} onEdit=${setEditing} />`)}</tbody></table>`}
    ${editing && html`<${SensorDialog} sensor=${editing} onClose=${() => setEditing(null)} />`}
  </main>`;
}

/** @param {{row: SensorRow, change: boolean, onEdit: (s: Sensor) => void}} props */
function Row({ row, change, onEdit }) {
  const { sensor, state } = row;
  const { battery: _, ...others } = state?.values ?? {};
  const values = shortly(others, sensor.class, 3);
  const battery = state?.values?.battery;
  const station = nodeName(sensor.node);
  return html`<tr data-testid="sensor-row" class=${state?.offline ? 'off' : ''}>
    <td><a href=${href('sensors', sensor.node ? `${sensor.node}.${sensor.id}` : sensor.id)} data-testid="sensor-link"><b>${sensor.name || t('sensor.unnamed')}</b></a>${sensor.service && html` <i class="tag warn">${t(`service.${sensor.service.mode}`)}</i>`}${!sensor.adopted && html`<i class="tag">${t('sensor.new')}</i>`}${!sensor.name && html`<small>${sensor.id}</small>`}</td>
    <td>${station && html`<small>${station}</small>`}${sensor.place || '–'}</td>
    <td>${classWord(sensor.class)}</td>
    <td class="values">${values.map((w) => html`<span key=${w.label}>${w.label} <b>${w.text}</b></span>`)}</td>
    <td data-label=${t('fact.battery')} class=${typeof battery === 'number' && battery <= 20 ? 'warn' : ''}>${typeof battery === 'number' ? `${Math.round(battery)}%` : '–'}</td>
    <td data-label=${t('fact.lastSeen')}>${state?.offline && html`<i class="tag warn">${t('sensor.offline')}</i> `}${state ? when(state.lastSeen, now.value) : t('never')}</td>
    <td class="end">${change && html`<button type="button" class="btn ${sensor.adopted ? 'quiet' : ''}" data-testid="sensor-edit" onClick=${() => onEdit(sensor)}
      aria-label=${t('sensor.edit', { name: sensor.name || sensor.id })}>${t(sensor.adopted ? 'change' : 'sensor.adopt')}</button>`}</td>
  </tr>`;
}
