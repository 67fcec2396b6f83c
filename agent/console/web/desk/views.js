// @ts-check
// Seeing it: the live picture as large as the desk allows and whole (a cropped
// picture hides what happens at its edge); beneath it what was measured and the
// other cameras; the film of the moment beside it. What does not exist gives its
// room away.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { may } from '../state/session.js';
import { cameraRow } from '../state/store.js';
import { ClipView } from '../live/clip.js';
import { Player } from '../live/player.js';
import { href } from '../state/route.js';
import { Before } from './before.js';
import { Measured, Readings } from './measured.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */

const othersMost = 2;

/** The cameras that see it and still exist. @param {Alarm} alarm */
const eyes = (alarm) => (may('video') ? (alarm.cameras ?? []).filter((id) => cameraRow(id, alarm.node) !== null) : []);
/** @param {Alarm} alarm */
const filmed = (alarm) => Boolean(alarm.clip) && may('video');

/** @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function Views({ alarm, detail }) {
  const [front, setFront] = useState('');
  const ids = eyes(alarm);
  const first = ids.includes(front) ? front : ids[0];
  const others = ids.filter((id) => id !== first).slice(0, othersMost);
  if (!first && !filmed(alarm)) {
    return html`<div class="views none"><${Measured} alarm=${alarm} detail=${detail} /><${Before} alarm=${alarm} /><${NoPicture} alarm=${alarm} /></div>`;
  }
  return html`<div class="views">
    <div class="stage">${first
      ? html`<${Player} key=${first} camera=${first} node=${alarm.node} testid="live-video" />`
      : html`<${ClipView} clip=${detail?.clip ?? null} alarm=${alarm} />`}</div>
    <div class="strip">
      <${Readings} alarm=${alarm} detail=${detail} />
      ${others.map((id) => html`<button type="button" class="thumb" key=${id} onClick=${() => setFront(id)}
        aria-label=${t('views.enlarge', { name: cameraRow(id, alarm.node)?.camera.name })}><${Player} camera=${id} node=${alarm.node} compact /></button>`)}
    </div>
  </div>`;
}

/** The film, beside the live picture. @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function Film({ alarm, detail }) {
  if (!filmed(alarm) || !eyes(alarm).length) return null; // without a camera it has the stage itself
  return html`<div class="film"><${ClipView} clip=${detail?.clip ?? null} alarm=${alarm} /></div>`;
}

/** Why there is no picture, and how to get one next time. @param {{alarm: Alarm}} props */
function NoPicture({ alarm }) {
  if (!may('video')) return html`<p class="note">${t('video.notAllowed')}</p>`;
  if (alarm.kind === 'camera' || !alarm.sensor) return html`<p class="note big">${alarm.name}</p>`;
  return html`<p class="note">${t('views.noCamera')} ${may('configure') && html`<a href=${href('sensors', alarm.sensor)}>${t('views.tieCamera')}</a>`}</p>`;
}
