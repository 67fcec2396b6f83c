// @ts-check
// One camera: its picture, what is known of its streams, the last alarms that it saw,
// and the ways to its record and its set-up.
import { html } from '../html.js';
import { kindWord, t, wordFor } from '../words/words.js';
import { span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { go, href } from '../state/route.js';
import { served } from '../state/served.js';
import { centre, may } from '../state/session.js';
import { alarms, cameraRow, loaded, nodeName } from '../state/store.js';
import { Player } from '../live/player.js';
import { Ptz } from '../live/ptz.js';
import { canTalk, talkName } from '../live/talk-key.js';
import { hasPlayback } from './playback.js';

/** @typedef {import('../records.js').Camera} Camera */

const alarmsMost = 6;

/** @param {{id: string, onEdit: (c: Camera) => void}} props */
export function CameraPage({ id, onEdit }) {
  const row = cameraRow(id);
  if (!row) return html`<main class="page"><div class="empty"><p>${t(loaded.value ? 'camera.removed' : 'loading')}</p><p><a href=${href('cameras')}>${t('back')}</a></p></div></main>`;
  const { camera } = row;
  return html`<main class="page fill">
    <div class="head"><a class="btn quiet" href=${href('cameras')} onClick=${(/** @type {Event} */ e) => {
      e.preventDefault();
      if (history.length > 1) history.back();
      else go('cameras');
    }}>‹ ${t('back')}</a><h1>${camera.name}</h1>${camera.owner && html`<span class="tag">${[wordFor(`camera.owner.${camera.owner}`), camera.ownerName].filter(Boolean).join(' · ')}</span>`}<div class="grow"></div>
      ${may('video') && !camera.node && served('/cameras/{id}/snapshot') && html`<a class="btn" href=${`/api/v1/cameras/${encodeURIComponent(camera.id)}/snapshot`} download=${`${camera.id}`} title=${t('camera.snapshot.hint')} data-testid="camera-snapshot">${t('play.snapshot')}</a>`}
      ${hasPlayback() && html`<a class="btn" href=${href('playback', camera.id)} data-testid="to-playback">${t('play.open')}</a>`}
      ${may('configure') && !centre.value && html`<button type="button" class="btn" onClick=${() => onEdit(camera)}>${t('change')}</button>`}</div>
    <div class="onecam">
      ${may('video') ? html`<${Player} key=${camera.id} camera=${camera.id} node=${camera.node} testid="live-video" />` : html`<p class="empty">${t('video.notAllowed')}</p>`}
      <div class="camside">${may('video') && camera.onvif && html`<section class="card"><${Ptz} key=${camera.id} camera=${camera.id} own=${!camera.node} /></section>`}<${Facts} row=${row} /><${Seen} camera=${camera} /></div>
    </div>
  </main>`;
}

/** @param {{row: import('../records.js').CameraRow}} props */
function Facts({ row: { camera, state } }) {
  /** @type {[string, any][]} */
  const facts = [[t('camera.place'), camera.place || '–']];
  if (nodeName(camera.node)) facts.unshift([t('fact.station'), nodeName(camera.node)]);
  if (state) {
    facts.push([t('fact.state'), `${wordFor(`camera.status.${state.status}`)} · ${t('since', { time: when(state.since, now.value) })}`]);
    if (state.status !== 'online' && state.status !== 'idle' && wordFor(`camera.remedy.${state.status}`)) facts.push([t('fact.remedy'), wordFor(`camera.remedy.${state.status}`)]);
    if (state.width) facts.push([t('camera.picture'), picture(state)]);
    if (state.sub?.status) facts.push([t('camera.sub'), [wordFor(`camera.status.${state.sub.status}`), picture(state.sub)].filter(Boolean).join(' · ')]);
    facts.push([t('camera.sound'), state.sound || t('no')]);
    if (!camera.node) facts.push([t('talk'), !state.talk ? t('talk.none') : t(canTalk(state.talk) ? 'talk.takes' : 'talk.takesNot', { codec: talkName(state.talk) })]);
    const off = Math.round((state.clockOffset ?? 0) / 1e9);
    if (Math.abs(off) > 2) facts.push([t('camera.clock'), html`<span class=${Math.abs(off) > 60 ? 'warn' : ''}>${t(off > 0 ? 'camera.clock.fast' : 'camera.clock.slow', { span: span(Math.abs(off) * 1000) })}</span>`]);
  }
  if (!camera.node) {
    if (!state?.sub?.status) facts.push([t('camera.sub'), t(camera.sub ? 'camera.sub.yes' : 'camera.sub.no')]);
    facts.push([t('camera.record'), t(camera.record ? 'yes' : 'no')]);
  }
  if (camera.roles?.length) facts.push([t('camera.roles'), camera.roles.map((r) => wordFor(`role.${r}`) || r).join(t('comma'))]);
  if (camera.withheld) facts.push([t('camera.withheld'), t('yes')]);
  return html`<section class="card facts"><h2>${t('facts.camera')}</h2><dl>${facts.map(([k, v]) => html`<div key=${k}><dt>${k}</dt><dd>${v}</dd></div>`)}</dl></section>`;
}

/** @param {{codec?: string, width?: number, height?: number}} s */
const picture = (s) => (s.width ? [s.codec, `${s.width} × ${s.height}`].filter(Boolean).join(' · ') : '');

/** The last alarms that it saw. @param {{camera: Camera}} props */
function Seen({ camera }) {
  const list = [...alarms.value.values()].filter((a) => a.cameras?.includes(camera.id)).sort((a, b) => (a.raisedAt < b.raisedAt ? 1 : -1)).slice(0, alarmsMost);
  return html`<section class="card"><h2>${t('camera.alarms')}</h2>
    ${list.length ? html`<ul class="rows">${list.map((a) => html`<li key=${a.id}><div><a href=${href('records', a.id)}><b>${kindWord(a.kind)}</b></a><p>${a.place || a.name}</p></div><time>${when(a.raisedAt, now.value)}</time></li>`)}</ul>` : html`<p class="note">${t('camera.alarms.none')}</p>`}</section>`;
}
