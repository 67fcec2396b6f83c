// @ts-check
// All cameras as a table for whoever sets them up: how each is, and what to do.
import { html, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { post, Problem, put } from '../state/api.js';
import { cameras, loadAll, loaded } from '../state/store.js';
import { go } from '../state/route.js';
import { Findings } from '../ui/findings.js';
import { Dialog } from '../ui/dialog.js';
import { CameraDialog } from './camera-dialog.js';
import { CameraFind } from './camera-find.js';
import { CSVImport } from './import.js';

/** @typedef {import('../records.js').Camera} Camera */

export function CameraSetup() {
  const [editing, setEditing] = useState(/** @type {{camera: Camera, password?: string}|null} */ (null));
  const [finding, setFinding] = useState(false);
  const [probed, setProbed] = useState(/** @type {Camera|null} */ (null));
  const rows = [...cameras.value.values()].filter((r) => !r.camera.node).sort((a, b) => a.camera.name.localeCompare(b.camera.name, 'zh'));
  return html`<p class="row"><button type="button" class="btn go" data-testid="setup-find" onClick=${() => setFinding(true)}>${t('find.start')}</button>
      <button type="button" class="btn" data-testid="setup-add" onClick=${() => setEditing({ camera: { id: '', name: '', record: true } })}>${t('cameras.byHand')}</button></p>
    ${loaded.value && !rows.length && html`<div class="empty"><p>${t('cameras.none')}</p><p>${t('cameras.none.hint')}</p></div>`}
    ${rows.length > 0 && html`<table class="list card below" data-testid="camera-table"><thead><tr><th>${t('camera.name')}</th><th>${t('fact.state')}</th><th>${t('camera.picture')}</th><th>${t('camera.recording')}</th><th>${t('camera.owner')}</th><th></th></tr></thead>
      <tbody>${rows.map(({ camera: c, state: st }) => html`<tr key=${c.id} data-testid="camera-row"><td><b>${c.name}</b><small>${[c.place, c.recorder && t('recorder')].filter(Boolean).join(' · ')}${c.recorder && html` <span class="typed">${c.channel}</span>`}</small></td>
        <td class=${st && st.status !== 'online' && st.status !== 'idle' ? 'warn' : ''}>${st ? wordFor(`camera.status.${st.status}`) : '–'}</td>
        <td>${st?.width ? `${st.codec ?? ''} ${st.width}×${st.height}` : '–'}${c.sub && html`<small>${t('camera.hasSub')}</small>`}</td>
        <td>${wordFor(`camera.recording.${c.record ? c.recording || 'always' : 'no'}`)}</td>
        <td>${wordFor(`camera.owner.${c.owner || 'none'}`)}${c.ownerName && html`<small>${c.ownerName}</small>`}</td>
        <td class="end"><button type="button" class="btn quiet" data-testid="row-probe" onClick=${() => setProbed(c)}>${t('probe')}</button><button type="button" class="btn quiet" data-testid="row-edit" onClick=${() => setEditing({ camera: c })}>${t('change')}</button></td></tr>`)}</tbody></table>`}
    ${finding && html`<${CameraFind} onClose=${() => setFinding(false)} onRecorder=${() => go('setup', 'recorders')} onChosen=${(/** @type {Camera} */ camera, /** @type {string} */ password) => {
      setFinding(false);
      setEditing({ camera, password });
    }} />`}
    ${editing && html`<${CameraDialog} camera=${editing.camera} password=${editing.password} onClose=${() => setEditing(null)} />`}
    ${probed && html`<${Probed} camera=${probed} onClose=${() => setProbed(null)} />`}`;
}

/** @param {{camera: Camera, onClose: () => void}} props */
function Probed({ camera, onClose }) {
  const [list, setList] = useState(/** @type {any[]|null} */ (null));
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState('');
  const run = async () => {
    setBusy(true);
    setSaid('');
    try {
      setList((await post(`/cameras/${encodeURIComponent(camera.id)}/probe`)).findings);
    } catch (err) {
      setSaid(err instanceof Problem ? `${err.message} ${err.hint}` : String(err));
    } finally {
      setBusy(false);
    }
  };
  // What it detects becomes a sensor: rules, hours and films are those of any.
  const sensor = async () => {
    try {
      await put(`/sensors/${encodeURIComponent(`${camera.id}-detects`.slice(0, 64))}`, {
        id: `${camera.id}-detects`.slice(0, 64), name: t('camera.detects.name', { name: camera.name }).slice(0, 60), place: camera.place || camera.name, class: 'motion', adopted: true, silentAfter: -1,
        source: { broker: 'onvif', family: 'onvif', topic: `onvif/${camera.id}`, device: camera.id }, cameras: [camera.id],
      });
      await loadAll();
      setSaid(t('camera.detects.done'));
    } catch (err) {
      setSaid(err instanceof Problem ? `${err.message} ${err.hint}` : String(err));
    }
  };
  return html`<${Dialog} wide title=${t('probe.title', { name: camera.name })} testid="probe-dialog" onClose=${onClose}>
    <p class="lead">${t('probe.lead')}</p>
    <p class="row"><button type="button" class="btn go" disabled=${busy} data-testid="probe-run" onClick=${run}>${t(busy ? 'probe.running' : 'probe')}</button>
      ${camera.onvif && html`<button type="button" class="btn" data-testid="camera-detects" onClick=${sensor}>${t('camera.detects')}</button>`}</p>
    ${said && html`<p role="status">${said}</p>`}
    ${list && html`<${Findings} list=${list} />`}
  <//>`;
}

export const CameraImport = () => html`<${CSVImport} path="/cameras.csv" lead=${t('import.cameras.lead')} />`;
