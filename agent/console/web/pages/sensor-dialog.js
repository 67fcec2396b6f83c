// @ts-check
// Naming a sensor: what it is, where an officer must go, who sees the place, and
// when it alarms.
import { html, useState } from '../html.js';
import { classWord, t, wordFor } from '../words/words.js';
import { newKey, Problem, put, remove } from '../state/api.js';
import { served } from '../state/served.js';
import { cameras, loadAll } from '../state/store.js';
import { Dialog } from '../ui/dialog.js';
import { Check, Field, Form } from '../ui/form.js';
import { useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';
import { OwnRules } from './rule-form.js';

/** @typedef {import('../records.js').Sensor} Sensor */
/** @typedef {import('../records.js').Rule} Rule */

const classes = ['smoke', 'gas', 'water', 'sos', 'manhole', 'door', 'motion', 'temperature', 'level', 'other'];
const minute = 60e9; // durations travel in nanoseconds
const silences = [0, 10 * minute, 60 * minute, 6 * 60 * minute, 24 * 60 * minute, 72 * 60 * minute, -1];

/** "smoke = data.alarm" by lines @param {Record<string, string>|undefined} fields */
const fieldsText = (fields) => Object.entries(fields ?? {}).map(([k, v]) => `${k} = ${v}`).join('\n');

/** The formats by title; the one in use is always among them. @param {string} now @param {{name: string, title: string}[]} known @returns {[string, string][]} */
const families = (now, known) => {
  const titles = new Map(known.map((f) => [f.name, f.title || f.name]));
  return [...new Set(['json', 'zigbee2mqtt', ...titles.keys(), now])].map((f) => [f, f === 'json' ? t('family.json') : (titles.get(f) ?? (f === 'zigbee2mqtt' ? 'Zigbee2MQTT' : f))]);
};

/** @param {string} text @returns {Record<string, string>} */
function fieldsOf(text) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of text.split('\n')) {
    if (!line.trim()) continue;
    const m = /^\s*([\w-]+)\s*[=:]\s*(\S+)\s*$/.exec(line);
    if (!m) throw new Problem(400, 'fields', t('sensor.fields.rule', { line: line.trim() }));
    fields[m[1]] = m[2];
  }
  return fields;
}

/** @param {{sensor: Sensor, onClose: () => void}} props */
export function SensorDialog({ sensor, onClose }) {
  const fresh = sensor.id === '';
  const [name, setName] = useState(sensor.name);
  const [place, setPlace] = useState(sensor.place);
  const [cls, setCls] = useState(sensor.class);
  const [tied, setTied] = useState(sensor.cameras ?? []);
  const [rules, setRules] = useState(/** @type {Rule[]} */ (sensor.rules ?? []));
  const [important, setImportant] = useState(!!sensor.important);
  const [silent, setSilent] = useState(String(sensor.silentAfter ?? 0));
  const [source, setSource] = useState(sensor.source);
  const [fields, setFields] = useState(fieldsText(sensor.source.fields));
  const { data: formats } = useLoad(served('/families') ? '/families' : '');
  const send = async () => {
    if (!source.topic.trim()) throw new Problem(400, 'topic', t('sensor.topic.rule'));
    const id = fresh ? `s-${newKey().slice(0, 8)}` : sensor.id;
    await put(`/sensors/${encodeURIComponent(id)}`, {
      ...sensor, id, name: name.trim(), place: place.trim(), class: cls, cameras: tied, rules, important, silentAfter: Number(silent), adopted: true,
      source: { ...source, topic: source.topic.trim(), fields: source.family === 'json' ? fieldsOf(fields) : source.fields },
    });
    await loadAll();
    onClose();
  };
  const drop = async () => {
    await remove(`/sensors/${encodeURIComponent(sensor.id)}`);
    await loadAll();
    onClose();
  };
  /** @param {string} id */
  const toggle = (id) => setTied(tied.includes(id) ? tied.filter((x) => x !== id) : [...tied, id]);
  const title = fresh ? t('sensors.add') : sensor.adopted ? t('sensor.edit', { name: sensor.name }) : t('sensor.adopt.title');
  return html`<${Dialog} title=${title} wide testid="sensor-dialog" onClose=${onClose}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${onClose} extra=${!fresh && html`<${RemoveButton} onRemove=${drop} testid="sensor-remove" /><span class="grow"></span>`}>
      <div class="two">
        <${Field} label=${t('sensor.name')} hint=${t('sensor.name.hint')} value=${name} onValue=${setName} name="name" required autofocus maxlength="80" />
        <${Field} label=${t('sensor.class')} value=${cls} onValue=${setCls} name="class" options=${classes.map((c) => [c, classWord(c)])} />
      </div>
      <${Field} label=${t('sensor.place')} hint=${t('sensor.place.hint')} value=${place} onValue=${setPlace} name="place" required maxlength="120" />
      <fieldset class="field"><legend>${t('sensor.cameras')}</legend>
        ${cameras.value.size ? html`<div class="chips">${[...cameras.value.values()].map(({ camera }) => html`<label key=${camera.id} class="chip">
          <input type="checkbox" checked=${tied.includes(camera.id)} onChange=${() => toggle(camera.id)} /><span>${tied.indexOf(camera.id) === 0 ? '● ' : ''}${camera.name}</span></label>`)}</div>` : html`<p class="hint">${t('cameras.none')}</p>`}
        <p class="hint">${t('sensor.cameras.hint')}</p>
      </fieldset>
      <${OwnRules} rules=${rules} onRules=${setRules} cls=${cls} sensor=${fresh ? undefined : sensor.id} />
      <${Check} label=${t('mark.important')} hint=${t('joining.important.hint')} checked=${important} onValue=${setImportant} name="important" />
      <${Field} label=${t('sensor.silentAfter')} value=${silent} onValue=${setSilent} name="silentAfter" options=${[...new Set([...silences, Number(silent)])].map((n) => [String(n), wordFor(`silent.${n < 0 ? 'never' : n / minute}`) || t('time.minutes', { n: Math.round(n / minute) })])} />
      <details open=${fresh}><summary>${t('sensor.source')}</summary>
        <div class="two">
          <${Field} label=${t('sensor.family')} value=${source.family} onValue=${(/** @type {string} */ v) => setSource({ ...source, family: v })} name="family" class="typed" options=${families(source.family, formats?.families ?? [])} />
          <${Field} label=${t('sensor.broker')} value=${source.broker} onValue=${(/** @type {string} */ v) => setSource({ ...source, broker: v })} name="broker" spellcheck=${false} />
        </div>
        <${Field} label=${t('sensor.topic')} value=${source.topic} onValue=${(/** @type {string} */ v) => setSource({ ...source, topic: v })} name="topic" spellcheck=${false} placeholder="building3/1202/smoke" />
        ${source.family === 'json' && html`<${Field} label=${t('sensor.fields')} hint=${t('sensor.fields.hint')} rows=${3} value=${fields} onValue=${setFields} name="fields" spellcheck=${false} />`}
      </details>
    <//>
  <//>`;
}
