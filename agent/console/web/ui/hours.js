// @ts-check
// Spans of the week: which days, from when to when. A span that ends before it
// begins goes on into the next day.
import { html } from '../html.js';
import { t } from '../words/words.js';

/** @typedef {import('../records.js').Span} Span */

const days = [1, 2, 3, 4, 5, 6, 7];

/** The spans in words: "周一至周五 08:30–17:30". @param {Span[]|undefined} list */
export function hoursWords(list) {
  if (!list?.length) return t('hours.always');
  return list.map((s) => `${daysWords(s.days)} ${s.from}–${s.to}`).join(t('comma'));
}

/** @param {number[]|undefined} list */
function daysWords(list) {
  if (!list?.length || list.length === 7) return t('hours.daily');
  const sorted = [...list].sort();
  const run = sorted.length > 2 && sorted[sorted.length - 1] - sorted[0] === sorted.length - 1;
  /** @param {number} d */
  const word = (d) => t(`day.${/** @type {1} */ (d)}`);
  return run ? `${word(sorted[0])}–${word(sorted[sorted.length - 1])}` : sorted.map(word).join(' ');
}

/** @param {{label: string, hint?: string, none: string, value: Span[], onValue: (v: Span[]) => void}} props none: what no span at all means */
export function HoursField({ label, hint, none, value, onValue }) {
  /** @param {number} i @param {Partial<Span>} part */
  const change = (i, part) => onValue(value.map((s, n) => (n === i ? { ...s, ...part } : s)));
  /** @param {number} i @param {number} d */
  const toggle = (i, d) => {
    const now = value[i].days?.length ? value[i].days : days;
    const next = now.includes(d) ? now.filter((x) => x !== d) : [...now, d].sort();
    change(i, { days: next.length === 7 ? [] : next });
  };
  return html`<fieldset class="field hours"><legend>${label}</legend>
    ${value.length === 0 && html`<p class="hint">${none}</p>`}
    ${value.map((s, i) => html`<div class="span" key=${i}>
      <div class="days" role="group" aria-label=${t('hours.days')}>${days.map((d) => html`<button type="button" key=${d} aria-pressed=${!s.days?.length || s.days.includes(d)} onClick=${() => toggle(i, d)}>${t(`day.${/** @type {1} */ (d)}`)}</button>`)}</div>
      <input type="text" inputmode="numeric" pattern="([01][0-9]|2[0-4]):[0-5][0-9]" maxlength="5" placeholder="08:30" aria-label=${t('hours.from')} value=${s.from} required onInput=${(/** @type {any} */ e) => change(i, { from: e.currentTarget.value })} /><span>–</span>
      <input type="text" inputmode="numeric" pattern="([01][0-9]|2[0-4]):[0-5][0-9]" maxlength="5" placeholder="17:30" aria-label=${t('hours.to')} value=${s.to} required onInput=${(/** @type {any} */ e) => change(i, { to: e.currentTarget.value })} />
      <button type="button" class="btn quiet" aria-label=${t('remove')} onClick=${() => onValue(value.filter((_, n) => n !== i))}>✕</button></div>`)}
    <button type="button" class="btn quiet" onClick=${() => onValue([...value, { days: [1, 2, 3, 4, 5], from: '08:30', to: '17:30' }])}>＋ ${t('hours.more')}</button>
    ${hint && html`<p class="hint">${hint}</p>`}</fieldset>`;
}

/** Chips for the severities. @param {{label: string, hint?: string, value: string[], onValue: (v: string[]) => void}} props */
export function SeverityField({ label, hint, value, onValue }) {
  return html`<fieldset class="field"><legend>${label}</legend><div class="chips">${/** @type {const} */ (['critical', 'major', 'minor']).map((s) => html`<label class="chip" key=${s}><input type="checkbox" checked=${value.includes(s)} onChange=${() => onValue(value.includes(s) ? value.filter((x) => x !== s) : [...value, s])} /><span>${t(`severity.${s}`)}</span></label>`)}</div>${hint && html`<p class="hint">${hint}</p>`}</fieldset>`;
}
