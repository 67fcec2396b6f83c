// @ts-check
// Seeing it: live large, the film of the moment beside it, then the other
// cameras, then what was measured. There is no empty frame: what does not exist
// gives its room away.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { may } from '../state/session.js';
import { cameraRow } from '../state/store.js';
import { ClipView } from '../live/clip.js';
import { Player } from '../live/player.js';
import { href } from '../state/route.js';
import { Measured } from './measured.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */

const othersMost = 2;

/** @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
export function Views({ alarm, detail }) {
  const [front, setFront] = useState('');
  const ids = (alarm.cameras ?? []).filter((id) => cameraRow(id, alarm.node) !== null);
  const first = ids.includes(front) ? front : ids[0];
  const others = ids.filter((id) => id !== first);
  if (!may('video')) return html`<div class="views none"><${Measured} alarm=${alarm} detail=${detail} note=${t('video.notAllowed')} /></div>`;
  const clip = alarm.clip ? html`<${ClipView} clip=${detail?.clip ?? null} alarm=${alarm} />` : null;
  if (!first && !clip) {
    const note = alarm.kind === 'camera' || !alarm.sensor ? '' : t('views.noCamera');
    return html`<div class="views none"><${Measured} alarm=${alarm} detail=${detail} note=${note}
      link=${note && may('configure') ? { to: href('sensors', alarm.sensor), word: t('views.tieCamera') } : null} /></div>`;
  }
  const shown = others.slice(0, othersMost);
  return html`<div class="views ${first ? 'withlive' : 'cliponly'}">
    ${first && html`<div class="main"><${Player} key=${first} camera=${first} node=${alarm.node} testid="live-video" /></div>`}
    <div class="beside">
      ${clip}
      ${shown.length > 0 && html`<div class="others n${shown.length}">
        ${shown.map((id) => html`<div class="swap" key=${id}><${Player} camera=${id} node=${alarm.node} compact />
          <button type="button" class="enlarge" aria-label=${t('views.enlarge', { name: cameraRow(id, alarm.node)?.camera.name })} onClick=${() => setFront(id)}>⤢</button></div>`)}
      </div>`}
      ${(!clip || !shown.length) && html`<${Measured} alarm=${alarm} detail=${detail} />`}
    </div>
  </div>`;
}
