// @ts-check
// How the station is: each lamp as a sentence with its remedy, then the line, the
// storage, the cameras, and what lets devices in.
import { html } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { bytes, room, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { href } from '../state/route.js';
import { centre, may } from '../state/session.js';
import { cameras, nodeName, status } from '../state/store.js';
import { lampRemedy, lampSentence, lampWord } from '../ui/lamps.js';
import { Brokers } from './brokers.js';
import { Devices } from './devices.js';
import { LineUse } from './line.js';
import { LineTests } from './line-tests.js';
import { Lines } from './lines.js';
import { Viewers } from './viewers.js';

/** @typedef {import('../records.js').Status} Status */

export function Health() {
  const s = status.value;
  if (!s) return html`<main class="page"><div class="empty"><p>${t('loading')}</p></div></main>`;
  return html`<main class="page"><div class="head"><h1>${t('nav.health')}</h1></div>
    <div class="columns">
      <div><section class="card"><h2>${t('lamps')}</h2><ul class="remedies" data-testid="health-lamps">${s.lamps.map((l) => html`<li key=${l.id} class=${l.state}>
        <i class="light ${l.state}"></i><div><b>${lampWord(l)}</b><p>${lampSentence(l)}</p>${lampRemedy(l) && html`<p class="remedy">${t('fact.remedy')}：${lampRemedy(l)}</p>`}</div></li>`)}</ul></section>
      <${Lost} />${may('configure') && html`<${Viewers} />`}</div>
      <div><${Lines} s=${s} />${s.uplink && html`<${LineUse} /><${LineTests} />`}<${Storage} s=${s} /></div>
      ${!centre.value && may('configure') && html`<div><${Brokers} /><${Devices} /></div>`}
    </div></main>`;
}

/** @param {{s: Status}} props */
function Storage({ s }) {
  const d = s.storage;
  if (!d) return null;
  const used = d.total ? (d.total - d.free) / d.total : 0;
  return html`<section class="card"><h2>${t('storage')}</h2>
    <meter min="0" max="1" low="0.85" high="0.95" optimum="0.2" value=${used} aria-label=${t('storage')}></meter>
    <dl class="facts">
      <div><dt>${t('storage.free')}</dt><dd>${bytes(d.free)} / ${bytes(d.total)}</dd></div>
      ${d.videoBytes !== undefined && html`<div><dt>${t('storage.video')}</dt><dd>${bytes(d.videoBytes)}</dd></div>`}
      ${d.oldestVideo && html`<div><dt>${t('storage.oldest')}</dt><dd>${when(d.oldestVideo, now.value)}</dd></div>`}
      ${room(d.daysLeft) && html`<div><dt>${t('storage.days')}</dt><dd>${room(d.daysLeft)}</dd></div>`}
    </dl></section>`;
}

/** Cameras that give no picture, each with why and what to do. */
function Lost() {
  const rows = [...cameras.value.values()].filter((r) => r.state && r.state.status !== 'online' && r.state.status !== 'idle');
  if (!rows.length) return null;
  return html`<section class="card"><h2>${t('health.cameras')}</h2><ul class="remedies">${rows.map(({ camera, state }) => html`<li key=${camera.id}>
    <i class="light ${state?.status === 'connecting' ? 'off' : 'warn'}"></i><div><b><a href=${href('cameras', camera.id)}>${[nodeName(camera.node), camera.name].filter(Boolean).join(' · ')}</a></b>
      <p>${wordFor(`camera.status.${state?.status}`)} · ${t('since', { time: when(state?.since, now.value) })}</p>
      <p class="remedy">${wordFor(`camera.remedy.${state?.status}`)}</p></div></li>`)}</ul></section>`;
}
