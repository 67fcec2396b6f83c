// @ts-check
// Seeing it: the live picture beside the film of the moment, the plan with the
// dot, what was measured. Pictures are shown whole (a cropped one hides what
// happens at its edge). What does not exist gives its room away.
import { html, signal, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { may } from '../state/session.js';
import { cameraRow, plans, sensorRow } from '../state/store.js';
import { ClipView } from '../live/clip.js';
import { PlanPicture } from '../live/plan.js';
import { Player } from '../live/player.js';
import { href } from '../state/route.js';
import { Before } from './before.js';
import { Incident } from './incident.js';
import { Measured } from './measured.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */
/** @typedef {import('../live/plan.js').Mark} Mark */

const othersMost = 3;

/** Whether the live picture has the whole room (V). */
export const enlarged = signal(false);

/** The cameras that see it and still exist. @param {Alarm} alarm */
const eyes = (alarm) => (may('video') ? (alarm.cameras ?? []).filter((id) => cameraRow(id, alarm.node) !== null) : []);
/** @param {Alarm} alarm */
const filmed = (alarm) => Boolean(alarm.clip) && may('video');

/** Where it is, and on which plan; null where nobody has said so. @param {Alarm} alarm @param {AlarmDetail|null} detail */
function placed(alarm, detail) {
  const at = (sensorRow(alarm.sensor, alarm.node)?.sensor ?? detail?.sensor?.sensor)?.position;
  const plan = at ? (plans.value.get(at.plan) ?? (detail?.plan?.id === at.plan ? detail.plan : null)) : null;
  return at && plan?.picture ? { at, plan } : null;
}

/** @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function Views({ alarm, detail }) {
  const [front, setFront] = useState('');
  useEffect(() => {
    enlarged.value = false;
  }, [alarm.id]);
  const ids = eyes(alarm);
  const first = ids.includes(front) ? front : ids[0];
  const others = ids.filter((id) => id !== first).slice(0, othersMost);
  const spot = placed(alarm, detail);
  const film = filmed(alarm);
  const plan = spot && html`<${Spot} alarm=${alarm} spot=${spot} eye=${first} />`;
  const side = html`<div class="rest side"><${Incident} alarm=${alarm} detail=${detail} /><${Measured} alarm=${alarm} detail=${detail} /><${Before} alarm=${alarm} /></div>`;
  if (!first && !film) {
    return html`<div class="views ${plan ? 'blind' : 'none'}">${plan && html`<div class="left">${plan}</div>`}
      <div class="right"><${NoPicture} alarm=${alarm} />${side}</div></div>`;
  }
  return html`<div class="views ${enlarged.value && first ? 'large' : ''}">
    <div class="left">
      <div class="stage">${first
        ? html`<${Player} key=${first} camera=${first} node=${alarm.node} testid="live-video"><${Eyes} alarm=${alarm} others=${others} onFront=${setFront} /><//>`
        : html`<${ClipView} clip=${detail?.clip ?? null} alarm=${alarm} />`}</div>
      ${plan ?? html`<div class="rest side"><${Measured} alarm=${alarm} detail=${detail} /></div>`}
    </div>
    <div class="right">
      ${first && film && html`<div class="film"><${ClipView} clip=${detail?.clip ?? null} alarm=${alarm} /></div>`}
      ${plan ? side : html`<div class="rest side"><${Incident} alarm=${alarm} detail=${detail} /><${Before} alarm=${alarm} /></div>`}
    </div>
  </div>`;
}

/** The other cameras by name, and the size of the picture. @param {{alarm: Alarm, others: string[], onFront: (id: string) => void}} props */
function Eyes({ alarm, others, onFront }) {
  return html`${alarm.unseen ? html`<span class="note">${t('views.unseen', { n: alarm.unseen })}</span>` : null}${others.map((id) => html`<button type="button" class="eye" key=${id} data-testid="eye" onClick=${() => onFront(id)}>${cameraRow(id, alarm.node)?.camera.name}</button>`)}
    <button type="button" class="eye" data-testid="enlarge" aria-pressed=${enlarged.value} onClick=${() => (enlarged.value = !enlarged.value)}>${t(enlarged.value ? 'views.smaller' : 'views.larger')}<kbd>V</kbd></button>`;
}

/** The plan with the dot, and the camera that sees it. @param {{alarm: Alarm, spot: {at: import('../records.js').Position, plan: import('../records.js').Plan}, eye?: string}} props */
function Spot({ alarm, spot, eye }) {
  const camera = eye ? cameraRow(eye, alarm.node)?.camera : null;
  /** @type {Mark[]} */
  const marks = [];
  if (camera?.position?.plan === spot.plan.id) marks.push({ id: camera.id, kind: 'camera', x: camera.position.x, y: camera.position.y, state: 'ok', name: camera.name });
  const state = alarm.test ? 'test' : alarm.state === 'cleared' ? 'ok' : 'live';
  marks.push({ id: alarm.sensor ?? '', kind: 'sensor', x: spot.at.x, y: spot.at.y, state, name: alarm.place || alarm.name, here: true });
  return html`<section class="card spot"><h2>${[spot.plan.name, spot.plan.floor].filter(Boolean).join(' · ')}</h2>
    <${PlanPicture} plan=${spot.plan.id} version=${spot.plan.picture?.digest} name=${spot.plan.name} marks=${marks} testid="spot" /></section>`;
}

/** Why there is no picture, and how to get one next time. @param {{alarm: Alarm}} props */
function NoPicture({ alarm }) {
  if (!may('video')) return html`<p class="nocamera note">${t('video.notAllowed')}</p>`;
  if (alarm.kind === 'camera' || !alarm.sensor) return html`<p class="nocamera"><strong>${alarm.name}</strong></p>`;
  if (alarm.unseen) return html`<p class="nocamera" data-testid="unseen"><strong>${t('views.unseen', { n: alarm.unseen })}</strong></p>`;
  return html`<p class="nocamera" data-testid="no-camera"><strong>${t('views.noCamera')}</strong>${may('configure') && html`<a href=${href('sensors', alarm.sensor)}>${t('views.tieCamera')}</a>`}</p>`;
}
