// @ts-check
// What an officer does about an alarm beside answering it: takes it in hand,
// logs a call, writes a note, puts it on the shelf. Each is one request; what
// comes back takes the alarm's place, and what failed is said where answers are.
import { batch } from '../html.js';
import { newKey, post, Problem, remove, request } from './api.js';
import { failure } from './answering.js';
import { seat } from './prefs.js';
import { loadDetail, putAlarm, putResponse } from './store.js';

/** @typedef {import('../records.js').Alarm} Alarm */

/** @param {Alarm} alarm @param {() => Promise<any>} deed */
async function done(alarm, deed) {
  failure.value = null;
  try {
    const reply = await deed();
    batch(() => {
      if (reply?.alarm?.id) putAlarm(reply.alarm);
      else if (reply?.id === alarm.id) putAlarm(reply);
      if (reply?.response) putResponse(reply.response);
      else if (reply?.alarm === alarm.id) putResponse(reply);
    });
    if (!reply) await loadDetail(alarm.id);
    return true;
  } catch (err) {
    failure.value = err instanceof Problem ? err : new Problem(0, 'internal', String(err));
    return false;
  }
}

/** @param {Alarm} alarm @param {string} rest */
const at = (alarm, rest) => `/alarms/${encodeURIComponent(alarm.id)}/${rest}`;
const once = () => ({ 'Idempotency-Key': newKey() });

/** @param {Alarm} alarm */
export const take = (alarm) => done(alarm, () => post(at(alarm, 'take'), { seat: seat.peek() }, once()));
/** @param {Alarm} alarm */
export const giveBack = (alarm) => done(alarm, () => remove(at(alarm, 'take')));
/** @param {Alarm} alarm @param {string} text */
export const addNote = (alarm, text) => done(alarm, () => post(at(alarm, 'notes'), { text }, once()));
/** @param {Alarm} alarm @param {number} minutes @param {string} why */
export const shelve = (alarm, minutes, why) => done(alarm, () => post(at(alarm, 'shelf'), { minutes, why }, once()));
/** @param {Alarm} alarm */
export const unshelve = (alarm) => done(alarm, () => remove(at(alarm, 'shelf')));
/** @param {Alarm} alarm @param {string} to @param {boolean} reached @param {string} [note] */
export const logCall = (alarm, to, reached, note = '') => done(alarm, () => post(at(alarm, 'calls'), { to, reached, note }, once()));

/** Answers many at once; each has its own result. @param {string[]} ids @param {string} kind @returns {Promise<number>} how many were recorded */
export async function answerMany(ids, kind) {
  failure.value = null;
  try {
    const reply = await request('POST', '/alarms/answers', { ids, kind, note: '' }, once());
    const results = /** @type {any[]} */ (reply?.results ?? []);
    batch(() => {
      for (const r of results) if (r.alarm?.id) putAlarm(r.alarm);
    });
    const bad = results.find((r) => r.problem);
    if (bad) failure.value = new Problem(409, bad.problem.code ?? '', bad.problem.message ?? '');
    return results.filter((r) => !r.problem).length;
  } catch (err) {
    failure.value = err instanceof Problem ? err : new Problem(0, 'internal', String(err));
    return 0;
  }
}
