// @ts-check
// A rule as a sentence: "温度 高于 60℃，持续 2 分 → 温度异常".
import { timingWords } from '../desk/why.js';
import { kindWord, t, valueWord, wordFor } from './words.js';

/** @typedef {import('../records.js').Rule} Rule */

/** When it holds. @param {Rule} rule */
export function conditionWords(rule) {
  if (rule.expr) return rule.expr;
  const is = valueWord(rule.field, rule.value);
  const text = rule.op === 'eq' && typeof rule.value === 'boolean' ? `${is.label} ${is.text}` : `${is.label} ${wordFor(`op.${rule.op}`)} ${is.text}`;
  return [text, ...timingWords(rule)].join(t('comma'));
}

/** @param {Rule} rule */
export const ruleWords = (rule) => `${conditionWords(rule)} → ${kindWord(rule.kind)}`;
