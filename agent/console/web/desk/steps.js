// @ts-check
// What to do for this kind of alarm, and what never to do.
import { html } from '../html.js';
import { kindWord, t } from '../words/words.js';
import { STEPS } from '../words/steps.js';
import { lang } from '../state/prefs.js';

/** @param {{kind: string}} props */
export function Steps({ kind }) {
  const list = (STEPS[kind] ?? STEPS.other)[lang.value];
  return html`<section class="card steps"><h2>${t('steps', { kind: kindWord(kind) })}</h2>
    <ol>${list.map((step) => (step.startsWith('!') ? html`<li class="no">${step.slice(1)}</li>` : html`<li>${step}</li>`))}</ol>
  </section>`;
}
