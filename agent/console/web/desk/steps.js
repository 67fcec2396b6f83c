// @ts-check
// What to do for this kind of alarm, and what never to do: the station's own
// card, or the one that the console comes with.
import { html } from '../html.js';
import { kindWord, t } from '../words/words.js';
import { STEPS } from '../words/steps.js';
import { lang } from '../state/prefs.js';
import { phone } from './people.js';

/** @typedef {import('../records.js').Card} Card */
/** @typedef {import('../records.js').CardText} CardText */

/** @param {string} kind @param {Card|null|undefined} card @returns {CardText} */
function textOf(kind, card) {
  const own = card?.text?.[lang.value] ?? card?.text?.zh;
  if (own?.steps?.length) return own;
  return { steps: (STEPS[kind] ?? STEPS.other)[lang.value].map((s) => (s.startsWith('!') ? { text: s.slice(1), dont: true } : { text: s })) };
}

/** @param {{kind: string, card?: Card|null}} props */
export function Steps({ kind, card }) {
  const text = textOf(kind, card);
  return html`<section class="card steps" data-testid="steps"><h2>${t('steps', { kind: kindWord(kind) })}</h2>
    <ol>${text.steps.map((step, i) => html`<li key=${i} class=${step.dont ? 'no' : ''}>${step.text}</li>`)}</ol>
    ${(text.phones ?? []).length > 0 && html`<p class="dial">${(text.phones ?? []).map((p) => html`<span key=${p.label + p.number}>${p.label} <b>${phone(p.number)}</b></span>`)}</p>`}
  </section>`;
}
