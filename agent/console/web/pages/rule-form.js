// @ts-check
// A rule as a form: which reading, how compared, for how long, when it clears and
// when it is watched; or an expression in the advanced box. Each can be tried on
// what was recorded before it goes live.
import { html, useState } from '../html.js';
import { kindWord, t, valueWord, wordFor } from '../words/words.js';
import { span } from '../words/times.js';
import { newKey } from '../state/api.js';
import { served } from '../state/served.js';
import { lifeSafety } from '../state/store.js';
import { useLoad } from '../ui/load.js';
import { ruleWords } from '../words/rules.js';
import { Trial } from './sensor-rules.js';

/** @typedef {import('../records.js').Rule} Rule */
/** @typedef {{name: string, type: string, unit?: string, known?: boolean}} RuleField */

const kinds = ['smoke', 'gas', 'water', 'sos', 'manhole', 'door', 'motion', 'temperature', 'level', 'tamper', 'battery', 'other'];
const ops = ['eq', 'ne', 'gt', 'ge', 'lt', 'le'];
const second = 1e9; // durations travel in nanoseconds
const holds = [0, 10, 30, 60, 120, 300, 600, 1800, 3600];

/** A rule to begin with. @param {string} cls @returns {Rule} */
const fresh = (cls) => ({ id: `r-${newKey().slice(0, 8)}`, kind: cls === 'other' ? 'temperature' : cls, field: cls === 'other' ? 'temperature' : cls, op: 'gt', value: 60 });

/** "true" and "60" as what they mean @param {string} text @returns {boolean|number|string} */
function valueOf(text) {
  const s = text.trim();
  if (s === 'true' || s === 'false') return s === 'true';
  return s !== '' && !Number.isNaN(Number(s)) ? Number(s) : s;
}

/** The fields that rules of a class may look at. @param {string} cls */
export function useFields(cls) {
  const { data } = useLoad(served('/rules/fields') ? `/rules/fields?class=${encodeURIComponent(cls)}` : '');
  return { fields: /** @type {RuleField[]} */ (data?.fields ?? []), defaults: /** @type {Rule[]} */ (data?.defaults ?? []) };
}

/** @param {{rules: Rule[], onRules: (r: Rule[]) => void, cls: string, sensor?: string}} props */
export function RuleForms({ rules, onRules, cls, sensor }) {
  const { fields } = useFields(cls);
  const { data } = useLoad(served('/schedules') ? '/schedules' : '');
  return html`<div class="ruleforms">
    ${rules.map((rule, i) => html`<${RuleForm} key=${rule.id || i} rule=${rule} fields=${fields} schedules=${data?.schedules ?? []} cls=${cls} sensor=${sensor}
      onRule=${(/** @type {Rule} */ r) => onRules(rules.map((x, n) => (n === i ? r : x)))} onRemove=${() => onRules(rules.filter((_, n) => n !== i))} />`)}
    <button type="button" class="btn quiet" data-testid="rule-more" onClick=${() => onRules([...rules, fresh(cls)])}>＋ ${t('rules.more')}</button></div>`;
}

