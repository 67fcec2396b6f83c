// @ts-check
// The people behind a sensor. Who may not see them gets them masked by the
// server; who may changes them here, and erases them.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { put, remove } from '../state/api.js';
import { may } from '../state/session.js';
import { personWord, phone, relationWord } from '../desk/people.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {import('../records.js').People} People */
/** @typedef {import('../records.js').Person} Person */

const relations = ['self', 'child', 'keyholder', 'neighbour'];
const most = 8;

/** @param {{sensor: string}} props */
export function SensorPeople({ sensor }) {
  const { data, problem, again } = useLoad(`/people/${encodeURIComponent(sensor)}`);
  const [editing, setEditing] = useState(false);
  /** @type {People|null} */
  const people = data;
  const list = people?.list ?? [];
  return html`<section class="card" data-testid="sensor-people"><h2>${t('people')}${people?.flat ? ` · ${people.flat}` : ''}</h2>
    <${LoadProblem} problem=${problem?.status === 404 ? null : problem} again=${again} />
    ${list.length > 0
      ? html`<ul class="rows">${list.map((p) => html`<li key=${p.name + p.phone}><div><b>${personWord(p)}</b><p>${[p.age ? t('people.age', { n: p.age }) : '', p.note].filter(Boolean).join(' · ')}</p></div><span class="phone">${phone(p.phone)}</span></li>`)}</ul>`
      : html`<p class="note">${t('people.none')}</p>`}
    ${may('people') ? html`<button type="button" class="btn" data-testid="people-edit" onClick=${() => setEditing(true)}>${t(list.length ? 'change' : 'people.add')}</button>` : list.length > 0 && html`<p class="note">${t('people.masked')}</p>`}
    ${editing && html`<${PeopleDialog} sensor=${sensor} people=${people} onClose=${() => {
      setEditing(false);
      again();
    }} />`}</section>`;
}

/** @type {Person} */
const blank = { relation: 'self', name: '', phone: '' };

/** @param {{sensor: string, people: People|null, onClose: () => void}} props */
function PeopleDialog({ sensor, people, onClose }) {
  const [flat, setFlat] = useState(people?.flat ?? '');
  const [list, setList] = useState(/** @type {Person[]} */ (people?.list?.length ? people.list : [blank]));
  const path = `/people/${encodeURIComponent(sensor)}`;
  /** @param {number} i @param {Partial<Person>} part */
  const change = (i, part) => setList(list.map((p, n) => (n === i ? { ...p, ...part } : p)));
  const send = async () => {
    await put(path, { sensor, flat: flat.trim(), list: list.filter((p) => p.name.trim() || p.phone.trim()).map((p) => ({ ...p, name: p.name.trim(), phone: p.phone.trim() })) });
    onClose();
  };
  const drop = async () => {
    await remove(path);
    onClose();
  };
  return html`<${Dialog} title=${t('people')} wide testid="people-dialog" onClose=${onClose}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${onClose} extra=${(people?.list?.length ?? 0) > 0 && html`<${RemoveButton} onRemove=${drop} what=${t('people.erase')} /><span class="grow"></span>`}>
      <${Field} label=${t('people.flat')} value=${flat} onValue=${setFlat} name="flat" maxlength="60" autofocus />
      <p class="hint">${t('people.order')}</p>
      ${list.map((p, i) => html`<fieldset class="field personrow" key=${i}>
        <select aria-label=${t('people.relation')} value=${p.relation} onChange=${(/** @type {any} */ e) => change(i, { relation: e.currentTarget.value })}>${[...new Set([...relations, p.relation])].map((r) => html`<option value=${r} selected=${r === p.relation}>${relationWord(r)}</option>`)}</select>
        <input aria-label=${t('claim.name')} placeholder=${t('claim.name')} value=${p.name} maxlength="30" onInput=${(/** @type {any} */ e) => change(i, { name: e.currentTarget.value })} />
        <input aria-label=${t('people.phone')} placeholder=${t('people.phone')} value=${p.phone} inputmode="tel" maxlength="20" onInput=${(/** @type {any} */ e) => change(i, { phone: e.currentTarget.value })} />
        <input aria-label=${t('people.ageField')} placeholder=${t('people.ageField')} value=${p.age || ''} inputmode="numeric" maxlength="3" onInput=${(/** @type {any} */ e) => change(i, { age: Number(e.currentTarget.value) || 0 })} />
        <input aria-label=${t('tool.note')} placeholder=${t('tool.note')} value=${p.note ?? ''} maxlength="200" onInput=${(/** @type {any} */ e) => change(i, { note: e.currentTarget.value })} />
        <button type="button" class="btn quiet" aria-label=${t('up')} disabled=${i === 0} onClick=${() => setList([...list.slice(0, i - 1), p, list[i - 1], ...list.slice(i + 1)])}>↑</button>
        <button type="button" class="btn quiet" aria-label=${t('remove')} onClick=${() => setList(list.filter((_, n) => n !== i))}>✕</button></fieldset>`)}
      ${list.length < most && html`<button type="button" class="btn quiet" onClick=${() => setList([...list, { ...blank, relation: relations[Math.min(list.length, 3)] }])}>＋ ${t('people.more')}</button>`}
    <//>
  <//>`;
}
