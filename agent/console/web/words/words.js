// @ts-check
// How the console speaks: one table, Chinese first, English beside it. What the
// server names by a code is looked up here; what the table does not know is said
// in general words, never as a code.
import { MESSAGES } from './messages.js';
import { lang } from '../state/prefs.js';

/** @typedef {keyof typeof MESSAGES} Key */
/** @typedef {Record<string, string|number|null|undefined>} Args */

/** @type {Record<string, readonly [string, string]>} */
const table = MESSAGES;

/** @param {string} text @param {Args} [args] */
function fill(text, args) {
  return args ? text.replace(/\{(\w+)\}/g, (_, name) => String(args[name] ?? '')) : text;
}

/**
 * Says a sentence of the table in the user's language.
 * @param {Key} key @param {Args} [args]
 */
export function t(key, args) {
  return fill(table[key][lang.value === 'en' ? 1 : 0], args);
}

/**
 * Like t, for keys that are made at run time; empty when the table has none.
 * @param {string} key @param {Args} [args]
 */
export function wordFor(key, args) {
  const row = table[key];
  return row ? fill(row[lang.value === 'en' ? 1 : 0], args) : '';
}

/** @param {string} kind of an alarm */
export const kindWord = (kind) => wordFor(`kind.${kind}`) || t('kind.other');
/** @param {string} name of a sensor's class */
export const classWord = (name) => wordFor(`class.${name}`) || t('class.other');
/** @param {string} kind of an answer */
export const answerWord = (kind) => wordFor(`answer.${kind}`);
/** @param {string} role */
export const roleWord = (role) => wordFor(`role.${role}`) || role;

/** @typedef {{label: string, text: string}} Fact */

const units = /** @type {Record<string, string>} */ ({
  temperature: '℃', humidity: '%', battery: '%', level: ' cm', angle: '°', voltage: ' V', linkquality: '', pressure: ' hPa', illuminance: ' lx',
});

/**
 * A reading's field in words. Fields that only say "no" of a fault are kept too:
 * that the detector sees no smoke is a fact.
 * @param {string} field @param {boolean|number|string} value @returns {Fact}
 */
export function valueWord(field, value) {
  const label = wordFor(`field.${field}`) || field.replace(/_/g, ' ');
  if (typeof value === 'boolean') return { label, text: wordFor(`field.${field}.${value ? 'yes' : 'no'}`) || t(value ? 'yes' : 'no') };
  if (typeof value === 'number') {
    const round = Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 10) / 10;
    const mv = field === 'voltage' && Math.abs(value) > 100; // Zigbee devices tell millivolts
    return { label, text: `${mv ? Math.round(value / 10) / 100 : round}${units[field] ?? ''}` };
  }
  return { label, text: wordFor(`value.${String(value).toLowerCase()}`) || String(value) };
}

/** Faults that are worth a word only when they are there. */
const faults = new Set(['battery_low', 'tamper', 'fault']);

/** Whether a field's value says nothing to an officer. @param {string} field @param {boolean|number|string|undefined} value */
export const saysNothing = (field, value) => technicalFields.has(field) || (faults.has(field) && !value);

/** Fields that say nothing to an officer. */
const technicalFields = new Set(['linkquality', 'update', 'update_available', 'last_seen', 'device', 'voltage', 'self_test', 'test', 'device_temperature', 'f_port', 'f_cnt', 'dr', 'snr']);

/**
 * What a sensor says, for a line of a list: what alarms first, and a field of the
 * maker's own naming only where there is nothing better.
 * @param {Record<string, any>|undefined} values @param {string} cls the sensor's class @param {number} most @returns {Fact[]}
 */
export function shortly(values, cls, most) {
  const all = Object.entries(values ?? {}).filter(([f, v]) => !saysNothing(f, v));
  const known = all.filter(([f]) => wordFor(`field.${f}`));
  return (known.length ? known : all).sort(([a], [b]) => Number(b === cls) - Number(a === cls)).slice(0, most).map(([f, v]) => valueWord(f, v));
}
