// @ts-check
// What people hold as evidence: it is kept until somebody releases it, and both need a
// reason.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { bytes, hms, span, stamp, when } from '../words/times.js';
import { newKey, post, Problem, put } from '../state/api.js';
import { now } from '../state/clock.js';
import { may } from '../state/session.js';
import { served } from '../state/served.js';
import { cameraRow } from '../state/store.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';
import { useLoad } from '../ui/load.js';
import { local, moment } from './exports.js';
import { chosen, filed } from './state.js';

/** @typedef {{id: string, camera: string, from: string, to: string, reason: string, name: string, at: string, size?: number, released?: string, releasedBy?: string, releaseReason?: string}} Hold */

const listed = 30; // of what was released

/** Whether evidence can be held at this node, by this person. */
export const mayHold = () => served('/evidence/{id}') && may('answer');

/** @param {{from: number, to: number, onClose: () => void}} props */
export function HoldDialog({ from, to, onClose }) {
  const [camera, setCamera] = useState(chosen.peek()[0] ?? '');
  const [begin, setBegin] = useState(local(from));
  const [end, setEnd] = useState(local(to));
  const [reason, setReason] = useState('');
  const [id] = useState(newKey);
  const length = moment(end, to) - moment(begin, from);
  const send = async () => {
    if (!(length > 0)) throw new Problem(400, 'span', t('play.export.wrongSpan'));
    await put(`/evidence/${id}`, { id, camera, from: new Date(moment(begin, from)).toISOString(), to: new Date(moment(end, to)).toISOString(), reason: reason.trim() });
    filed.value++;
    onClose();
  };
  return html`<${Dialog} title=${t('play.hold')} testid="hold-dialog" onClose=${onClose}>
    <p class="lead">${t('play.hold.hint')}</p>
    <${Form} submit=${t('play.hold.do')} onSubmit=${send} onCancel=${onClose}>
      ${chosen.value.length > 1 && html`<${Field} label=${t('play.camera')} value=${camera} onValue=${setCamera} options=${chosen.value.map((c) => [c, cameraRow(c)?.camera.name ?? c])} />`}
      <div class="two"><${Field} label=${t('play.from')} value=${begin} onValue=${setBegin} name="from" required /><${Field} label=${t('play.to')} value=${end} onValue=${setEnd} name="to" required /></div>
      <p class="hint verdict">${length > 0 ? t('play.export.length', { span: span(length) }) : t('play.export.wrongSpan')}</p>
      <${Field} label=${t('play.reason')} hint=${t('play.reason.hint')} value=${reason} onValue=${setReason} name="reason" required maxlength="200" autofocus />
    <//>
  <//>`;
}

/** What is held, and what was, the newest first. */
export function Evidence() {
  const list = useLoad(served('/evidence') ? `/evidence?turn=${filed.value}` : '');
  const [releasing, setReleasing] = useState(/** @type {Hold|null} */ (null));
  /** @type {Hold[]} */
  const all = list.data?.holds ?? [];
  const held = all.filter((h) => !h.released);
  const released = all.filter((h) => h.released).sort((a, b) => String(b.released).localeCompare(String(a.released)));
  if (!all.length) return null;
  return html`<section class="card pexports" data-testid="evidence"><h2>${t('play.evidence')}</h2>
    <ul class="long">${held.map((h) => html`<li key=${h.id} data-testid="held"><${About} hold=${h} />
      ${may('accounts') && html`<div class="acts"><button type="button" class="btn quiet" data-testid="release-open" onClick=${() => setReleasing(h)}>${t('play.release')}</button></div>`}</li>`)}</ul>
    ${released.length > 0 && html`<details data-testid="released"><summary>${t('play.evidence.released', { n: released.length })}</summary>
      <ul class="long">${released.slice(0, listed).map((h) => html`<li key=${h.id}><${About} hold=${h} /></li>`)}</ul></details>`}
    ${releasing && html`<${ReleaseDialog} hold=${releasing} onClose=${() => {
      setReleasing(null);
      filed.value++;
    }} />`}</section>`;
}

/** What it is, why, by whom and since when, and what it takes. @param {{hold: Hold}} props */
function About({ hold: h }) {
  return html`<div><b>${cameraRow(h.camera)?.camera.name ?? h.camera}</b><span class="tab">${stamp(h.from).slice(5)} – ${hms(h.to)}</span>
    <p class="typed">${h.reason}</p>
    <p class="note">${t('play.evidence.by', { name: h.name, time: when(h.at, now.value) })}${h.size ? ` · ${bytes(h.size)}` : ''}</p>
    ${h.released && html`<p class="note typed">${t('play.evidence.releasedBy', { name: h.releasedBy ?? '', time: when(h.released, now.value), reason: h.releaseReason ?? '' })}</p>`}</div>`;
}

/** @param {{hold: Hold, onClose: () => void}} props */
function ReleaseDialog({ hold, onClose }) {
  const [reason, setReason] = useState('');
  const [key] = useState(newKey);
  const send = async () => {
    await post(`/evidence/${encodeURIComponent(hold.id)}/release`, { id: hold.id, reason: reason.trim() }, { 'Idempotency-Key': key });
    onClose();
  };
  return html`<${Dialog} title=${t('play.release')} testid="release-dialog" onClose=${onClose}>
    <p class="lead">${t('play.release.hint')}</p>
    <${Form} submit=${t('play.release')} onSubmit=${send} onCancel=${onClose}><${Field} label=${t('play.reason')} value=${reason} onValue=${setReason} name="reason" required maxlength="200" autofocus /><//>
  <//>`;
}
