// @ts-check
// All cameras: one, four or nine live pictures at once; who may, adds and changes
// them. At a centre they stand by station.
import { html, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { when } from '../words/times.js';
import { now } from '../state/clock.js';
import { wallSize } from '../state/prefs.js';
import { go, href, route } from '../state/route.js';
import { centre, may } from '../state/session.js';
import { cameraRow, cameras, loaded, nodeName } from '../state/store.js';
import { Player } from '../live/player.js';
import { CameraDialog } from './camera-dialog.js';
import { hasPlayback } from './playback.js';

/** @typedef {import('../records.js').CameraRow} CameraRow */
/** @typedef {import('../records.js').Camera} Camera */

export function Cameras() {
  const [editing, setEditing] = useState(/** @type {Camera|null} */ (null));
  const open = route.value.id;
  const dialog = editing && html`<${CameraDialog} camera=${editing} onClose=${() => setEditing(null)} />`;
  if (open) return html`<${One} id=${open} onEdit=${setEditing} />${dialog}`;
  return html`<${Grid} onEdit=${setEditing} />${dialog}`;
}

/** @param {{onEdit: (c: Camera) => void}} props */
function Grid({ onEdit }) {
  const [page, setPage] = useState(0);
  const [node, setNode] = useState('');
  const rows = [...cameras.value.values()];
  const owners = [...new Set(rows.map((r) => r.camera.node ?? ''))];
  const list = rows
    .filter((r) => !node || (r.camera.node ?? '') === node)
    .sort((a, b) => (a.camera.node ?? '').localeCompare(b.camera.node ?? '') || a.camera.name.localeCompare(b.camera.name, 'zh'));
  const size = wallSize.value;
  const pages = Math.max(1, Math.ceil(list.length / size));
  const at = page % pages;
  const shown = list.slice(at * size, at * size + size);
  return html`<main class="page fill">
    <div class="head"><h1>${t('nav.cameras')}</h1>
      ${centre.value && owners.length > 1 && html`<select aria-label=${t('cameras.station')} value=${node} data-testid="camera-station" onChange=${(/** @type {any} */ e) => {
        setNode(e.currentTarget.value);
        setPage(0);
      }}>
        <option value="">${t('cameras.allStations')}</option>${owners.map((o) => html`<option value=${o}>${nodeName(o) || o}</option>`)}
      </select>`}
      <div class="grow"></div>
      ${pages > 1 && html`<div class="pager">
        <button type="button" aria-label=${t('page.prev')} onClick=${() => setPage(at + pages - 1)}>‹</button><span>${at + 1} / ${pages}</span>
        <button type="button" aria-label=${t('page.next')} onClick=${() => setPage(at + 1)}>›</button></div>`}
      <div class="segments" role="radiogroup" aria-label=${t('cameras.size')}>
        ${[1, 4, 9].map((n) => html`<button type="button" role="radio" aria-checked=${size === n} data-testid=${`wall-${n}`} onClick=${() => {
          wallSize.value = n;
          setPage(0);
        }}>${n}</button>`)}
      </div>
      ${may('configure') && !centre.value && html`<button type="button" class="btn go" data-testid="camera-add" onClick=${() => onEdit({ id: '', name: '', record: true })}>${t('cameras.add')}</button>`}
    </div>
    ${loaded.value && !list.length && html`<div class="empty"><p>${t('cameras.none')}</p><p>${t(centre.value ? 'cameras.none.centre' : 'cameras.none.hint')}</p></div>`}
    <div class="grid g${size}">${shown.map((row) => html`<${Tile} key=${row.camera.id} row=${row} onEdit=${onEdit} />`)}</div>
  </main>`;
}

/** @param {{row: CameraRow, onEdit: (c: Camera) => void}} props */
function Tile({ row, onEdit }) {
  const { camera } = row;
  const foot = html`<a href=${href('cameras', camera.id)}><b>${camera.name}</b><span>${[nodeName(camera.node), camera.place].filter(Boolean).join(' · ')}</span></a>
    ${may('configure') && !centre.value && html`<button type="button" class="btn quiet" data-testid="camera-edit" onClick=${() => onEdit(camera)} aria-label=${t('cameras.edit', { name: camera.name })}>${t('change')}</button>`}`;
  return html`<article class="tile" data-testid="camera-tile">
    ${may('video') ? html`<${Player} camera=${camera.id} node=${camera.node} caption="">${foot}<//>` : html`<p class="empty">${t('video.notAllowed')}</p><footer>${foot}</footer>`}
  </article>`;
}

/** @param {{id: string, onEdit: (c: Camera) => void}} props */
function One({ id, onEdit }) {
  const row = cameraRow(id);
  if (!row) return html`<main class="page"><div class="empty"><p>${t(loaded.value ? 'camera.removed' : 'loading')}</p><p><a href=${href('cameras')}>${t('back')}</a></p></div></main>`;
  const { camera, state } = row;
  /** @type {[string, any][]} */
  const facts = [[t('camera.place'), camera.place || '–']];
  if (nodeName(camera.node)) facts.unshift([t('fact.station'), nodeName(camera.node)]);
  if (state) {
    facts.push([t('fact.state'), `${wordFor(`camera.status.${state.status}`)} · ${t('since', { time: when(state.since, now.value) })}`]);
    if (state.status !== 'online' && state.status !== 'idle' && wordFor(`camera.remedy.${state.status}`)) facts.push([t('fact.remedy'), wordFor(`camera.remedy.${state.status}`)]);
    if (state.width) facts.push([t('camera.picture'), `${state.width} × ${state.height}`]);
  }
  facts.push([t('camera.record'), t(camera.record ? 'yes' : 'no')]);
  return html`<main class="page fill">
    <div class="head"><a class="btn quiet" href=${href('cameras')} onClick=${(/** @type {Event} */ e) => {
      e.preventDefault();
      if (history.length > 1) history.back();
      else go('cameras');
    }}>‹ ${t('back')}</a><h1>${camera.name}</h1><div class="grow"></div>
      ${hasPlayback() && html`<a class="btn" href=${href('playback', camera.id)} data-testid="to-playback">${t('play.open')}</a>`}
      ${may('configure') && !centre.value && html`<button type="button" class="btn" onClick=${() => onEdit(camera)}>${t('change')}</button>`}</div>
    <div class="onecam">
      ${may('video') ? html`<${Player} key=${camera.id} camera=${camera.id} node=${camera.node} testid="live-video" />` : html`<p class="empty">${t('video.notAllowed')}</p>`}
      <section class="card facts"><h2>${t('facts.camera')}</h2><dl>${facts.map(([k, v]) => html`<div key=${k}><dt>${k}</dt><dd>${v}</dd></div>`)}</dl></section>
    </div>
  </main>`;
}
