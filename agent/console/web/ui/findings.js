// @ts-check
// What a probe of a camera found: the worst first, each with the setting to change.
import { html } from '../html.js';
import { t, wordFor } from '../words/words.js';

/** @typedef {import('../records.js').Finding} Finding */

/** A server's span "-2h3m4s" in words of few units. @param {string} text */
const span = (text) => text.replace(/^-/, '');

/** @param {{list: Finding[]}} props */
export function Findings({ list }) {
  return html`<ul class="findings" data-testid="findings">${list.map((f, i) => {
    const args = { ...f.args, offset: span(f.args?.offset ?? '') };
    const message = wordFor(`finding.${f.code}`, args) || wordFor(`problem.${f.code}`) || f.message;
    const hint = wordFor(`finding.${f.code}.hint`, args) || wordFor(`problem.${f.code}.hint`) || f.hint;
    return html`<li key=${i} class=${f.severity} data-code=${f.code} data-testid="finding"><i class="dot" aria-hidden="true"></i><div>
      <b>${f.stream && html`<span class="where">${t(/** @type {any} */ (`finding.${f.stream}`))}</span> `}${message}</b>${hint && html`<small>${hint}</small>`}</div></li>`;
  })}</ul>`;
}
