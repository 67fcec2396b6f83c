// @ts-check
// A centre's stations: who is there, since when, what was last heard, what goes
// on. Their pictures are one step away.
import { html } from '../html.js';
import { t } from '../words/words.js';
import { span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { alarms, cameras, loaded, nodes } from '../state/store.js';
import { href } from '../state/route.js';

const clockWrong = 5e9; // ns

export function Nodes() {
  const list = [...nodes.value.values()].sort((a, b) => Number(a.online) - Number(b.online) || a.name.localeCompare(b.name, 'zh'));
  const live = [...alarms.value.values()].filter((a) => a.state !== 'cleared');
  return html`<main class="page"><div class="head"><h1>${t('nav.nodes')}</h1><span class="sub">${t('nodes.count', { online: list.filter((n) => n.online).length, total: list.length })}</span></div>
    ${loaded.value && !list.length && html`<div class="empty"><p>${t('nodes.none')}</p><p>${t('nodes.none.hint')}</p></div>`}
    <div class="cards">${list.map((n) => {
      const own = live.filter((a) => a.node === n.id);
      const raised = own.filter((a) => a.state === 'raised').length;
      const eyes = [...cameras.value.values()].filter((r) => r.camera.node === n.id);
      return html`<article class="card node" key=${n.id} data-testid="node-card" data-node=${n.id} data-online=${String(n.online)}>
        <h2><i class="light ${n.online ? 'ok' : 'warn'}"></i>${n.name || n.id}</h2>
        <p class=${n.online ? '' : 'warn'}>${t(n.online ? 'node.online' : 'node.offline', { time: when(n.since, now.value), span: span(now.value - Date.parse(n.since)) })}</p>
        <dl><div><dt>${t('node.lastEvent')}</dt><dd>${when(n.lastEvent, now.value)}</dd></div>
          <div><dt>${t('node.alarms')}</dt><dd>${own.length ? html`<a class=${raised ? 'red' : ''} href=${href('desk')}>${own.length}</a>` : '0'}</dd></div>
          <div><dt>${t('nav.cameras')}</dt><dd>${eyes.length ? eyes.map((r) => html`<a class="eye" key=${r.camera.id} href=${href('cameras', r.camera.id)}>${r.camera.name}</a>`) : '–'}</dd></div></dl>
        ${Math.abs(n.clockOffset ?? 0) > clockWrong && html`<p class="warn" data-testid="clock-wrong">${t((n.clockOffset ?? 0) > 0 ? 'node.clock.ahead' : 'node.clock.behind', { span: span(Math.abs(n.clockOffset ?? 0) / 1e6) })}</p><p class="remedy">${t('node.clock.remedy')}</p>`}
        ${!n.online && html`<p class="remedy">${t('node.remedy')}</p>`}
      </article>`;
    })}</div></main>`;
}
