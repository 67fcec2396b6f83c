// @ts-check
// Who spends the line to the centre: the classes in their order, and the pictures
// that are going up just now.
import { html, useEffect } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { bitRate, span } from '../words/times.js';
import { now } from '../state/clock.js';
import { cameras } from '../state/store.js';
import { LoadProblem, useLoad } from '../ui/load.js';

/** @typedef {import('../records.js').LineReport} LineReport */

const lookEvery = 2_000; // ms

export function LineUse() {
  const { data, problem, again } = useLoad('/line');
  const turn = Math.floor(now.value / lookEvery);
  useEffect(() => again(), [turn]);
  /** @type {LineReport|null} */
  const line = data;
  return html`<section class="card" data-testid="line-use"><h2>${t('line')}</h2>
    <${LoadProblem} problem=${problem} again=${again} />
    ${line && html`
      ${/** @type {const} */ ([['line.up', line.sent, line.up], ['line.down', line.received, line.down]]).map(([key, use, most]) => html`<div key=${key}>
        <p class="meterline"><span>${t(key)}</span> <span class="tab">${t('line.of', { now: rate(use.now), most: rate(most) })}</span></p>
        <meter min="0" max=${most} low=${most * 0.9} high=${most} optimum="0" value=${Math.min(use.now, most)} aria-label=${t(key)}></meter></div>`)}
      <table class="small"><thead><tr><th>${t('line.class')}</th><th>${t('line.now')}</th><th>${t('line.minute')}</th></tr></thead>
        <tbody>${line.classes.map((c) => html`<tr key=${c.class} data-class=${c.class}><th>${wordFor(`line.class.${c.class}`)}</th><td>${rate(c.up.now)}</td><td>${rate(c.up.minute)}</td></tr>`)}</tbody></table>
      <p class="note">${t('line.reserve', { rate: rate(line.reserve), free: rate(line.free) })}</p>
      ${line.flows.length > 0 && html`<h3>${t('line.flows')}</h3><ul class="remedies">${line.flows.map((f) => html`<li key=${f.class + f.name + f.since} data-testid="line-flow"><i class="light ok"></i><div>
        <b>${cameras.value.get(f.name)?.camera.name ?? f.name} · ${wordFor(`line.class.${f.class}`)}</b>
        <p class="tab">${t('line.flow', { now: rate(f.now), held: rate(f.held), span: span(now.value - Date.parse(f.since)) })}</p></div></li>`)}</ul>`}
      ${line.refused + line.yielded > 0 && html`<p class="note">${t('line.refused', { refused: line.refused, yielded: line.yielded })}</p>`}`}
  </section>`;
}

/** @param {number} bits */
const rate = (bits) => (bits ? bitRate(bits) : '–');
