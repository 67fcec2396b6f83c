// @ts-check
// Seeing it: live large and whole (a cropped picture hides what happens at its
// edge), beneath it what was measured; beside it the film of the moment and the
// other cameras. What does not exist gives its room away.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { may } from '../state/session.js';
import { cameraRow } from '../state/store.js';
import { ClipView } from '../live/clip.js';
import { Player } from '../live/player.js';
import { href } from '../state/route.js';
import { Before } from './before.js';
import { Measured } from './measured.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */

const othersMost = 2;

/** @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function Views({ alarm, detail }) {
  const [front, setFront] = useState('');
  const ids = (alarm.cameras ?? []).filter((id) => cameraRow(id, alarm.node) !== null);
  const first = ids.includes(front) ? front : ids[0];
  const others = ids.filter((id) => id !== first).slice(0, othersMost);
  const clip = alarm.clip && may('video') ? html`<div class="stage"><${ClipView} clip=${detail?.clip ?? null} alarm=${alarm} /></div>` : null;
  const measured = html`<${Measured} alarm=${alarm} detail=${detail} />`;
  const before = html`<${Before} alarm=${alarm} />`;
  if (!may('video') || (!first && !clip)) {
    return html`<div class="views none">${measured}${before}<${NoPicture} alarm=${alarm} /></div>`;
  }
  if (!first) return html`<div class="views"><div class="front">${clip}${measured}${before}</div></div>`;
  return html`<div class="views ${clip || others.length ? 'pair' : ''}">
    <div class="front">
      <div class="stage"><${Player} key=${first} camera=${first} node=${alarm.node} testid="live-video" /></div>
      ${measured}${others.length > 0 || !clip ? before : null}
    </div>
    ${(clip || others.length > 0) && html`<div class="beside">
      ${clip}
      ${others.map((id) => html`<div class="stage" key=${id}><${Player} camera=${id} node=${alarm.node} compact />
        <button type="button" class="enlarge" aria-label=${t('views.enlarge', { name: cameraRow(id, alarm.node)?.camera.name })} onClick=${() => setFront(id)}>⤢</button></div>`)}
      ${others.length === 0 ? before : null}
    </div>`}
  </div>`;
}

/** Why there is no picture, and how to get one next time. @param {{alarm: Alarm}} props */
function NoPicture({ alarm }) {
  if (!may('video')) return html`<p class="note">${t('video.notAllowed')}</p>`;
  if (alarm.kind === 'camera' || !alarm.sensor) return html`<p class="note big">${alarm.name}</p>`;
  return html`<p class="note">${t('views.noCamera')} ${may('configure') && html`<a href=${href('sensors', alarm.sensor)}>${t('views.tieCamera')}</a>`}</p>`;
}
