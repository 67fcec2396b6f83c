// @ts-check
// Plans: their pictures, and where sensors and cameras stand on them. What stands
// nowhere lies beside the plan and is dragged onto it, or chosen and put down with
// a press; the arrow keys move what is chosen.
import { html, useRef, useState } from '../html.js';
import { classWord, t } from '../words/words.js';
import { newKey, Problem, put, putFile, remove } from '../state/api.js';
import { failure } from '../state/answering.js';
import { cameras, loadAll, loadPlans, plans, sensors } from '../state/store.js';
import { PlanPicture } from '../live/plan.js';
import { sensorLook } from '../desk/plan-wall.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';
import { RemoveButton } from '../ui/remove.js';
import { secretMask } from './camera-dialog.js';

/** @typedef {import('../records.js').Plan} Plan */
/** @typedef {import('../records.js').Position} Position */
/** @typedef {{kind: 'sensor'|'camera', id: string, name: string, note: string, at: Position|null, look: string}} Thing */

const largest = 8 << 20; // bytes of a picture

/** Everything that can stand on a plan. @returns {Thing[]} */
function things() {
  return [
    ...[...sensors.value.values()].filter((r) => r.sensor.adopted).map((r) => ({ kind: /** @type {const} */ ('sensor'), id: r.sensor.id, name: r.sensor.name, note: r.sensor.place || classWord(r.sensor.class), at: r.sensor.position ?? null, look: sensorLook(r) })),
    ...[...cameras.value.values()].map((r) => ({ kind: /** @type {const} */ ('camera'), id: r.camera.id, name: r.camera.name, note: r.camera.place ?? '', at: r.camera.position ?? null, look: 'ok' })),
  ];
}

/** Keeps where a thing stands. @param {Thing} thing @param {Position|null} at */
async function keep(thing, at) {
  failure.value = null;
  try {
    if (thing.kind === 'sensor') {
      const sensor = sensors.peek().get(thing.id)?.sensor;
      if (sensor) await put(`/sensors/${encodeURIComponent(thing.id)}`, { ...sensor, position: at });
    } else {
      const camera = cameras.peek().get(thing.id)?.camera;
      if (camera) await put(`/cameras/${encodeURIComponent(thing.id)}`, { ...camera, position: at, password: camera.hasPassword ? secretMask : '' });
    }
  } catch (err) {
    failure.value = err instanceof Problem ? err : new Problem(0, 'internal', String(err));
  }
  await loadAll();
}

