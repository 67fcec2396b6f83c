// @ts-check
// Answering an alarm. One key press is one wish with one key of its own: it is
// sent again when the line fails, and counts once. For a minute it can be taken
// back, which is why nothing here asks "are you sure".
import { signal } from '../html.js';
import { newKey, post, Problem } from './api.js';
import { now, stationNow } from './clock.js';
import { putAlarm } from './store.js';
import { expired } from './session.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AnswerKind} AnswerKind */
/** @typedef {{id: string, alarm: Alarm, kind: AnswerKind, until: number}} Undo */

const undoWindow = 60_000;
const attempts = 4;

/** Answers that can still be taken back; the newest last. */
export const undos = signal(/** @type {Undo[]} */ ([]));
/** Alarms whose answer is on its way. */
export const sending = signal(/** @type {Set<string>} */ (new Set()));
/** What could not be done, for a person to read. */
export const failure = signal(/** @type {Problem|null} */ (null));

now.subscribe((at) => {
  if (undos.peek().some((u) => u.until <= at)) undos.value = undos.peek().filter((u) => u.until > at);
});

/** @param {string} id @param {AnswerKind} kind @param {string} note */
async function deliver(id, kind, note) {
  const key = newKey();
  for (let n = 1; ; n++) {
    try {
      return await post(`/alarms/${encodeURIComponent(id)}/answers`, { kind, note }, { 'Idempotency-Key': key });
    } catch (err) {
      const again = err instanceof Problem && (err.status === 0 || err.status >= 502) && n < attempts && !expired.peek();
      if (!again) throw err;
      await new Promise((done) => setTimeout(done, 400 * 2 ** n));
    }
  }
}

/** @param {Alarm} alarm @param {AnswerKind} kind @param {string} [note] */
export async function answer(alarm, kind, note = '') {
  if (sending.peek().has(alarm.id)) return;
  sending.value = new Set(sending.peek()).add(alarm.id);
  failure.value = null;
  try {
    const reply = await deliver(alarm.id, kind, note);
    if (reply?.alarm) putAlarm(reply.alarm);
    const others = undos.peek().filter((u) => u.alarm.id !== alarm.id);
    undos.value = kind === 'undo' ? others : [...others, { id: newKey(), alarm, kind, until: stationNow() + undoWindow }].slice(-3);
  } catch (err) {
    failure.value = err instanceof Problem ? err : new Problem(0, 'internal', String(err));
  } finally {
    const rest = new Set(sending.peek());
    rest.delete(alarm.id);
    sending.value = rest;
  }
}

/** @param {Undo} undo */
export const takeBack = (undo) => answer(undo.alarm, 'undo');

/** @param {Alarm} alarm the answers that stand, of those that are about what is going on now */
export const standing = (alarm) => (alarm.answers ?? []).slice(alarm.before ?? 0).filter((a) => !a.undone && a.kind !== 'undo');

/** @param {Alarm} alarm the last standing judgement: real, false or test */
export function verdict(alarm) {
  const list = standing(alarm).filter((a) => a.kind === 'real' || a.kind === 'false' || a.kind === 'test');
  return list.length ? list[list.length - 1].kind : '';
}
