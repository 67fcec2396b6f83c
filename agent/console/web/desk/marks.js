// @ts-check
// What must be known of an alarm beside what it says: that it is a test, came
// late, comes and goes, or that the device's clock is wrong.
import { html } from '../html.js';
import { t } from '../words/words.js';
import { hm, span } from '../words/times.js';

/** @typedef {import('../records.js').Alarm} Alarm */

const skewTold = 5 * 60e9; // a device clock that is further off is worth a word, in ns

/** @param {Alarm} alarm @returns {[string, string][]} name of the mark and its word */
export function marksOf(alarm) {
  /** @type {[string, string][]} */
  const list = [];
  if (alarm.test) list.push(['test', t('mark.test')]);
  if (alarm.important) list.push(['important', t('mark.important')]);
  if (alarm.late) list.push(['late', t('mark.late')]);
  else if (alarm.waited) list.push(['waited', t('mark.waited')]);
  if (alarm.chattering) list.push(['chattering', t('mark.chattering')]);
  if (alarm.shelf) list.push(['shelved', t('mark.shelved', { time: hm(alarm.shelf.until) })]);
  if (alarm.suppressed) list.push(['suppressed', t(`mark.suppressed.${/** @type {'maintenance'} */ (known(alarm.suppressed))}`)]);
  if (alarm.worked && alarm.suppressed !== 'maintenance') list.push(['worked', t('mark.worked', { n: alarm.worked })]);
  if (Math.abs(alarm.skew ?? 0) > skewTold) list.push(['skewed', t((alarm.skew ?? 0) > 0 ? 'mark.clock.fast' : 'mark.clock.slow', { span: span(Math.abs(alarm.skew ?? 0) / 1e6) })]);
  return list;
}

/** @param {string} why */
const known = (why) => (['maintenance', 'bridge', 'schedule', 'flood'].includes(why) ? why : 'other');

/** @param {{alarm: Alarm}} props */
export function Marks({ alarm }) {
  const list = marksOf(alarm);
  if (!list.length) return null;
  return html`<ul class="marks" aria-label=${t('marks')}>${list.map(([name, word]) => html`<li key=${name} data-testid=${`mark-${name}`} class=${name}>${word}</li>`)}</ul>`;
}
