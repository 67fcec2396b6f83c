// @ts-check
// The desk without an alarm: all is well, since when, and the cameras quietly
// live. Empty is a state, not a hole.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { planFirst, tour } from '../state/prefs.js';
import { href } from '../state/route.js';
import { centre, may } from '../state/session.js';
import { cameras, happening, loaded, nodeName, pending, plans, status } from '../state/store.js';
import { Player } from '../live/player.js';
import { PlanWall } from './plan-wall.js';
import { lampWord } from '../ui/lamps.js';

const few = 4; // two by two; legible at three metres
const many = 9;
const manyFrom = 7;
const tourEvery = 20_000;

export function Quiet() {
  const since = status.value?.quietSince;
  const busy = happening.value.length;
  const waiting = pending.value.length;
  // All is not well while a lamp says otherwise.
  const wrong = (status.value?.lamps ?? []).filter((l) => l.state === 'warn' || l.state === 'bad').map(lampWord);
  const word = !loaded.value ? t('loading') : busy ? t('quiet.busy', { n: busy }) : waiting ? t('quiet.waiting') : t(wrong.length ? 'quiet.but' : 'quiet');
  const length = since ? t('quiet.since', { time: when(since, now.value) }) : loaded.value ? t('quiet.never') : '';
  return html`<main>
    <div class="title calm" data-testid="quiet">
      <div class="what"><h1>${word}</h1>
        <p>${busy ? t('quiet.busy.hint') : waiting ? t(centre.value ? 'quiet.waiting.centre' : 'quiet.waiting.n', { n: waiting }) : wrong.length ? t('quiet.look', { what: wrong.join(t('comma')) }) : length}</p></div>
      ${since && !busy && !waiting && html`<div class="since"><div class="age">${span(now.value - Date.parse(since))}</div><small>${t('quiet.length')}</small></div>`}
    </div>
    ${planFirst.value && plans.value.size ? html`<${PlanWall} />` : may('video') ? html`<${Wall} />` : plans.value.size ? html`<${PlanWall} />` : html`<div></div>`}
  </main>`;
}

function Wall() {
  const [page, setPage] = useState(0);
  // Those that give a picture come first; a wall of faults calms nobody.
  const list = [...cameras.value.values()].sort((a, b) => order(a) - order(b) || a.camera.name.localeCompare(b.camera.name, 'zh'));
  const wall = list.length >= manyFrom ? many : few;
  const pages = Math.max(1, Math.ceil(list.length / wall));
  // The last page is filled up from the one before: no holes in the wall.
  const from = Math.max(0, Math.min((page % pages) * wall, list.length - wall));
  const shown = list.slice(from, from + wall);
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
    ${(pages > 1 || plans.value.size > 0) && html`<div class="pager">
      ${plans.value.size > 0 && html`<button type="button" data-testid="to-plan" onClick=${() => (planFirst.value = true)}>${t('wall.plan')}<kbd>M</kbd></button>`}
      ${pages > 1 && html`<button type="button" aria-label=${t('page.prev')} onClick=${() => setPage((page + pages - 1) % pages)}>‹</button>
      <span>${(page % pages) + 1} / ${pages}</span>
      <button type="button" aria-label=${t('page.next')} onClick=${() => setPage(page + 1)}>›</button>
      <button type="button" aria-pressed=${tour.value} onClick=${() => (tour.value = !tour.value)}>${t('tour')}</button>`}
    </div>`}
  </div>`;
}

/** @param {import('../records.js').CameraRow} row */
const order = (row) => (row.state?.status === 'online' || row.state?.status === 'idle' || !row.state ? 0 : 1);
