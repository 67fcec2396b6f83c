// @ts-check
// A centre's stations: as a tree by areas, on a map, all their alarms, how much of the
// time they were there; and each by itself.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { bytes, span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { looked, nameOf, standing, stations, useBelow } from '../state/below.js';
import { href, route } from '../state/route.js';
import { may } from '../state/session.js';
import { StationAlarms } from './station-alarms.js';
import { SiteDialog } from './station-dialog.js';
import { StationMap } from './station-map.js';
import { StationPage } from './station-page.js';
import { Uptimes } from './uptimes.js';

/** @typedef {import('../records.js').StationView} StationView */

const clockWrong = 5e9; // nanoseconds

const views = /** @type {const} */ (['tree', 'map', 'alarms', 'uptime']);

export function Nodes() {
  useBelow();
  const at = route.value.id;
  const view = views.find((v) => v === at);
  if (at && !view) return html`<${StationPage} key=${at} id=${at} />`;
  const list = stations.value;
  return html`<main class="page stations"><div class="head"><h1>${t('nav.nodes')}</h1><span class="sub">${t('nodes.count', { online: list.filter((v) => v.node.online).length, total: list.length })}</span><div class="grow"></div>
      <nav class="segments" aria-label=${t('nav.nodes')}>${views.map((v) => html`<a key=${v} role="button" href=${href('nodes', v)} aria-current=${(view ?? 'tree') === v ? 'page' : undefined} data-testid=${`st-${v}`}>${t(`st.view.${v}`)}</a>`)}</nav></div>
    ${(view ?? 'tree') === 'tree' && html`<${Tree} list=${list} />`}
    ${view === 'map' && html`<${StationMap} list=${list} />`}
    ${view === 'alarms' && html`<${StationAlarms} />`}
    ${view === 'uptime' && html`<${Uptimes} />`}
  </main>`;
}

/** Stations below their areas and, within them, below the node above them. @param {{list: StationView[]}} props */
function Tree({ list }) {
  const [adding, setAdding] = useState(false);
  const known = new Set(list.map((v) => v.node.id));
  /** @type {Map<string, StationView[]>} */
  const areas = new Map();
  for (const v of list) {
    if (v.site?.parent && known.has(v.site.parent)) continue;
    const area = v.site?.area || '';
    areas.set(area, [...(areas.get(area) ?? []), v]);
  }
  const order = [...areas.keys()].sort((a, b) => Number(!a) - Number(!b) || a.localeCompare(b, 'zh'));
  return html`${looked.value && !list.length && html`<div class="empty"><p>${t('nodes.none')}</p><p>${t('nodes.none.hint')}</p></div>`}
    ${order.map((area) => html`<section key=${area} class="card area"><h2>${area || t('st.area.none')} <span class="tab">${(areas.get(area) ?? []).length}</span></h2>
      <ul class="tree">${sorted(areas.get(area) ?? []).map((v) => html`<${Row} key=${v.node.id} view=${v} list=${list} depth=${0} />`)}</ul></section>`)}
    ${may('configure') && html`<p class="row"><button type="button" class="btn" data-testid="st-add" onClick=${() => setAdding(true)}>${t('st.add')}</button></p>`}
    ${adding && html`<${SiteDialog} close=${() => setAdding(false)} />`}`;
}

/** What is lost first, then what has alarms. @param {StationView[]} list */
const sorted = (list) => [...list].sort((a, b) => Number(standing(b).lost) - Number(standing(a).lost) || b.raised - a.raised || nameOf(a).localeCompare(nameOf(b), 'zh'));

/** @param {{view: StationView, list: StationView[], depth: number}} props @returns {any} */
function Row({ view: v, list, depth }) {
  const s = standing(v);
  const h = v.health;
  const backlog = Object.values(h?.backlog ?? {}).reduce((a, b) => a + b, 0);
  return html`<li data-testid="node-card" data-node=${v.node.id} data-online=${String(v.node.online)} data-state=${s.state} data-lost=${String(s.lost)}>
    <a class="st ${s.tone}" href=${href('nodes', v.node.id)}>
      <b><i class="light ${s.tone}"></i>${nameOf(v)}</b>
      <${Standing} view=${v} />
      <span class=${v.raised ? 'red' : 'dim'}>${v.live ? `${t('st.alarms')} ${v.live}` : ''}${v.raised ? ` · ${t('st.raised', { n: v.raised })}` : ''}</span>
      <span class=${backlog > 1000 ? 'warn' : 'dim'}>${backlog ? `${t('st.backlog')} ${t('st.backlog.n', { n: backlog })}` : ''}</span>
      <span class="dim">${h?.cameras?.total ? `${t('st.cameras')} ${h.cameras.online}/${h.cameras.total}` : ''}</span>
      <span class="dim">${h?.sensors?.total ? `${t('st.sensors')} ${h.sensors.online}/${h.sensors.total}` : ''}</span>
      <span class="dim">${h?.diskFree ? bytes(h.diskFree) : ''}</span>
      <span class="dim">${v.node.version ?? ''}</span>
      ${Math.abs(v.node.clockOffset ?? 0) > clockWrong && html`<span class="warn whole" data-testid="clock-wrong">${t((v.node.clockOffset ?? 0) > 0 ? 'node.clock.ahead' : 'node.clock.behind', { span: span(Math.abs(v.node.clockOffset ?? 0) / 1e6) })} ${t('node.clock.remedy')}</span>`}
    </a>
    ${depth < 8 && list.some((x) => x.site?.parent === v.node.id) && html`<ul class="tree">${sorted(list.filter((x) => x.site?.parent === v.node.id)).map((x) => html`<${Row} key=${x.node.id} view=${x} list=${list} depth=${depth + 1} />`)}</ul>`}
  </li>`;
}

/** How a station stands, in one line. @param {{view: StationView}} props */
export function Standing({ view: v }) {
  const s = standing(v);
  const since = v.node.stateAt || v.node.since;
  const word = t(/** @type {any} */ (`st.state.${s.state}`));
  if (s.lost) return html`<strong class="lost">${word} · ${t('st.lost', { span: span(now.value - Date.parse(v.node.lostAt ?? '')) })}</strong>`;
  if (s.state === 'closed' && v.node.closedUntil) return html`<span>${t('st.closed', { name: v.node.closedBy ?? '', time: when(v.node.closedUntil, now.value) })}</span>`;
  return html`<span class=${s.tone === 'warn' ? 'warn' : ''}>${word}${s.state === 'never' ? '' : ` · ${t('st.since', { time: when(since, now.value) })}`}</span>`;
}
