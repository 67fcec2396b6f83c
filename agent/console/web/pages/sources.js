// @ts-check
// Who may report alarms from elsewhere, and what became of what they reported.
import { html, useState } from '../html.js';
import { kindWord, t, wordFor } from '../words/words.js';
import { when } from '../words/times.js';
import { put, remove } from '../state/api.js';
import { now } from '../state/clock.js';
import { Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {import('../records.js').AlarmSource} AlarmSource */
/** @typedef {import('../records.js').Routed} Routed */

export function Sources() {
  const { data, problem, again } = useLoad('/alarm-sources');
  const routed = useLoad('/routed-alarms?limit=20');
  const [id, setID] = useState('');
  const [name, setName] = useState('');
  const [stations, setStations] = useState('');
  const [token, setToken] = useState('');
  /** @type {AlarmSource[]} */
  const list = data?.sources ?? [];
  /** @type {Routed[]} */
  const rows = routed.data?.alarms ?? [];
  const add = async () => {
    const made = await put(`/alarm-sources/${encodeURIComponent(id.trim())}`, { name: name.trim(), stations: stations.split(/[\s,，]+/).filter(Boolean) });
    setToken(made.token);
    setID('');
    setName('');
    setStations('');
    again();
  };
  return html`<p class="lead">${t('sources.lead')}</p><${LoadProblem} problem=${problem} again=${again} />
    ${data && !list.length && html`<p class="note">${t('sources.none')}</p>`}
    ${list.length > 0 && html`<ul class="card steplist narrow">${list.map((s) => html`<li key=${s.id} data-testid="source"><div><b>${s.name}</b> <span class="note">${s.id}</span>
      <p>${s.stations?.length ? t('sources.some', { list: s.stations.join(' ') }) : t('sources.all')} · ${Date.parse(s.lastAt ?? '') > 0 ? t('sources.last', { time: when(s.lastAt, now.value) }) : t('sources.never')}</p></div>
      <${RemoveButton} onRemove=${async () => {
        await remove(`/alarm-sources/${encodeURIComponent(s.id)}`);
        again();
      }} /></li>`)}</ul>`}
    ${token
      ? html`<section class="card narrow below" data-testid="source-token"><p>${t('sources.how')}</p><p><code>POST ${location.origin}/api/v1/incoming/alarms</code></p><p><code>Authorization: Bearer ${token}</code></p><p class="note">${t('sources.token')}</p><button type="button" class="btn" onClick=${() => setToken('')}>${t('device.noted')}</button></section>`
      : html`<section class="card narrow below"><${Form} submit=${t('sources.add')} onSubmit=${add} testid="source-form">
        <${Field} label=${t('sources.id')} value=${id} onValue=${setID} name="id" required maxlength="64" pattern="[a-z0-9_\\-]+" autocapitalize="none" />
        <${Field} label=${t('sources.name')} value=${name} onValue=${setName} name="name" required maxlength="40" />
        <${Field} label=${t('sources.stations')} value=${stations} onValue=${setStations} name="stations" />
      <//></section>`}
    ${rows.length > 0 && html`<h2 class="below">${t('sources.routed')}</h2><ul class="card steplist narrow">${rows.map((r) => html`<li key=${r.id} data-testid="routed" data-state=${r.state}><i class="light ${r.state === 'done' ? 'ok' : r.state === 'refused' ? 'bad' : 'off'}"></i><div><b>${kindWord(r.alarm.kind)}</b> ${r.alarm.name || r.alarm.device || r.alarm.sensor} → ${r.alarm.station}
      <p>${wordFor(`routed.${r.state}`)} · ${when(r.stateAt, now.value)}</p></div></li>`)}</ul>`}`;
}