export function Plans() {
  const [picked, setPicked] = useState('');
  const [editing, setEditing] = useState(/** @type {Plan|null} */ (null));
  const [chosen, setChosen] = useState('');
  const [moved, setMoved] = useState(/** @type {{key: string, at: Position}|null} */ (null));
  const moves = useRef(0);
  const list = [...plans.value.values()];
  const plan = plans.value.get(picked) ?? list[0];
  const all = things();
  /** @param {Thing} x */
  const key = (x) => `${x.kind}/${x.id}`;
  /** @param {Thing} x */
  const at = (x) => (moved?.key === key(x) ? moved.at : x.at);
  const here = plan ? all.filter((x) => at(x)?.plan === plan.id) : [];
  const loose = all.filter((x) => !at(x) || !plans.value.has(at(x)?.plan ?? ''));
  /** @param {string} k @param {number} x @param {number} y @param {boolean} done */
  const move = async (k, x, y, done) => {
    const thing = all.find((one) => key(one) === k);
    if (!thing || !plan) return;
    const spot = { plan: plan.id, x, y };
    const mine = ++moves.current; // who moves on before this is kept is not set back
    setMoved({ key: k, at: spot });
    if (!done) return;
    if (thing.at && thing.at.plan === spot.plan && thing.at.x === x && thing.at.y === y) return setMoved(null); // it was pressed, not moved
    await keep(thing, spot);
    if (moves.current === mine) setMoved(null);
  };
  const one = all.find((x) => key(x) === chosen);
  const next = { id: '', name: '', order: list.length + 1 };
  return html`<div class="row plantabs">
      <div class="segments" role="radiogroup" aria-label=${t('plans')}>${list.map((p) => html`<button type="button" role="radio" key=${p.id} aria-checked=${p.id === plan?.id} onClick=${() => setPicked(p.id)}>${[p.name, p.floor].filter(Boolean).join(' · ')}</button>`)}</div>
      <button type="button" class="btn ${list.length ? '' : 'go'}" data-testid="plan-add" onClick=${() => setEditing(next)}>＋ ${t('plan.add')}</button>
      ${plan && html`<button type="button" class="btn quiet" data-testid="plan-edit" onClick=${() => setEditing(plan)}>${t('change')}</button>`}</div>
    ${!plan && html`<div class="empty"><p>${t('plan.none')}</p><p>${t('plan.none.hint')}</p></div>`}
    ${plan && html`<div class="planner">
      <section class="card">${plan.picture
        ? html`<${PlanPicture} plan=${plan.id} version=${plan.picture.digest} name=${plan.name} testid="planner" chosen=${chosen}
            marks=${here.map((x) => ({ id: key(x), kind: x.kind, x: at(x)?.x ?? 0, y: at(x)?.y ?? 0, state: x.look === 'live' || x.look === 'held' ? 'ok' : x.look, name: x.name }))}
            onPick=${(/** @type {string} */ k) => setChosen(k)} onMove=${move} onSpot=${one && !at(one) ? (/** @type {number} */ x, /** @type {number} */ y) => move(chosen, x, y, true) : undefined} onDrop=${(/** @type {string} */ k, /** @type {number} */ x, /** @type {number} */ y) => move(k, x, y, true)} />`
        : html`<div class="empty"><p>${t('plan.noPicture')}</p><p><button type="button" class="btn go" onClick=${() => setEditing(plan)}>${t('plan.picture')}</button></p></div>`}</section>
      <aside>
        <section class="card"><h2>${t('plan.here', { n: here.length })}</h2><ul class="things">${here.map((x) => html`<li key=${key(x)}><button type="button" aria-pressed=${chosen === key(x)} onClick=${() => setChosen(key(x))}><b>${x.name}</b><span>${x.note}</span></button>
          <button type="button" class="btn quiet" aria-label=${t('plan.off', { name: x.name })} title=${t('plan.off', { name: x.name })} onClick=${() => keep(x, null)}>✕</button></li>`)}</ul></section>
        <section class="card"><h2>${t('plan.loose', { n: loose.length })}</h2>${loose.length > 0 && html`<p class="note">${t('plan.loose.hint')}</p>`}
          <ul class="things" data-testid="loose">${loose.map((x) => html`<li key=${key(x)}><button type="button" aria-pressed=${chosen === key(x)} draggable onDragStart=${(/** @type {DragEvent} */ e) => e.dataTransfer?.setData('text/plain', key(x))}
            onClick=${() => setChosen(key(x))} onKeyDown=${(/** @type {KeyboardEvent} */ e) => {
              if (e.key !== 'Enter') return;
              e.preventDefault();
              setChosen(key(x));
              move(key(x), 0.5, 0.5, true);
            }}><b>${x.name}</b><span>${x.note}</span></button></li>`)}</ul></section>
      </aside></div>`}
    ${editing && html`<${PlanDialog} plan=${editing} onClose=${(/** @type {string} */ id) => {
      setEditing(null);
      if (id) setPicked(id);
    }} />`}`;
}

/** @param {{plan: Plan, onClose: (id: string) => void}} props */
function PlanDialog({ plan, onClose }) {
  const fresh = plan.id === '';
  const [name, setName] = useState(plan.name);
  const [floor, setFloor] = useState(plan.floor ?? '');
  const [order, setOrder] = useState(String(plan.order ?? 0));
  const [file, setFile] = useState(/** @type {File|null} */ (null));
  const send = async () => {
    if (file && file.size > largest) throw new Problem(400, 'plan.picture', t('plan.picture.large'));
    const id = fresh ? `plan-${newKey().slice(0, 8)}` : plan.id;
    await put(`/plans/${encodeURIComponent(id)}`, { id, name: name.trim(), floor: floor.trim(), order: Number(order) || 0 });
    if (file) await putFile(`/plans/${encodeURIComponent(id)}/picture`, file);
    await loadPlans();
    onClose(id);
  };
  const drop = async () => {
    await remove(`/plans/${encodeURIComponent(plan.id)}`);
    await loadAll();
    onClose('');
  };
  return html`<${Dialog} title=${t(fresh ? 'plan.add' : 'plan.edit')} testid="plan-dialog" onClose=${() => onClose('')}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${() => onClose('')} extra=${!fresh && html`<${RemoveButton} onRemove=${drop} /><span class="grow"></span>`}>
      <${Field} label=${t('camera.name')} hint=${t('plan.name.hint')} value=${name} onValue=${setName} name="name" required autofocus maxlength="60" />
      <div class="two"><${Field} label=${t('plan.floor')} value=${floor} onValue=${setFloor} name="floor" maxlength="30" />
      <${Field} label=${t('plan.order')} value=${order} onValue=${setOrder} name="order" inputmode="numeric" /></div>
      <div class="field"><label for="plan-file">${t('plan.picture')}</label><input id="plan-file" type="file" name="picture" accept="image/png,image/jpeg,image/webp" onChange=${(/** @type {any} */ e) => setFile(e.currentTarget.files?.[0] ?? null)} /><p class="hint">${t('plan.picture.hint')}</p></div>
    <//>
  <//>`;
}
