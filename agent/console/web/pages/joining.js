// @ts-check
// Letting new devices in: for some minutes they may appear by themselves; each
// gets a name and a place, and is one of the station's sensors from then on.
import { html, useState } from '../html.js';
import { classWord, shortly, t } from '../words/words.js';
import { age, when } from '../words/times.js';
import { newKey, post, Problem, remove } from '../state/api.js';
import { failure } from '../state/answering.js';
import { now } from '../state/clock.js';
import { cameras, loadAll, sensors } from '../state/store.js';
import { Dialog } from '../ui/dialog.js';
import { Check, Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';

/** @typedef {import('../records.js').SensorRow} SensorRow */

const lengths = [5, 15, 30, 60];
const classes = ['smoke', 'gas', 'water', 'sos', 'manhole', 'door', 'motion', 'temperature', 'level', 'other'];

export function JoiningPart() {
  const { data, problem, again } = useLoad('/joining');
  const [naming, setNaming] = useState(/** @type {SensorRow|null} */ (null));
  /** @param {() => Promise<any>} deed */
  const act = async (deed) => {
    failure.value = null;
    try {
      await deed();
    } catch (err) {
      failure.value = err instanceof Problem ? err : new Problem(0, 'internal', String(err));
    }
    again();
  };
  const left = data?.open ? Date.parse(data.until) - now.value : 0;
  const strangers = [...sensors.value.values()].filter((r) => !r.sensor.adopted).sort((a, b) => ((a.state?.lastSeen ?? '') < (b.state?.lastSeen ?? '') ? 1 : -1));
  return html`<${LoadProblem} problem=${problem} again=${again} />
    <section class="card joining narrow" data-testid="joining">${left > 0
      ? html`<p>${t('joining.open')}</p><p class="count-down" data-testid="joining-left">${age(left + 999)}</p><p class="note">${t('joining.by', { name: data.name || data.by, time: when(data.since, now.value) })}</p>
        <button type="button" class="btn" data-testid="joining-close" onClick=${() => act(() => remove('/joining'))}>${t('joining.close')}</button>`
      : html`<p>${t('joining.closed')}</p><p class="row below">${lengths.map((n) => html`<button type="button" class="btn ${n === 15 ? 'go' : ''}" key=${n} data-testid=${`joining-${n}`} onClick=${() => act(() => post('/joining', { minutes: n }, { 'Idempotency-Key': newKey() }))}>${t('joining.for', { n })}</button>`)}</p>`}</section>
    <h2 class="below">${t('joining.strangers', { n: strangers.length })}</h2>
    ${strangers.length === 0 && html`<section class="card narrow"><p class="note">${t('joining.none')}</p></section>`}
    ${strangers.length > 0 && html`<ul class="card steplist">${strangers.map((r) => html`<li key=${r.sensor.id} data-testid="stranger"><div><b>${r.sensor.name || r.sensor.id}</b><i class="tag">${classWord(r.sensor.class)}</i><p>${[r.sensor.maker, r.sensor.model].filter(Boolean).join(' ')}</p><p class="note typed">${[r.sensor.source.family, r.sensor.source.topic, r.sensor.source.device].filter(Boolean).join(' · ')}</p>
      <p>${shortly(r.state?.values, r.sensor.class, 5).map((w) => html`<span class="pair" key=${w.label}>${w.label} <b>${w.text}</b></span>`)}${r.state && html`<span class="pair">${when(r.state.lastSeen, now.value)}</span>`}</p></div>
      <button type="button" class="btn go" data-testid="adopt" onClick=${() => setNaming(r)}>${t('joining.adopt')}</button></li>`)}</ul>`}
    ${naming && html`<${AdoptDialog} row=${naming} onClose=${() => setNaming(null)} />`}`;
}

/** @param {{row: SensorRow, onClose: () => void}} props */
function AdoptDialog({ row, onClose }) {
  const s = row.sensor;
  const [name, setName] = useState(s.name);
  const [place, setPlace] = useState(s.place);
  const [cls, setCls] = useState(s.class);
  const [important, setImportant] = useState(false);
  const [tied, setTied] = useState(/** @type {string[]} */ ([]));
  const send = async () => {
    await post(`/sensors/${encodeURIComponent(s.id)}/adoption`, { name: name.trim(), place: place.trim(), class: cls, cameras: tied, important }, { 'Idempotency-Key': newKey() });
    await loadAll();
    onClose();
  };
  return html`<${Dialog} title=${t('sensor.adopt.title')} wide testid="adopt-dialog" onClose=${onClose}>
    <${Form} submit=${t('joining.adopt')} onSubmit=${send} onCancel=${onClose}>
      <div class="two"><${Field} label=${t('sensor.name')} hint=${t('sensor.name.hint')} value=${name} onValue=${setName} name="name" required autofocus maxlength="80" /><${Field} label=${t('sensor.class')} value=${cls} onValue=${setCls} name="class" options=${[...new Set([...classes, cls])].map((c) => [c, classWord(c)])} /></div>
      <${Field} label=${t('sensor.place')} hint=${t('sensor.place.hint')} value=${place} onValue=${setPlace} name="place" required maxlength="120" />
      ${cameras.value.size > 0 && html`<fieldset class="field"><legend>${t('sensor.cameras')}</legend><div class="chips">${[...cameras.value.values()].map(({ camera }) => html`<label key=${camera.id} class="chip"><input type="checkbox" checked=${tied.includes(camera.id)} onChange=${() => setTied(tied.includes(camera.id) ? tied.filter((x) => x !== camera.id) : [...tied, camera.id])} /><span>${camera.name}</span></label>`)}</div></fieldset>`}
      <${Check} label=${t('mark.important')} hint=${t('joining.important.hint')} checked=${important} onValue=${setImportant} name="important" />
    <//>
  <//>`;
}
