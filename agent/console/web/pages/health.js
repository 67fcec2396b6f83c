// @ts-check
// How the station is: each lamp as a sentence with its remedy, then the line, the
// storage, the cameras, and what lets devices in.
import { html } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { age, bytes, room, span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { lang } from '../state/prefs.js';
import { href } from '../state/route.js';
import { centre, may } from '../state/session.js';
import { cameras, nodeName, status } from '../state/store.js';
import { lampRemedy, lampSentence, lampWord } from '../ui/lamps.js';
import { Brokers } from './brokers.js';
import { Devices } from './devices.js';
import { LineUse } from './line.js';
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
      <div><${Line} s=${s} />${s.uplink && html`<${LineUse} />`}<${Storage} s=${s} /></div>
      ${!centre.value && may('configure') && html`<div><${Brokers} /><${Devices} /></div>`}
    </div></main>`;
}

const clockWrong = 5e9; // ns

/** @param {{s: Status}} props */
function Line({ s }) {
  const u = s.uplink;
  if (!u) return centre.value ? null : html`<section class="card"><h2>${t('uplink')}</h2><p class="note">${t('lamp.uplink.off.long')}</p></section>`;
  return html`<section class="card"><h2>${t('uplink')}</h2>
    <p class="big"><i class="light ${u.connected ? 'ok' : 'warn'}"></i>${t(u.connected ? 'uplink.up' : 'uplink.down', { time: when(u.since, now.value) })} ${u.since && html`<span class="tab">${age(now.value - Date.parse(u.since))}</span>`}</p>
    <table class="small"><thead><tr><th>${t('uplink.lane')}</th><th>${t('uplink.backlog')}</th><th>${t('uplink.oldest')}</th></tr></thead>
      <tbody>${(u.lanes ?? []).map((l) => html`<tr key=${l.lane}><th>${wordFor(`lane.${l.lane}`) || l.lane}</th><td>${l.backlog}</td><td>${l.backlog && l.oldest ? span(now.value - Date.parse(l.oldest)) : '–'}</td></tr>`)}</tbody></table>
    ${Math.abs(u.clockOffset ?? 0) > clockWrong && html`<p class="warn" data-testid="clock-wrong">${t((u.clockOffset ?? 0) > 0 ? 'line.clock.ahead' : 'line.clock.behind', { span: span(Math.abs(u.clockOffset ?? 0) / 1e6) })}</p>`}
    ${u.lastError && html`<details><summary>${t('uplink.lastError')}</summary><code>${u.lastError}</code></details>`}
    ${u.hint && !u.connected && lang.value === 'en' && html`<p class="remedy">${u.hint}</p>`}
  </section>`;
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
