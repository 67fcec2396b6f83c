// @ts-check
// Tours and video patrols: which there are, when they are due, and going one.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { when } from '../words/times.js';
import { newKey, put, remove } from '../state/api.js';
import { now } from '../state/clock.js';
import { href, route } from '../state/route.js';
import { display, may } from '../state/session.js';
import { cameraRow, cameras } from '../state/store.js';
import { run, start, stepsOf } from '../state/touring.js';
import { groups, loadWalls, tours, useWalls } from '../state/walls.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';
import { HoursField, hoursWords } from '../ui/hours.js';
import { useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';
import { TourRun } from './tour-run.js';

/** @typedef {import('../records.js').Tour} Tour */

export function Tours() {
  useWalls();
  const [editing, setEditing] = useState(/** @type {Tour|null} */ (null));
  if (route.value.id && run.value?.tour.id === route.value.id) return html`<${TourRun} run=${run.value} />`;
  const edits = may('answer') && !display.value;
  return html`<main class="page"><div class="head"><a class="btn quiet" href=${href('cameras')}>‹ ${t('nav.cameras')}</a><h1>${t('nav.tours')}</h1>
      <nav class="subnav"><a href=${href('patrols')} data-testid="to-patrols">${t('nav.patrols')}</a></nav><div class="grow"></div>
      ${edits && html`<button type="button" class="btn go" data-testid="tour-add" onClick=${() => setEditing({ id: '', name: '', dwell: 15, steps: [] })}>${t('tours.add')}</button>`}</div>
    ${!tours.value.length && html`<div class="empty"><p>${t('tours.none')}</p><p>${t('tours.none.hint')}</p></div>`}
    <div class="cards">${tours.value.map((v) => html`<section class="card tour" key=${v.tour.id} data-testid="tour">
      <h2>${v.tour.name}${v.due && html`<span class="tag warn">${t('tours.due')}</span>`}</h2>
      <p>${t('tours.sum', { n: stepsOf(v.tour).length, s: v.tour.dwell })}${v.tour.confirm ? ` · ${t(`tours.confirm.${v.tour.confirm}`)}` : ''}</p>
      ${(v.tour.hours ?? []).length > 0 && html`<p class="note">${hoursWords(v.tour.hours)}${v.tour.every ? ` · ${t('tours.every', { n: v.tour.every })}` : ''}</p>`}
      <p class="note">${v.last && Date.parse(v.last) > 0 ? t('tours.last', { time: when(v.last, now.value), name: v.lastBy }) : t('tours.last.none')}</p>
      <div class="row end"><${Quiet} tour=${v.tour} edits=${edits} onEdit=${setEditing} /><button type="button" class="btn go" data-testid="tour-start" disabled=${!stepsOf(v.tour).length} onClick=${() => start(v.tour)}>${t(v.tour.confirm ? 'tours.start.patrol' : 'tours.start')}</button></div>
    </section>`)}</div>
    ${editing && html`<${TourDialog} tour=${editing} onClose=${() => setEditing(null)} />`}
  </main>`;
}

/** @param {{tour: Tour, edits: boolean, onEdit: (t: Tour) => void}} props */
function Quiet({ tour, edits, onEdit }) {
  return edits && html`<button type="button" class="btn quiet" onClick=${() => onEdit(tour)}>${t('change')}</button>`;
}

/** Where a camera that can be turned looks in a step. @param {{camera: string, value: string, onValue: (v: string) => void}} props */
function Place({ camera, value, onValue }) {
  const list = useLoad(camera && cameraRow(camera)?.camera.onvif ? `/cameras/${encodeURIComponent(camera)}/ptz` : '');
  /** @type {{token: string, name?: string}[]} */
  const places = list.data?.presets ?? [];
  if (!places.length && !value) return html`<span></span>`;
  return html`<select aria-label=${t('ptz.presets')} data-testid="step-place" value=${value} onChange=${(/** @type {any} */ e) => onValue(e.currentTarget.value)}><option value="">${t('ptz.preset.none')}</option>
    ${places.map((p) => html`<option key=${p.token} value=${p.token}>${p.name || p.token}</option>`)}
    ${value && !places.some((p) => p.token === value) && html`<option value=${value}>${value}</option>`}</select>`;
}

/** @param {{tour: Tour, onClose: () => void}} props */
function TourDialog({ tour, onClose }) {
  const fresh = tour.id === '';
  const [name, setName] = useState(tour.name);
  const [dwell, setDwell] = useState(String(tour.dwell));
  const [steps, setSteps] = useState(tour.steps);
  const [confirm, setConfirm] = useState(tour.confirm ?? '');
  const [hours, setHours] = useState(tour.hours ?? []);
  const [every, setEvery] = useState(String(tour.every || ''));
  const list = [...cameras.value.values()].map((r) => r.camera).sort((a, b) => a.name.localeCompare(b.name, 'zh', { numeric: true }));
  /** @param {string} value "camera:ID" or "group:ID" */
  const add = (value) => {
    const at = value.indexOf(':');
    if (at > 0) setSteps([...steps, { [value.slice(0, at)]: value.slice(at + 1) }]);
  };
  /** @param {number} i @param {number} by */
  const move = (i, by) => {
    const next = [...steps];
    const [s] = next.splice(i, 1);
    next.splice(Math.max(0, i + by), 0, s);
    setSteps(next);
  };
  /** @param {number} i @param {Partial<import('../records.js').TourStep>} part */
  const change = (i, part) => setSteps(steps.map((s, n) => (n === i ? { ...s, ...part } : s)));
  const send = async () => {
    const id = fresh ? `tour-${newKey().slice(0, 8)}` : tour.id;
    await put(`/tours/${id}`, { id, name: name.trim(), steps, dwell: Number(dwell), confirm, hours, every: Number(every) || 0 });
    await loadWalls();
    onClose();
  };
  const drop = async () => {
    await remove(`/tours/${tour.id}`);
    await loadWalls();
    onClose();
  };
  return html`<${Dialog} title=${fresh ? t('tours.add') : tour.name} wide testid="tour-dialog" onClose=${onClose}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${onClose} extra=${!fresh && html`<${RemoveButton} onRemove=${drop} /><span class="grow"></span>`}>
      <div class="two"><${Field} label=${t('camera.name')} value=${name} onValue=${setName} name="name" required autofocus maxlength="40" placeholder=${t('tours.name.hint')} />
        <${Field} label=${t('tours.dwell')} type="number" min="3" max="600" value=${dwell} onValue=${setDwell} name="dwell" required /></div>
      <fieldset class="field"><legend>${t('tours.steps')}</legend>
        <ol class="toursteps">${steps.map((s, i) => html`<li key=${i} data-testid="tour-step"><span class="num">${i + 1}</span>
          <b>${s.camera ? (cameraRow(s.camera)?.camera.name ?? t('camera.removed')) : `${t('videowall.as.group')} ${groups.value.find((g) => g.id === s.group)?.name ?? ''}`}</b>
          <${Place} camera=${s.camera ?? ''} value=${s.preset ?? ''} onValue=${(/** @type {string} */ preset) => change(i, { preset })} />
          <input type="number" min="3" max="600" placeholder=${dwell} aria-label=${t('tours.dwell')} value=${s.dwell || ''} onInput=${(/** @type {any} */ e) => change(i, { dwell: Number(e.currentTarget.value) || 0 })} />
          <button type="button" class="btn quiet" aria-label=${t('tours.up')} disabled=${i === 0} onClick=${() => move(i, -1)}>↑</button>
          <button type="button" class="btn quiet" aria-label=${t('tours.down')} disabled=${i === steps.length - 1} onClick=${() => move(i, 1)}>↓</button>
          <button type="button" class="btn quiet" aria-label=${t('remove')} onClick=${() => setSteps(steps.filter((_, n) => n !== i))}>✕</button></li>`)}</ol>
        <select aria-label=${t('tours.step.add')} data-testid="step-add" value="" onChange=${(/** @type {any} */ e) => {
          add(e.currentTarget.value);
          e.currentTarget.value = '';
        }}><option value="">＋ ${t('tours.step.add')}</option>
          ${groups.value.length > 0 && html`<optgroup label=${t('videowall.groups')}>${groups.value.map((g) => html`<option key=${g.id} value=${`group:${g.id}`}>${g.name}</option>`)}</optgroup>`}
          <optgroup label=${t('nav.cameras')}>${list.map((c) => html`<option key=${c.id} value=${`camera:${c.id}`}>${c.name}</option>`)}</optgroup></select></fieldset>
      <${Field} label=${t('tours.confirm')} value=${confirm} onValue=${setConfirm} name="confirm" options=${[['', t('tours.confirm.none')], ['step', t('tours.confirm.step')], ['round', t('tours.confirm.round')]]} />
      <${HoursField} label=${t('tours.hours')} none=${t('tours.hours.none')} value=${hours} onValue=${setHours} />
      ${hours.length > 0 && html`<${Field} label=${t('tours.every.label')} type="number" min="0" max="1440" value=${every} onValue=${setEvery} name="every" placeholder=${t('tours.every.none')} />`}
    <//>
  <//>`;
}
