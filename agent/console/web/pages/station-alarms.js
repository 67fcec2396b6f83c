// @ts-check
// The live alarms of all stations, and which of the centre's seats has which. What
// nobody has claimed grows older before everybody's eyes.
import { html, useState } from '../html.js';
import { kindWord, t } from '../words/words.js';
import { span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { claim, claims, nameOf, order, stations, tried, unclaim } from '../state/below.js';
import { seat } from '../state/prefs.js';
import { href } from '../state/route.js';
import { may, session } from '../state/session.js';
import { alarms, byUrgency, isForeign, nodeName } from '../state/store.js';

/** @typedef {import('../records.js').Alarm} Alarm */

const patience = 60_000; // ms that an alarm may be unclaimed without being marked

/** Who has an alarm, and the key to take it or let go. @param {{alarm: Alarm}} props */
export function Claim({ alarm }) {
  if (!isForeign(alarm.node)) return null;
  const by = claims.value.get(alarm.id);
  const mine = by?.by === session.value?.actor?.account && (by?.seat ?? '') === seat.value;
  const waits = now.value - Date.parse(alarm.raisedAt);
  return html`<span class="claim" data-testid="claim" data-by=${by?.by ?? ''}>
    ${by ? html`<b>${mine ? t('st.claim.mine') : t('st.claim.by', { name: [by.name || by.by, by.seat].filter(Boolean).join(' · ') })}</b>` : html`<span class=${waits > patience && alarm.state === 'raised' ? 'warn' : 'dim'}>${t('st.claim.none', { span: span(waits) })}</span>`}
    ${may('answer') && !by && html`<button type="button" class="btn" data-testid="claim-take" onClick=${() => claim(alarm.id)}>${t('st.claim')}</button>`}
    ${may('answer') && by && html`<button type="button" class="btn quiet" data-testid="claim-free" onClick=${() => unclaim(alarm.id)}>${t('st.claim.free')}</button>`}
    ${may('answer') && mine && alarm.state === 'raised' && html`<button type="button" class="btn quiet" data-testid="claim-ack" onClick=${() => tried(() => order({ nodes: [alarm.node], type: 'alarm.answer', subject: alarm.id, body: { kind: 'received' } }))}>${t('st.ack')}</button>`}
  </span>`;
}

export function StationAlarms() {
  const [of, setOf] = useState('');
  const [severity, setSeverity] = useState('');
  const [who, setWho] = useState('');
  const me = session.value?.actor?.account;
  const list = [...alarms.value.values()]
    .filter((a) => a.state !== 'cleared' && (!of || a.node === of) && (!severity || a.severity === severity))
    .filter((a) => !who || (who === 'free' ? isForeign(a.node) && !claims.value.has(a.id) : claims.value.get(a.id)?.by === me))
    .sort((a, b) => Number(a.state !== 'raised') - Number(b.state !== 'raised') || byUrgency(a, b));
  const select = (/** @type {string} */ label, /** @type {string} */ value, /** @type {(v: string) => void} */ set, /** @type {[string, string][]} */ options) =>
    html`<label class="pick">${label}<select value=${value} onChange=${(/** @type {any} */ e) => set(e.currentTarget.value)}><option value="">${t('st.filter.all')}</option>${options.map(([v, text]) => html`<option key=${v} value=${v} selected=${v === value}>${text}</option>`)}</select></label>`;
  return html`<div class="row filters">
      ${select(t('st.filter.station'), of, setOf, stations.value.map((v) => [v.node.id, nameOf(v)]))}
      ${select(t('st.filter.severity'), severity, setSeverity, /** @type {const} */ (['critical', 'major', 'minor']).map((s) => [s, t(`severity.${s}`)]))}
      ${select(t('st.filter.mine'), who, setWho, [['free', t('st.filter.free')], ['own', t('st.filter.own')]])}
      ${may('answer') && html`<label class="pick">${t('seat')}<input name="seat" maxlength="20" value=${seat.value} placeholder=${t('seat.hint')} onInput=${(/** @type {any} */ e) => (seat.value = e.currentTarget.value)} /></label>`}
    </div>
    ${!list.length && html`<div class="empty"><p>${t('st.alarms.none')}</p></div>`}
    <ul class="rows card" data-testid="st-alarm-list">${list.map((a) => html`<li key=${a.id} class=${a.state === 'raised' ? 'raised' : ''} data-alarm=${a.id}><div>
        <a href=${href('records', a.id)} class=${a.state === 'raised' && a.severity === 'critical' ? 'red' : ''}><b>${kindWord(a.kind)}</b> · ${[nodeName(a.node), a.place, a.name].filter(Boolean).join(' · ')}</a>
        <p class="dim">${when(a.raisedAt, now.value)} · ${t(`severity.${a.severity}`)}</p></div><${Claim} alarm=${a} /></li>`)}</ul>`;
}
