// @ts-check
// A mapping from a sample: each value of the message is offered with what it most
// likely is; which of our fields it is is chosen, tried at once, and taken into use
// for the topic.
import { html, useEffect, useState } from '../html.js';
import { classWord, t, valueWord, wordFor } from '../words/words.js';
import { newKey, post, Problem, put } from '../state/api.js';
import { loadAll } from '../state/store.js';
import { Field, Form } from '../ui/form.js';

const classes = ['smoke', 'gas', 'water', 'sos', 'manhole', 'door', 'motion', 'temperature', 'level', 'other'];
const fields = [...classes.filter((c) => c !== 'other'), 'time', 'humidity', 'battery', 'battery_low', 'tamper', 'vibration', 'action', 'linkquality', 'voltage', 'rssi', 'angle', 'smoke_density', 'gas_concentration', 'pressure', 'fault'];

/** @typedef {{path: string, value: any, field?: string, class?: string}} Proposal */

/** @param {{topic: {broker: string, topic: string}, message: {topic: string, payload: string}}} props */
export function Mapping({ topic, message }) {
  const [open, setOpen] = useState(false);
  const [map, setMap] = useState(/** @type {Record<string, string>} */ ({}));
  const [cls, setCls] = useState('other');
  const [result, setResult] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  const [list, setList] = useState(/** @type {Proposal[]} */ ([]));
  useEffect(() => {
    let gone = false;
    post('/workbench/try', { topic: message.topic, payload: message.payload }).then(
      (reply) => gone || setList(reply?.values ?? []),
      () => gone || setList([]),
    );
    return () => {
      gone = true;
    };
  }, [message.topic, message.payload]);
  const begin = () => {
    setMap(Object.fromEntries(list.flatMap((p) => (p.field ? [[p.path, p.field]] : []))));
    setCls(classes.find((c) => list.some((p) => p.class === c)) ?? 'other');
    setOpen(true);
  };
  const chosen = Object.fromEntries(Object.entries(map).filter(([, f]) => f).map(([path, f]) => [f, path]));
  const key = JSON.stringify(chosen);
  useEffect(() => {
    if (!open || !Object.keys(chosen).length) return setResult(null);
    post('/workbench/try', { topic: message.topic, payload: message.payload, family: 'json', fields: chosen }).then(
      (reply) => {
        setResult((reply?.results ?? [])[0] ?? null);
        setProblem(null);
      },
      (err) => setProblem(err instanceof Problem ? err : null),
    );
  }, [open, key]);
  if (!list.length) return null;
  return html`<section class="card" data-testid="mapping"><h2>${t('mapping')}</h2>
    ${!open && html`<p class="note">${t('mapping.hint')}</p><button type="button" class="btn" data-testid="mapping-begin" onClick=${begin}>${t('mapping.begin')}</button>`}
    ${open && html`<table class="small map"><thead><tr><th>${t('mapping.path')}</th><th>${t('mapping.value')}</th><th>${t('mapping.field')}</th></tr></thead>
        <tbody>${list.map(({ path, value }) => html`<tr key=${path}><th class="typed">${path || '–'}</th><td class="typed">${String(value).slice(0, 40)}</td><td><select aria-label=${path} value=${map[path] ?? ''} onChange=${(/** @type {any} */ e) => setMap({ ...map, [path]: e.currentTarget.value })}>
          <option value="">–</option>${fields.map((f) => html`<option value=${f} selected=${f === map[path]}>${wordFor(`field.${f}`) || f}</option>`)}</select></td></tr>`)}</tbody></table>
      <div class="row"><label>${t('sensor.class')} <select value=${cls} onChange=${(/** @type {any} */ e) => setCls(e.currentTarget.value)}>${classes.map((c) => html`<option value=${c} selected=${c === cls}>${classWord(c)}</option>`)}</select></label></div>
      ${problem && html`<p class="problem" role="alert">${problem.message} ${problem.hint}</p>`}
      ${result && html`<p class="said" data-testid="mapping-result">${result.error || Object.entries(result.readings?.[0]?.values ?? {}).map(([f, v]) => {
        const w = valueWord(f, /** @type {any} */ (v));
        return html`<span class="pair" key=${f}>${w.label} <b>${w.text}</b></span>`;
      })}</p>`}
      ${Object.keys(chosen).length > 0 && html`<${AdoptMapping} topic=${topic} fields=${chosen} class=${cls} />`}`}
  </section>`;
}

/** Makes a sensor of a topic with a mapping. @param {{topic: {broker: string, topic: string}, fields: Record<string, string>, class: string}} props */
function AdoptMapping({ topic, fields, class: cls }) {
  const [name, setName] = useState('');
  const [place, setPlace] = useState('');
  const [done, setDone] = useState(false);
  const send = async () => {
    const id = `s-${newKey().slice(0, 8)}`;
    await put(`/sensors/${id}`, { id, name: name.trim(), place: place.trim(), class: cls, adopted: true, source: { broker: topic.broker, family: 'json', topic: topic.topic, fields } });
    await loadAll();
    setDone(true);
  };
  if (done) return html`<p class="said" role="status" data-testid="bench-adopted">${t('bench.adopted')}</p>`;
  return html`<${Form} submit=${t('bench.adopt')} onSubmit=${send} testid="bench-adopt">
    <div class="two"><${Field} label=${t('sensor.name')} value=${name} onValue=${setName} name="name" required maxlength="80" /><${Field} label=${t('sensor.place')} value=${place} onValue=${setPlace} name="place" required maxlength="120" /></div><//>`;
}
