// @ts-check
// The desk without an alarm: all is well, since when; the cameras quietly live;
// what was today. Empty is a state, not a hole.
import { html, useEffect, useState } from '../html.js';
import { answerWord, kindWord, t } from '../words/words.js';
import { hm, span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { verdict } from '../state/answering.js';
import { pick } from '../state/choice.js';
import { tour } from '../state/prefs.js';
import { href } from '../state/route.js';
import { may } from '../state/session.js';
import { alarms, cameras, happening, loaded, nodeName, nodes, pending, status } from '../state/store.js';
import { Player } from '../live/player.js';

const wall = 4;
const tourEvery = 20_000;

export function Quiet() {
  const since = status.value?.quietSince;
  const busy = happening.value.length;
  const waiting = pending.value.length;
  const word = !loaded.value ? t('loading') : busy ? t('quiet.busy', { n: busy }) : waiting ? t('quiet.waiting') : t('quiet');
  return html`<main>
    <div class="title calm" data-testid="quiet">
      <div class="what"><h1>${word}</h1>
        <p>${busy ? t('quiet.busy.hint') : waiting ? t('quiet.waiting.n', { n: waiting }) : since ? t('quiet.since', { time: when(since, now.value) }) : ''}</p></div>
      ${since && !busy && !waiting && html`<div class="since"><div class="age">${span(now.value - Date.parse(since))}</div><small>${t('quiet.length')}</small></div>`}
    </div>
    ${may('video') ? html`<${Wall} />` : html`<div></div>`}
  </main>`;
}

function Wall() {
  const [page, setPage] = useState(0);
  // Those that give a picture come first; a wall of faults calms nobody.
  const list = [...cameras.value.values()].sort((a, b) => order(a) - order(b) || a.camera.name.localeCompare(b.camera.name, 'zh'));
  const pages = Math.max(1, Math.ceil(list.length / wall));
  const shown = list.slice((page % pages) * wall, (page % pages) * wall + wall);
  useEffect(() => {
    if (!tour.value || pages < 2) return;
    const timer = setInterval(() => document.hidden || setPage((p) => p + 1), tourEvery);
    return () => clearInterval(timer);
  }, [tour.value, pages]);
  if (!list.length) {
    return html`<div class="wall empty">${loaded.value && html`<p>${t('cameras.none')} ${may('configure') && html`<a href=${href('cameras')}>${t('cameras.addFirst')}</a>`}</p>`}</div>`;
  }
  return html`<div class="wall n${shown.length}">
    ${shown.map(({ camera }) => html`<a key=${camera.id} href=${href('cameras', camera.id)} aria-label=${t('cameras.open', { name: camera.name })}>
      <${Player} camera=${camera.id} node=${camera.node} compact caption=${[nodeName(camera.node), camera.name].filter(Boolean).join(' · ')} /></a>`)}
    ${pages > 1 && html`<div class="pager">
      <button type="button" aria-label=${t('page.prev')} onClick=${() => setPage((page + pages - 1) % pages)}>‹</button>
      <span>${(page % pages) + 1} / ${pages}</span>
      <button type="button" aria-label=${t('page.next')} onClick=${() => setPage(page + 1)}>›</button>
      <button type="button" aria-pressed=${tour.value} onClick=${() => (tour.value = !tour.value)}>${t('tour')}</button>
    </div>`}
  </div>`;
}

/** @param {import('../records.js').CameraRow} row */
const order = (row) => (row.state?.status === 'online' || !row.state ? 0 : 1);

/** Today's alarms and the station's figures. */
export function QuietSide() {
  const start = new Date(now.value).setHours(0, 0, 0, 0);
  const today = [...alarms.value.values()].filter((a) => Date.parse(a.raisedAt) >= start).sort((a, b) => (a.raisedAt < b.raisedAt ? 1 : -1));
  const s = status.value;
  return html`<aside>
    <section class="card today"><h2>${t('today')}</h2>
      <p class="sum">${today.length ? t('today.count', { n: today.length, real: today.filter((a) => verdict(a) === 'real').length, false: today.filter((a) => verdict(a) === 'false').length }) : t('today.none')}</p>
      <div class="fit"><ul>${today.map((a) => html`<li key=${a.id}><button type="button" onClick=${() => pick(a.id)}>
        <time>${hm(a.raisedAt)}</time><span><b>${kindWord(a.kind)}</b> ${[nodeName(a.node), a.place || a.name].filter(Boolean).join(' · ')}</span><em>${answerWord(verdict(a)) || t(a.state === 'cleared' ? 'alarm.over' : 'alarm.goesOn')}</em>
      </button></li>`)}</ul></div>
    </section>
    ${s && html`<section class="card figures"><h2>${t('figures')}</h2><dl>
      ${nodes.value.size > 0 && html`<div><dt>${t('nav.nodes')}</dt><dd>${[...nodes.value.values()].filter((n) => n.online).length} / ${nodes.value.size}</dd></div>`}
      ${s.cameras && s.cameras.total > 0 && html`<div><dt>${t('nav.cameras')}</dt><dd>${s.cameras.online} / ${s.cameras.total}</dd></div>`}
      ${s.sensors && s.sensors.total > 0 && html`<div><dt>${t('nav.sensors')}</dt><dd>${s.sensors.online} / ${s.sensors.total}</dd></div>`}
      ${s.storage?.daysLeft !== undefined && s.storage?.daysLeft !== null && html`<div><dt>${t('figures.video')}</dt><dd>${t('time.days', { n: Math.floor(s.storage.daysLeft) })}</dd></div>`}
    </dl></section>`}
  </aside>`;
}
