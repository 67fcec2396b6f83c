// @ts-check
// The video wall: one, four, nine or sixteen cameras by their smaller streams. Enter
// or a double click makes one large; its main stream is dialled behind the picture
// that runs and takes its place with its first picture. What nobody sees hangs up.
import { html, useEffect, useRef, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { wallOf, wallSize } from '../state/prefs.js';
import { href } from '../state/route.js';
import { centre, display, may } from '../state/session.js';
import { cameraRow, cameras, loaded, nodeName } from '../state/store.js';
import { groups, useWalls, walls } from '../state/walls.js';
import { Player } from '../live/player.js';
import { WallDialog } from './wall-dialog.js';

/** @typedef {import('../records.js').CameraRow} CameraRow */
/** @typedef {import('../records.js').Camera} Camera */

const layouts = [1, 4, 9, 16];
const unseenAfter = 15_000; // how long pictures that nobody sees are kept

/** @param {CameraRow} a @param {CameraRow} b */
const byName = (a, b) => (a.camera.node ?? '').localeCompare(b.camera.node ?? '') || a.camera.name.localeCompare(b.camera.name, 'zh', { numeric: true });

/** What a choice shows: "group:ID", "place:3号楼", "owner:police", "node:ID", "wall:ID"; empty is all. @param {string} of */
function tilesOf(of) {
  const at = of.indexOf(':');
  const kind = of.slice(0, at);
  const id = of.slice(at + 1);
  const wall = kind === 'wall' ? walls.value.find((w) => w.id === id) : null;
  if (wall) return wall.cameras;
  const group = kind === 'group' ? groups.value.find((g) => g.id === id) : null;
  if (group) return group.cameras;
  return [...cameras.value.values()]
    .filter(({ camera }) => (kind === 'place' ? placeOf(camera) === id : kind === 'owner' ? (camera.owner || 'own') === id : kind === 'node' ? camera.node === id : true))
    .sort(byName)
    .map((r) => r.camera.id);
}

/** The building or street that a camera's place begins with. @param {Camera} c */
const placeOf = (c) => (c.place ?? '').split(/[\s·]/)[0];

/** Whether the page has been out of sight for a while. */
function useHidden() {
  const [hidden, setHidden] = useState(false);
  useEffect(() => {
    let timer = 0;
    const look = () => {
      clearTimeout(timer);
      if (document.hidden) timer = setTimeout(() => setHidden(true), unseenAfter);
      else setHidden(false);
    };
    document.addEventListener('visibilitychange', look);
    return () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, []);
  return hidden;
}

/** @param {{onEdit: (c: Camera) => void}} props */
export function WallPage({ onEdit }) {
  useWalls();
  const [page, setPage] = useState(0);
  const [at, setAt] = useState(0);
  const [focus, setFocus] = useState('');
  const [covered, setCovered] = useState(false);
  const [editing, setEditing] = useState(false);
  const grid = useRef(/** @type {HTMLElement|null} */ (null));
  const hidden = useHidden();
  const size = wallSize.value;
  const all = tilesOf(wallOf.value);
  const pages = Math.max(1, Math.ceil(all.length / size));
  const now = Math.min(page, pages - 1);
  const shown = all.slice(now * size, now * size + size);

  useEffect(() => {
    setCovered(false);
    if (!focus) return;
    const timer = setTimeout(() => setCovered(true), unseenAfter);
    return () => clearTimeout(timer);
  }, [focus]);
  const full = useFullScreen();

  /** @param {number} i */
  const choose = (i) => {
    const to = Math.max(0, Math.min(shown.length - 1, i));
    setAt(to);
    /** @type {HTMLElement|null|undefined} */ (grid.current?.querySelectorAll('.tile')[to])?.focus();
  };
  /** @param {KeyboardEvent} e */
  const onKey = (e) => {
    if (/** @type {HTMLElement} */ (e.target).closest('select, input, dialog, .head')) return;
    const side = Math.sqrt(size);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -side, ArrowDown: side }[e.key];
    if (step && !focus) choose(at + step);
    else if (e.key === 'Enter' && !focus) setFocus(shown[at] ?? '');
    else if (e.key === 'Escape' && focus) setFocus('');
    else if (e.key === 'PageDown') setPage((now + 1) % pages);
    else if (e.key === 'PageUp') setPage((now + pages - 1) % pages);
    else if (e.key === 'f' || e.key === 'F') full.toggle();
    else return;
    e.preventDefault();
  };

  return html`<main class="page fill wallpage" onKeyDown=${onKey}>
    <div class="head"><h1>${t('nav.cameras')}</h1>
      <${Choice} onChange=${() => {
        setPage(0);
        setFocus('');
      }} />
      <nav class="subnav" aria-label=${t('nav.cameras')}><a href=${href('tours')} data-testid="to-tours">${t('nav.tours')}</a><a href=${href('patrols')} data-testid="to-patrols">${t('nav.patrols')}</a></nav>
      <div class="grow"></div>
      ${pages > 1 && html`<div class="pager">
        <button type="button" aria-label=${t('page.prev')} onClick=${() => setPage((now + pages - 1) % pages)}>‹</button><span>${now + 1} / ${pages}</span>
        <button type="button" aria-label=${t('page.next')} onClick=${() => setPage((now + 1) % pages)}>›</button></div>`}
      <div class="segments" role="radiogroup" aria-label=${t('cameras.size')}>
        ${layouts.map((n) => html`<button type="button" role="radio" key=${n} aria-checked=${size === n} data-testid=${`wall-${n}`} onClick=${() => {
          wallSize.value = n;
          setPage(0);
          setFocus('');
        }}>${n}</button>`)}
      </div>
      ${may('answer') && !display.value && html`<button type="button" class="btn" data-testid="wall-arrange" onClick=${() => setEditing(true)}>${t('videowall.arrange')}</button>`}
      <button type="button" class="btn" data-testid="wall-full" onClick=${full.toggle}>${t('videowall.full')}<kbd>F</kbd></button>
      ${may('configure') && !centre.value && html`<button type="button" class="btn go" data-testid="camera-add" onClick=${() => onEdit({ id: '', name: '', record: true })}>${t('cameras.add')}</button>`}
    </div>
    ${loaded.value && !all.length && html`<div class="empty"><p>${t('cameras.none')}</p><p>${t(centre.value ? 'cameras.none.centre' : 'cameras.none.hint')}</p></div>`}
    <div class="grid g${size} ${focus ? 'focused' : ''}" ref=${grid} data-testid="videowall">
      ${shown.map((id, i) => html`<${Tile} key=${id || `empty-${i}`} id=${id} size=${size} chosen=${i === Math.min(at, shown.length - 1)} large=${focus !== '' && focus === id} away=${hidden || (covered && focus !== id)}
        onChoose=${() => setAt(i)} onFocus=${() => setFocus(focus === id ? '' : id)} onEdit=${onEdit} />`)}
    </div>
    ${editing && html`<${WallDialog} start=${all} size=${size} onClose=${() => setEditing(false)} />`}
  </main>`;
}

/** Which cameras: all, by station, group, place, owner, or a saved wall. @param {{onChange: () => void}} props */
function Choice({ onChange }) {
  const rows = [...cameras.value.values()];
  const places = [...new Set(rows.map((r) => placeOf(r.camera)).filter(Boolean))].sort((a, b) => a.localeCompare(b, 'zh', { numeric: true }));
  const owners = [...new Set(rows.map((r) => r.camera.owner || 'own'))];
  const nodes = [...new Set(rows.map((r) => r.camera.node ?? ''))].filter(Boolean);
  /** @param {string} label @param {[string, string][]} list */
  const part = (label, list) => list.length > 0 && html`<optgroup label=${label}>${list.map(([v, text]) => html`<option key=${v} value=${v} selected=${v === wallOf.value}>${text}</option>`)}</optgroup>`;
  return html`<select aria-label=${t('videowall.which')} data-testid="wall-which" value=${wallOf.value} onChange=${(/** @type {any} */ e) => {
    wallOf.value = e.currentTarget.value;
    const wall = walls.value.find((w) => `wall:${w.id}` === wallOf.value);
    if (wall) wallSize.value = wall.layout;
    onChange();
  }}>
    <option value="" selected=${wallOf.value === ''}>${t('videowall.all')}</option>
    ${part(t('videowall.saved'), walls.value.map((w) => [`wall:${w.id}`, w.name]))}
    ${part(t('videowall.groups'), groups.value.map((g) => [`group:${g.id}`, g.name]))}
    ${part(t('cameras.station'), centre.value && nodes.length > 1 ? nodes.map((n) => [`node:${n}`, nodeName(n) || n]) : [])}
    ${part(t('videowall.places'), places.length > 1 ? places.map((p) => [`place:${p}`, p]) : [])}
    ${part(t('videowall.owners'), owners.length > 1 ? owners.map((o) => [`owner:${o}`, wordFor(`camera.owner.${o}`) || o]) : [])}
  </select>`;
}

/** @param {{id: string, size: number, chosen: boolean, large: boolean, away: boolean, onChoose: () => void, onFocus: () => void, onEdit: (c: Camera) => void}} props */
function Tile({ id, size, chosen, large, away, onChoose, onFocus, onEdit }) {
  const row = id ? cameraRow(id) : null;
  if (!row) return html`<article class="tile vacant" aria-hidden="true"></article>`;
  const { camera } = row;
  const small = size >= 9 && !large;
  const foot = html`<a href=${href('cameras', camera.id)} tabindex="-1"><b>${camera.name}</b><span>${[nodeName(camera.node), camera.place].filter(Boolean).join(' · ')}</span></a>
    ${large && html`<button type="button" class="btn quiet" data-testid="wall-back" onClick=${onFocus}>${t('videowall.back')}<kbd>Esc</kbd></button>`}
    ${!small && may('configure') && !centre.value && html`<button type="button" class="btn quiet" data-testid="camera-edit" onClick=${() => onEdit(camera)} aria-label=${t('cameras.edit', { name: camera.name })}>${t('change')}</button>`}`;
  return html`<article class="tile ${small ? 'small' : ''} ${large ? 'large' : ''}" data-testid="camera-tile" data-camera=${camera.id} tabindex=${chosen ? 0 : -1} aria-label=${t('videowall.tile', { name: camera.name })}
    onFocus=${onChoose} onDblClick=${onFocus}>
    ${may('video')
      ? html`<${Player} camera=${camera.id} node=${camera.node} caption="" compact=${small} advise role=${large || size === 1 ? 'focus' : 'wall'} away=${away}>${foot}<//>`
      : html`<p class="empty">${t('video.notAllowed')}</p><footer>${foot}</footer>`}
  </article>`;
}

/** The whole screen, without the bar; the strip that calls stays. */
function useFullScreen() {
  useEffect(() => {
    const mark = () => document.documentElement.classList.toggle('whole', document.fullscreenElement !== null);
    document.addEventListener('fullscreenchange', mark);
    return () => {
      document.removeEventListener('fullscreenchange', mark);
      document.documentElement.classList.remove('whole');
      if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
    };
  }, []);
  return {
    toggle: () => {
      if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
      else document.documentElement.requestFullscreen?.().catch(() => {});
    },
  };
}
