// @ts-check
// How the alarms have been, and how they were answered: too many at once, the
// same device again and again, those that never end. For who mends the causes.
import { html, useMemo, useState } from '../html.js';
import { kindWord, t } from '../words/words.js';
import { span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { href } from '../state/route.js';
import { LoadProblem, useLoad } from '../ui/load.js';

/** @typedef {import('../records.js').Alarm} Alarm */

const day = 86_400_000;
const lengths = /** @type {const} */ ([['day', 1], ['week', 7], ['month', 30]]);
const step = 600_000; // ten minutes, as alarms are counted
const floodFrom = 10; // more than so many in ten minutes are more than a person can attend to
const bars = 84;

export function PerformancePage() {
  const [name, setName] = useState(/** @type {'day'|'week'|'month'} */ ('week'));
  const days = lengths.find(([n]) => n === name)?.[1] ?? 7;
  const { from, to } = useMemo(() => ({ to: Date.now(), from: Date.now() - days * day }), [name]);
  const { data, problem, again } = useLoad(`/performance?from=${encodeURIComponent(new Date(from).toISOString())}&to=${encodeURIComponent(new Date(to).toISOString())}`);
  return html`<main class="page" data-testid="performance"><div class="head"><h1>${t('nav.performance')}</h1><div class="grow"></div>
      <div class="segments" role="radiogroup" aria-label=${t('history')}>${lengths.map(([n]) => html`<button type="button" role="radio" key=${n} aria-checked=${n === name} onClick=${() => setName(n)}>${t(`history.${n}`)}</button>`)}</div></div>
    <${LoadProblem} problem=${problem} again=${again} />
    ${data && html`<${Figures} data=${data} />
      <section class="card"><h2>${t('perf.per10')}</h2><${Bars} counts=${data.per10min ?? []} from=${from} to=${to} /></section>
      <div class="columns below"><${Top} list=${data.top ?? []} /><div><${Live} title=${t('perf.stale')} none=${t('perf.stale.none')} list=${data.stale ?? []} testid="stale" /><${Live} title=${t('perf.chattering')} none=${t('perf.chattering.none')} list=${data.chattering ?? []} testid="chattering" /></div></div>`}
  </main>`;
}

/** @param {{data: any}} props */
function Figures({ data }) {
  const ack = data.ackSeconds ?? {};
  const sum = data.total ?? Object.values(data.bySeverity ?? {}).reduce((/** @type {number} */ a, b) => a + Number(b), 0);
  /** @type {[string, string, string][]} */
  const list = [
    [t('perf.total'), String(sum), ['critical', 'major', 'minor'].filter((s) => data.bySeverity?.[s]).map((s) => t(`severity.${/** @type {'critical'} */ (s)}`) + ` ${data.bySeverity[s]}`).join(' · ')],
    [t('perf.false'), sum ? `${Math.round((100 * (data.false ?? 0)) / sum)}%` : '–', t('perf.times', { n: data.false ?? 0 })],
    [t('perf.ack'), ack.p50 ? span(ack.p50 * 1000) : '–', ack.p90 ? t('perf.ack.note', { p90: span(ack.p90 * 1000), max: span(ack.max * 1000) }) : ''],
    [t('perf.unanswered'), String(data.unanswered ?? 0), ''],
    [t('perf.flood'), String((data.flood ?? []).length), t('perf.flood.note', { n: floodFrom })],
  ];
  return html`<dl class="figures">${list.map(([k, v, note]) => html`<div key=${k} class="card"><dt>${k}</dt><dd>${v}</dd><dd class="note">${note}</dd></div>`)}</dl>`;
}

/** One bar for each piece of the time: the most alarms in ten minutes of it. @param {{counts: {at: string, count: number}[], from: number, to: number}} props */
function Bars({ counts, from, to }) {
  const width = Math.max(step, (to - from) / bars);
  const most = new Array(Math.ceil((to - from) / width)).fill(0);
  for (const c of counts) {
    const i = Math.floor((Date.parse(c.at) - from) / width);
    if (i >= 0 && i < most.length) most[i] = Math.max(most[i], c.count);
  }
  const top = Math.max(floodFrom + 2, ...most);
  const h = 160, w = 1000, unit = w / most.length;
  const line = h - (floodFrom / top) * h;
  return html`<div class="bars"><svg viewBox=${`0 0 ${w} ${h}`} preserveAspectRatio="none" role="img" aria-label=${t('perf.per10')}>
      ${most.map((n, i) => n > 0 && html`<rect key=${i} class=${n > floodFrom ? 'many' : ''} x=${i * unit + unit * 0.12} width=${unit * 0.76} y=${h - (n / top) * h} height=${(n / top) * h}><title>${when(from + i * width, to)} · ${n}</title></rect>`)}
      <line x1="0" x2=${w} y1=${line} y2=${line} /></svg>
    <p><span>${when(from, now.value)}</span><span>${t('perf.line', { n: floodFrom })}</span><span>${when(to, now.value)}</span></p></div>`;
}

/** @param {{list: {sensor: string, name: string, count: number}[]}} props */
function Top({ list }) {
  const most = Math.max(1, ...list.map((x) => x.count));
  return html`<section class="card" data-testid="top"><h2>${t('perf.top')}</h2>${list.length === 0 && html`<p class="note">${t('perf.none')}</p>`}
    <ol class="toplist">${list.map((x) => html`<li key=${x.sensor}><a href=${href('sensors', x.sensor)}>${x.name || x.sensor}</a><b>${x.count}</b><meter min="0" max=${most} value=${x.count} aria-hidden="true"></meter></li>`)}</ol></section>`;
}

/** @param {{title: string, none: string, list: Alarm[], testid: string}} props */
function Live({ title, none, list, testid }) {
  return html`<section class="card" data-testid=${testid}><h2>${title}</h2>${list.length === 0 && html`<p class="note">${none}</p>`}
    <ul class="rows">${list.map((a) => html`<li key=${a.id}><div><a href=${href('records', a.id)}><b>${kindWord(a.kind)}</b></a><p>${a.place || a.name}</p></div><span>${span(now.value - Date.parse(a.raisedAt))}</span></li>`)}</ul></section>`;
}
