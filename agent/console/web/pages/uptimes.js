// @ts-check
// How much of the time stations and devices were there (在线率), and as a file.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { span } from '../words/times.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { nodeName } from '../state/store.js';

const ns = 1e6; // nanoseconds in a millisecond
const shown = 500;
const day = (/** @type {number} */ ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 10);

export function Uptimes() {
  const [from, setFrom] = useState(day(Date.now() - 6 * 86_400_000));
  const [to, setTo] = useState(day(Date.now()));
  const [by, setBy] = useState('');
  const [kind, setKind] = useState('node');
  const query = `/availability?from=${from}&to=${to}&by=${by}&kind=${kind}`;
  const { data, problem, again } = useLoad(query);
  const date = (/** @type {any} */ label, /** @type {string} */ value, /** @type {(v: string) => void} */ set) => html`<label class="pick">${t(label)}<input type="date" value=${value} onChange=${(/** @type {any} */ e) => e.currentTarget.value && set(e.currentTarget.value)} /></label>`;
  const select = (/** @type {any} */ label, /** @type {string} */ value, /** @type {(v: string) => void} */ set, /** @type {[string, string][]} */ options) => html`<label class="pick">${t(label)}<select onChange=${(/** @type {any} */ e) => set(e.currentTarget.value)}>${options.map(([v, text]) => html`<option key=${v} value=${v} selected=${v === value}>${text}</option>`)}</select></label>`;
  /** @type {any[]} */
  const rows = data?.rows ?? [];
  return html`<div class="row filters">${date('st.uptime.from', from, setFrom)}${date('st.uptime.to', to, setTo)}
      ${select('st.uptime.by', by, setBy, [['', t('st.uptime.whole')], ['day', t('st.uptime.day')], ['week', t('st.uptime.week')], ['month', t('st.uptime.month')]])}
      ${select('st.uptime.what', kind, setKind, [['node', t('st.kind.node')], ['camera', t('st.kind.camera')], ['sensor', t('st.kind.sensor')], ['', t('st.filter.all')]])}
      <a class="btn" data-testid="uptime-csv" href=${`/api/v1${query}&format=csv`} download>${t('st.uptime.csv')}</a></div>
    <${LoadProblem} problem=${problem} again=${again} />
    <section class="card"><table class="small uptimes" data-testid="uptimes"><thead><tr><th>${t('st.filter.station')}</th><th>${t('st.uptime.what')}</th><th>${t('st.name')}</th>${by && html`<th>${t(/** @type {any} */ (`st.uptime.${by}`))}</th>`}<th>${t('st.uptime.rate')}</th><th>${t('st.uptime.down')}</th><th>${t('st.uptime.lost')}</th></tr></thead>
      <tbody>${rows.slice(0, shown).map((r) => html`<tr key=${r.kind + r.id + r.from}><th>${nodeName(r.node) || r.node}</th><td>${t(/** @type {any} */ (`st.kind.${r.kind}`))}</td><td>${r.name}</td>${by && html`<td>${r.from}</td>`}<td class=${r.rate !== null && r.rate < 95 ? 'warn' : ''}>${r.rate === null ? '–' : `${r.rate.toFixed(2)}%`}</td><td>${r.down ? span(r.down / ns) : ''}</td><td>${r.lost || ''}</td></tr>`)}</tbody></table>
      <p class="note">${t('st.uptime.note')}</p></section>`;
}
