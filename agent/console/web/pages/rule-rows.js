// @ts-check
// When a sensor alarms: the usual way of its class, or rules of its own, each
// read as a sentence: "temperature · above · 60 → temperature alarm".
import { html } from '../html.js';
import { kindWord, t, wordFor } from '../words/words.js';

/** @typedef {import('../records.js').Rule} Rule */

const kinds = ['smoke', 'gas', 'water', 'sos', 'manhole', 'door', 'motion', 'temperature', 'level', 'tamper', 'battery'];
const ops = ['eq', 'ne', 'gt', 'ge', 'lt', 'le'];

/** "true" and "60" as what they mean @param {string} text @returns {boolean|number|string} */
function valueOf(text) {
  const s = text.trim();
  if (s === 'true' || s === 'false') return s === 'true';
  return s !== '' && !Number.isNaN(Number(s)) ? Number(s) : s;
}

/** @param {{rules: Rule[], onRules: (r: Rule[]) => void}} props */
export function RuleRows({ rules, onRules }) {
  const own = rules.length > 0;
  /** @param {number} i @param {Partial<Rule>} part */
  const change = (i, part) => onRules(rules.map((r, n) => (n === i ? { ...r, ...part } : r)));
  return html`<fieldset class="field rules"><legend>${t('rules')}</legend>
    <div class="segments" role="radiogroup" aria-label=${t('rules')}>
      <button type="button" role="radio" aria-checked=${!own} onClick=${() => onRules([])}>${t('rules.usual')}</button>
      <button type="button" role="radio" aria-checked=${own} onClick=${() => own || onRules([{ kind: 'temperature', field: 'temperature', op: 'gt', value: 60 }])}>${t('rules.own')}</button>
    </div>
    ${rules.map((rule, i) => html`<div class="rule" key=${i}>
      <input aria-label=${t('rule.field')} value=${rule.field} onInput=${(/** @type {any} */ e) => change(i, { field: e.currentTarget.value.trim() })} spellcheck=${false} />
      <select aria-label=${t('rule.op')} value=${rule.op} onChange=${(/** @type {any} */ e) => change(i, { op: e.currentTarget.value })}>${ops.map((o) => html`<option value=${o} selected=${o === rule.op}>${wordFor(`op.${o}`)}</option>`)}</select>
      <input aria-label=${t('rule.value')} value=${String(rule.value)} onChange=${(/** @type {any} */ e) => change(i, { value: valueOf(e.currentTarget.value) })} spellcheck=${false} />
      <span>→</span>
      <select aria-label=${t('rule.kind')} value=${rule.kind} onChange=${(/** @type {any} */ e) => change(i, { kind: e.currentTarget.value })}>${[...new Set([...kinds, rule.kind])].map((k) => html`<option value=${k} selected=${k === rule.kind}>${kindWord(k)}</option>`)}</select>
      <button type="button" class="btn quiet" aria-label=${t('remove')} onClick=${() => onRules(rules.filter((_, n) => n !== i))}>✕</button>
    </div>`)}
    ${own && html`<button type="button" class="btn quiet" onClick=${() => onRules([...rules, { kind: 'temperature', field: 'temperature', op: 'gt', value: 60 }])}>＋ ${t('rules.more')}</button>`}
  </fieldset>`;
}
