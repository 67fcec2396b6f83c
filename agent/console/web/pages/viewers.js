// @ts-check
// Who watches live just now and by which way, and who could not: which addresses were
// tried tells an installer what a firewall between does not let through.
import { html, useEffect } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { cameras } from '../state/store.js';
import { LoadProblem, useLoad } from '../ui/load.js';

/** @typedef {import('../records.js').Viewing} Viewing */
/** @typedef {import('../records.js').ViewingWay} ViewingWay */

const lookEvery = 5_000; // ms

export function Viewers() {
  const { data, problem, again } = useLoad('/cameras/viewers');
  const turn = Math.floor(now.value / lookEvery);
  useEffect(() => again(), [turn]);
  /** @type {Viewing[]} */
  const watching = data?.viewers ?? [];
  /** @type {Viewing[]} */
  const failed = data?.failed ?? [];
  return html`<section class="card" data-testid="viewers"><h2>${t('viewers')}</h2>
    <${LoadProblem} problem=${problem} again=${again} />
    ${data && !watching.length && html`<p class="note">${t('viewers.none')}</p>`}
    ${watching.length > 0 && html`<ul class="remedies">${watching.map((v) => html`<li key=${v.since + v.camera + v.account} data-testid="viewer"><i class="light ${v.status === 'connected' ? 'ok' : 'off'}"></i><div>
      <b>${nameOf(v)} · <span class="typed">${v.name || v.account}</span></b>
      <p>${[wordFor(`viewers.role.${v.role}`), v.transport ? wordFor(`viewers.by.${v.transport}`) : t('viewers.connecting'), span(now.value - Date.parse(v.since))].filter(Boolean).join(' · ')} <code>${v.used?.viewer ?? v.address}</code></p>
      ${v.packets > 0 && html`<p class="tab">${t('viewers.loss', { lost: share(v.repaired + v.refused, v.packets), skipped: v.skipped })}${v.roundTrip ? ` · ${t('viewers.trip', { ms: Math.round(v.roundTrip / 1e6) })}` : ''}</p>`}
    </div></li>`)}</ul>`}
    ${failed.length > 0 && html`<h3>${t('viewers.failed')}</h3><ul class="remedies">${failed.map((v) => html`<li key=${v.since + v.camera + v.account} class="warn" data-testid="viewer-failed"><i class="light warn"></i><div>
      <b>${nameOf(v)} · <span class="typed">${v.name || v.account}</span> · ${when(v.ended ?? v.since, now.value)}</b>
      <p>${t('viewers.offered')} <code>${(v.offered ?? []).join(', ')}</code></p>
      <p>${v.tried?.length ? t('viewers.tried') : t('viewers.heardNothing', { address: v.address ?? '' })} ${(v.tried ?? []).map((w) => html`<code key=${w.protocol + w.viewer + w.station}>${`${w.protocol} ${w.station} – ${w.viewer}`}</code> ${wordFor(`live.ice.${w.state}`)} `)}</p>
      <p class="remedy">${t('viewers.remedy')}</p></div></li>`)}</ul>`}
  </section>`;
}

/** @param {Viewing} v */
const nameOf = (v) => cameras.value.get(v.camera)?.camera.name ?? v.camera;

/** @param {number} lost @param {number} sent */
const share = (lost, sent) => `${((lost / sent) * 100).toFixed(lost / sent < 0.1 ? 1 : 0)} %`;
