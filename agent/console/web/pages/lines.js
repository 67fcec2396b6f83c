// @ts-check
// The lines to the centre and to the other targets: since when, what waits in each
// lane and for how long, how fast it goes, and what was last wrong with it.
import { html } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { age, bytes, span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { lang } from '../state/prefs.js';
import { centre } from '../state/session.js';

/** @typedef {import('../records.js').Status} Status */
/** @typedef {import('../records.js').UplinkStatus} UplinkStatus */

const clockWrong = 5e9; // ns

/** @param {{s: Status}} props */
export function Lines({ s }) {
  const alone = !s.uplink && !centre.value;
  return html`${alone && html`<section class="card"><h2>${t('uplink')}</h2><p class="note">${t('lamp.uplink.off.long')}</p></section>`}
    ${s.uplink && html`<${Line} u=${s.uplink} title=${t('uplink')} />`}
    ${(s.targets ?? []).map((u) => html`<${Line} key=${u.target} u=${u} title=${t('target', { name: u.target })} />`)}`;
}

/** @param {{u: UplinkStatus, title: string}} props */
function Line({ u, title }) {
  const held = (u.lanes ?? []).filter((l) => l.held);
  return html`<section class="card" data-testid="line"><h2>${title}</h2>
    <p class="big"><i class="light ${u.connected ? 'ok' : 'warn'}"></i>${t(u.connected ? 'uplink.up' : 'uplink.down', { time: when(u.since, now.value) })} ${u.since && html`<span class="tab">${age(now.value - Date.parse(u.since))}</span>`}</p>
    <table class="small"><thead><tr><th>${t('uplink.lane')}</th><th>${t('uplink.backlog')}</th><th>${t('uplink.oldest')}</th><th>${t('uplink.rate')}</th></tr></thead>
      <tbody>${(u.lanes ?? []).map((l) => html`<tr key=${l.lane}><th>${wordFor(`lane.${l.lane}`) || l.lane}</th><td>${l.backlog >= 10000 ? '≥ 10000' : l.backlog}</td><td>${l.backlog && l.oldest ? span(now.value - Date.parse(l.oldest)) : '–'}</td><td>${Math.round(l.rate ?? 0)}</td></tr>`)}</tbody></table>
    ${u.sent !== undefined && html`<p class="note">${t('uplink.sent', { bytes: bytes(u.sent) })}${u.url && html` · <code>${u.url}</code>`}</p>`}
    ${u.second && html`<p class="note">${t(u.second.connected ? 'uplink.second.up' : 'uplink.second.idle', { count: u.second.used })}</p>`}
    ${Math.abs(u.clockOffset ?? 0) > clockWrong && html`<p class="warn" data-testid="clock-wrong">${t((u.clockOffset ?? 0) > 0 ? 'line.clock.ahead' : 'line.clock.behind', { span: span(Math.abs(u.clockOffset ?? 0) / 1e6) })}</p>`}
    ${held.map((l) => html`<p class="note" key=${l.lane}>${t('uplink.held', { lane: wordFor(`lane.${l.lane}`) || l.lane })} <code>${l.held}</code></p>`)}
    ${u.lastError && html`<details><summary>${t('uplink.lastError')}</summary><code>${u.lastError}</code></details>`}
    ${u.hint && (!u.connected || u.lastError) && lang.value === 'en' && html`<p class="remedy">${u.hint}</p>`}
  </section>`;
}
