// @ts-check
// Why an alarm was raised, as a sentence: "温度 61℃ > 60℃，持续 2 分".
import { t, valueWord, wordFor } from '../words/words.js';
import { span } from '../words/times.js';

/** @typedef {import('../records.js').Signal} Signal */

const signs = /** @type {Record<string, string>} */ ({ gt: '>', ge: '≥', lt: '<', le: '≤', ne: '≠' });

/** How long and how often, where a rule asks for it. @param {import('../records.js').Timing|undefined} timing */
export function timingWords(timing) {
  const list = [];
  if (timing?.for) list.push(t('why.for', { span: span(timing.for / 1e6) }));
  if ((timing?.count ?? 0) > 1) list.push(t(timing?.within ? 'why.countWithin' : 'why.count', { n: timing?.count, span: span((timing?.within ?? 0) / 1e6) }));
  return list;
}

/** @param {Signal|null|undefined} why @returns {string} empty where nothing is known */
export function whyWords(why) {
  if (!why) return '';
  const list = [];
  if (why.expr) list.push(t('why.expr'));
  else if (why.field && why.value !== undefined) {
    const is = valueWord(why.field, why.value);
    const limit = why.limit !== undefined && signs[why.op ?? ''] ? ` ${signs[why.op ?? '']} ${valueWord(why.field, why.limit).text}` : '';
    list.push(`${is.label} ${is.text}${limit}`);
  } else if (why.field) list.push(wordFor(`field.${why.field}`) || why.field);
  return [...list, ...timingWords(why.timing)].join(t('comma'));
}
