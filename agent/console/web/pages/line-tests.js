// @ts-check
// How good the line to the centre is: the last test of the whole line in words, and
// the history, nights included.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { bitRate, span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { post, Problem } from '../state/api.js';
import { may } from '../state/session.js';
import { LoadProblem, useLoad } from '../ui/load.js';

/** @typedef {import('../records.js').LineTest} LineTest */
/** @typedef {import('../records.js').LineWay} LineWay */

const lookEvery = 3_000; // ms
const shown = 7;

export function LineTests() {
  const { data, problem, again } = useLoad('/line/tests');
  const [refused, setRefused] = useState('');
  /** @type {LineTest[]} */
  const tests = data?.tests ?? [];
  const running = Boolean(data?.running);
  const turn = running ? Math.floor(now.value / lookEvery) : 0;
  useEffect(() => again(), [turn]);
  const ask = () => post('/line/tests').then(() => (setRefused(''), again()), (err) => setRefused(err instanceof Problem ? `${err.message} ${err.hint}` : String(err)));
  const last = tests.find((r) => !r.nightly);
  return html`<section class="card" data-testid="line-tests"><h2>${t('linetest')}</h2>
    <${LoadProblem} problem=${problem} again=${again} />
    ${last && html`<p class="big" data-testid="line-verdict"><i class="light ${good(last) ? 'ok' : 'warn'}"></i>${verdict(last)} <span class="tab">${when(last.at, now.value)}</span></p>`}
    ${last && !last.problem && !good(last) && html`<p class="remedy">${t('linetest.remedy')}</p>`}
    ${data && !last && html`<p class="note">${t('linetest.none')}</p>`}
    ${tests.length > 0 && html`<table class="small"><thead><tr><th>${t('linetest.at')}</th><th>${t('line.up')}</th><th>${t('line.down')}</th><th>${t('linetest.lost')}</th><th>${t('linetest.delay')}</th></tr></thead>
      <tbody>${tests.slice(0, shown).map((r) => html`<tr key=${r.at} data-testid="line-test"><th>${when(r.at, now.value)}${r.nightly ? ` · ${t('linetest.small')}` : ''}</th>
        ${r.problem ? html`<td colspan="4">${t('linetest.failed')}</td>` : html`<td>${way(r.up)}</td><td>${way(r.down)}</td><td>${lost(r.up)}<br />${lost(r.down)}</td><td>${t('linetest.ms', { idle: Math.round(r.idle), up: Math.round(r.up.delay), down: Math.round(r.down.delay) })}</td>`}</tr>`)}</tbody></table>
      <p class="note">${t('linetest.columns')}</p>`}
    ${may('configure') && html`<button type="button" class="btn" disabled=${running} data-testid="line-test-now" onClick=${ask}>${running ? t('linetest.running', { span: span(now.value - Date.parse(data.running)) }) : t('linetest.now')}</button>`}
    ${refused && html`<p class="problem" role="alert">${refused}</p>`}
  </section>`;
}

/** @param {LineTest} r */
const good = (r) => !r.problem && r.up.delivers && r.down.delivers;

/** @param {LineTest} r */
function verdict(r) {
  if (r.problem) return t('linetest.failed');
  const args = { up: bitRate(r.up.carried), down: bitRate(r.down.carried), bought: bitRate(r.up.bought) };
  return t(good(r) ? 'linetest.good' : 'linetest.short', args);
}

/** @param {LineWay} w */
const way = (w) => `${bitRate(w.carried)}${w.delivers ? '' : '\u00a0↓'}`;

/** @param {LineWay} w */
const lost = (w) => (w.lost < 0 ? '–' : `${(w.lost * 100).toFixed(1)} %`);
