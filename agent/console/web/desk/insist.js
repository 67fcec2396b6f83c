// @ts-check
// How long nobody has answered, as steps: each step is louder and plainer than
// the one before. Nothing loops on the screen; what changes pulses three times.
import { computed, effect } from '../html.js';
import { now } from '../state/clock.js';
import { happening, isForeign } from '../state/store.js';

/** @typedef {import('../records.js').Alarm} Alarm */

/** From when on each step holds, in milliseconds; a critical one climbs faster. */
const steps = { critical: [20_000, 60_000], major: [60_000, 180_000], minor: [300_000, Infinity] };

/** 0, 1 or 2. @param {Alarm} alarm @param {number} at */
export function insistence(alarm, at) {
  if (alarm.state !== 'raised' || alarm.test || isForeign(alarm.node)) return 0;
  const age = at - Date.parse(alarm.raisedAt);
  return steps[alarm.severity].filter((from) => age >= from).length;
}

/** The highest step of all that happens now. */
export const insisting = computed(() => Math.max(0, ...happening.value.map((a) => insistence(a, now.value))));

/** Keeps the page's frame in step. */
export function startInsisting() {
  effect(() => {
    document.documentElement.dataset.insist = String(insisting.value);
  });
}