/** @param {{rule: Rule, fields: RuleField[], schedules: any[], cls: string, sensor?: string, onRule: (r: Rule) => void, onRemove: () => void}} props */
function RuleForm({ rule, fields, schedules, cls, sensor, onRule, onRemove }) {
  const [more, setMore] = useState(Boolean(rule.off || rule.count || rule.severity || rule.schedule || rule.expr || rule.name));
  /** @param {Partial<Rule>} part */
  const change = (part) => onRule({ ...rule, ...part });
  const names = [...new Set([...fields.map((f) => f.name), rule.field, cls].filter(Boolean))];
  const type = fields.find((f) => f.name === rule.field)?.type ?? (typeof rule.value === 'boolean' ? 'bool' : 'any');
  const yes = valueWord(rule.field, true).text;
  const no = valueWord(rule.field, false).text;
  const numeric = typeof rule.value === 'number';
  /** @param {number|undefined} ns */
  const options = (ns) => [...new Set([...holds, Math.round((ns ?? 0) / second)])].sort((a, b) => a - b).map((n) => html`<option value=${n} selected=${n === Math.round((ns ?? 0) / second)}>${n ? span(n * 1000) : t('duty.atOnce')}</option>`);
  return html`<section class="ruleform ${rule.disabled ? 'off' : ''}" data-testid="rule-form">
    <p class="sentence"><b>${rule.name || (rule.expr ? t('why.expr') : ruleWords(rule))}</b>${lifeSafety.has(rule.kind) && html`<i class="tag">${t('rule.safety')}</i>`}</p>
    ${!rule.expr && html`<div class="fields">
      <label>${t('rule.field')}<select class="typed" value=${rule.field} onChange=${(/** @type {any} */ e) => change({ field: e.currentTarget.value })}>${names.map((f) => html`<option value=${f} selected=${f === rule.field}>${wordFor(`field.${f}`) || f}</option>`)}</select></label>
      <label>${t('rule.op')}<select value=${rule.op} onChange=${(/** @type {any} */ e) => change({ op: e.currentTarget.value })}>${ops.map((o) => html`<option value=${o} selected=${o === rule.op}>${wordFor(`op.${o}`)}</option>`)}</select></label>
      <label>${t('rule.value')}${type === 'bool'
        ? html`<select value=${String(rule.value)} onChange=${(/** @type {any} */ e) => change({ value: e.currentTarget.value === 'true' })}><option value="true" selected=${rule.value === true}>${yes}</option><option value="false" selected=${rule.value === false}>${no}</option></select>`
        : html`<input value=${String(rule.value)} onChange=${(/** @type {any} */ e) => change({ value: valueOf(e.currentTarget.value) })} spellcheck=${false} />`}</label>
      ${numeric && html`<label>${t('rule.clear')}<input inputmode="decimal" value=${rule.clear ?? ''} placeholder=${t('rule.clear.same')} onChange=${(/** @type {any} */ e) => change({ clear: e.currentTarget.value.trim() === '' ? null : Number(e.currentTarget.value) })} /></label>`}</div>`}
    <div class="fields">
      <label>${t('rule.for')}<select onChange=${(/** @type {any} */ e) => change({ for: Number(e.currentTarget.value) * second })}>${options(rule.for)}</select></label>
      <label>${t('rule.kind')}<select value=${rule.kind} onChange=${(/** @type {any} */ e) => change({ kind: e.currentTarget.value })}>${[...new Set([...kinds, rule.kind])].map((k) => html`<option value=${k} selected=${k === rule.kind}>${kindWord(k)}</option>`)}</select></label>
    </div>
    ${more && html`<div class="fields">
      <label>${t('rule.off')}<select onChange=${(/** @type {any} */ e) => change({ off: Number(e.currentTarget.value) * second })}>${options(rule.off)}</select></label>
      <label>${t('rule.count')}<input inputmode="numeric" value=${rule.count || ''} placeholder="1" onChange=${(/** @type {any} */ e) => change({ count: Number(e.currentTarget.value) || 0, within: rule.within || 600 * second })} /></label>
      ${(rule.count ?? 0) > 1 && html`<label>${t('rule.within')}<select onChange=${(/** @type {any} */ e) => change({ within: Number(e.currentTarget.value) * second })}>${options(rule.within)}</select></label>`}
      <label>${t('rule.severity')}<select value=${rule.severity ?? ''} onChange=${(/** @type {any} */ e) => change({ severity: e.currentTarget.value })}><option value="">${t('rule.usual')}</option>${/** @type {const} */ (['critical', 'major', 'minor']).map((s) => html`<option value=${s} selected=${s === rule.severity}>${t(`severity.${s}`)}</option>`)}</select></label>
      <label>${t('rule.schedule')}<select value=${rule.schedule ?? ''} onChange=${(/** @type {any} */ e) => change({ schedule: e.currentTarget.value })}><option value="">${t('hours.always')}</option>${schedules.map((s) => html`<option value=${s.id} selected=${s.id === rule.schedule}>${s.name}</option>`)}</select></label>
      <label>${t('camera.name')}<input value=${rule.name ?? ''} maxlength="40" onChange=${(/** @type {any} */ e) => change({ name: e.currentTarget.value.trim() })} /></label></div>
      <label class="expr">${t('rule.expr')}<textarea rows="2" value=${rule.expr ?? ''} placeholder="temperature > 60 && humidity < 20" spellcheck=${false} data-testid="rule-expr" onChange=${(/** @type {any} */ e) => change({ expr: e.currentTarget.value.trim() })}></textarea><span class="hint">${t('rule.expr.hint')} <code>${names.slice(0, 8).join(' ')}</code></span></label>`}
    <div class="row"><button type="button" class="btn quiet" aria-expanded=${more} onClick=${() => setMore(!more)}>${t(more ? 'rule.less' : 'rule.more')}</button>
      <label class="dont"><input type="checkbox" checked=${!!rule.disabled} onChange=${(/** @type {any} */ e) => change({ disabled: e.currentTarget.checked })} />${t('channels.disabled')}</label>
      ${served('/rules/trial') && html`<${Trial} key=${JSON.stringify(rule)} sensor=${sensor} class=${cls} rule=${rule} />`}
      <span class="grow"></span><button type="button" class="btn quiet" onClick=${onRemove}>${t('remove')}</button></div>
  </section>`;
}

/** The choice between the usual rules of a class and own ones. @param {{rules: Rule[], onRules: (r: Rule[]) => void, cls: string, sensor?: string}} props */
export function OwnRules({ rules, onRules, cls, sensor }) {
  const own = rules.length > 0;
  return html`<fieldset class="field rules"><legend>${t('rules')}</legend>
    <div class="segments" role="radiogroup" aria-label=${t('rules')}>
      <button type="button" role="radio" aria-checked=${!own} onClick=${() => onRules([])}>${t('rules.usual')}</button>
      <button type="button" role="radio" aria-checked=${own} onClick=${() => own || onRules([fresh(cls)])}>${t('rules.own')}</button></div>
    ${own && html`<${RuleForms} rules=${rules} onRules=${onRules} cls=${cls} sensor=${sensor} />`}</fieldset>`;
}
