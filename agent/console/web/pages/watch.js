// @ts-check
// The work mode, and what is watched when: the switch for everything that has a
// schedule, and the schedules themselves. What endangers people is always watched.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { when } from '../words/times.js';
import { newKey, Problem, put, remove } from '../state/api.js';
import { failure } from '../state/answering.js';
import { now } from '../state/clock.js';
import { may } from '../state/session.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';
import { HoursField, hoursWords } from '../ui/hours.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {{id: string, name: string, windows?: any[], holidays?: string[], holidayWindows?: any[]}} Schedule */

const modes = /** @type {const} */ (['routine', 'joint', 'linked']);

export function Watch() {
  const mode = useLoad('/mode');
  const list = useLoad('/schedules');
  const [editing, setEditing] = useState(/** @type {Schedule|null} */ (null));
  const m = mode.data;
  /** @type {Schedule[]} */
  const schedules = list.data?.schedules ?? [];
  /** @param {any} order */
  const set = async (order) => {
    failure.value = null;
    try {
      await put('/mode', order);
    } catch (err) {
      failure.value = err instanceof Problem ? err : new Problem(0, 'internal', String(err));
    }
    mode.again();
  };
  return html`<${LoadProblem} problem=${mode.problem ?? list.problem} again=${mode.again} />
    ${m && html`<section class="card narrow" data-testid="mode"><h2>${t('mode')}</h2>
      <div class="segments" role="radiogroup" aria-label=${t('mode')}>${modes.map((x) => html`<button type="button" role="radio" key=${x} aria-checked=${m.mode === x} disabled=${!may('answer')} data-testid=${`mode-${x}`} onClick=${() => set({ mode: x })}>${t(`mode.${x}`)}</button>`)}</div>
      <p class="note">${t(`mode.${/** @type {'routine'} */ (m.mode || 'routine')}.hint`)}</p>
      <h2 class="below">${t('armed')}</h2>
      <div class="segments" role="radiogroup" aria-label=${t('armed')}>${[true, false].map((x) => html`<button type="button" role="radio" key=${String(x)} aria-checked=${m.armed === x} disabled=${!may('answer')} data-testid=${x ? 'arm' : 'disarm'} onClick=${() => set({ armed: x })}>${t(x ? 'armed.on' : 'armed.off')}</button>`)}</div>
      <p class="note">${t('armed.hint')}</p>
      ${m.at && Date.parse(m.at) > 0 && html`<p class="note">${t('mode.by', { name: m.name || m.by, time: when(m.at, now.value) })}</p>`}</section>`}
    <h2 class="below">${t('schedules')}</h2>
    ${list.data && !schedules.length && html`<section class="card narrow"><p>${t('schedules.none')}</p></section>`}
    ${schedules.length > 0 && html`<ul class="card steplist narrow">${schedules.map((s) => html`<li key=${s.id} data-testid="schedule"><i class="light ${m?.armed && m?.schedules?.[s.id] ? 'ok' : 'off'}"></i><div><b>${s.name}</b><span class="tab">${t(m?.armed && m?.schedules?.[s.id] ? 'schedules.watching' : 'schedules.resting')}</span><p>${s.windows?.length ? hoursWords(s.windows) : t('schedules.never')}</p>
      ${(s.holidays ?? []).length > 0 && html`<p class="note">${t('schedules.holidays', { n: s.holidays?.length })}</p>`}</div>${may('configure') && html`<button type="button" class="btn quiet" onClick=${() => setEditing(s)}>${t('change')}</button>`}</li>`)}</ul>`}
    ${may('configure') && html`<p class="below"><button type="button" class="btn" data-testid="schedule-add" onClick=${() => setEditing({ id: '', name: '', windows: [{ days: [], from: '22:00', to: '06:00' }] })}>＋ ${t('schedules.add')}</button></p>`}
    ${editing && html`<${ScheduleDialog} schedule=${editing} onClose=${() => {
      setEditing(null);
      list.again();
      mode.again();
    }} />`}`;
}

/** @param {{schedule: Schedule, onClose: () => void}} props */
function ScheduleDialog({ schedule, onClose }) {
  const fresh = schedule.id === '';
  const [name, setName] = useState(schedule.name);
  const [windows, setWindows] = useState(schedule.windows ?? []);
  const [days, setDays] = useState((schedule.holidays ?? []).join('\n'));
  const [special, setSpecial] = useState(schedule.holidayWindows ?? []);
  const send = async () => {
    const id = fresh ? `sch-${newKey().slice(0, 8)}` : schedule.id;
    await put(`/schedules/${encodeURIComponent(id)}`, { id, name: name.trim(), windows, holidays: days.split(/\s+/).filter(Boolean), holidayWindows: special });
    onClose();
  };
  const drop = async () => {
    await remove(`/schedules/${encodeURIComponent(schedule.id)}`);
    onClose();
  };
  return html`<${Dialog} title=${fresh ? t('schedules.add') : schedule.name} wide testid="schedule-dialog" onClose=${onClose}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${onClose} extra=${!fresh && html`<${RemoveButton} onRemove=${drop} /><span class="grow"></span>`}>
      <${Field} label=${t('camera.name')} value=${name} onValue=${setName} name="name" required autofocus maxlength="40" placeholder=${t('schedules.name.hint')} />
      <${HoursField} label=${t('schedules.windows')} none=${t('schedules.never')} value=${windows} onValue=${setWindows} />
      <details open=${days !== ''}><summary>${t('schedules.special')}</summary>
        <${Field} label=${t('schedules.dates')} hint=${t('schedules.dates.hint')} rows=${2} value=${days} onValue=${setDays} name="holidays" placeholder="2026-10-01" />
        <${HoursField} label=${t('schedules.windows.special')} none=${t('schedules.never')} value=${special} onValue=${setSpecial} /></details>
    <//>
  <//>`;
}
