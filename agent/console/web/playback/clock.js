// @ts-check
// The one clock of the playback page: all pictures follow it, so that up to four
// cameras show the same moment of the station. It stands while a picture that is
// there has still to come, and passes over what nobody has recorded.
import { batch, signal } from '../html.js';

/** Where it stands, ms since 1970. */
export const position = signal(0);
export const playing = signal(false);
export const rate = signal(1);
/** It waits for a picture. */
export const waiting = signal(false);

export const rates = /** @type {const} */ ([0.25, 0.5, 1, 2, 4, 8, 16]);
/** Above this speed only key pictures are shown. */
export const keysAbove = 4;
const holdMost = 8_000; // a camera that is so long in coming is not waited for

/**
 * What a camera says about a moment.
 * @typedef {{ready: (at: number) => 'ready'|'loading'|'none', next: (at: number) => number}} Follower
 */

/** @type {Set<Follower>} */
const followers = new Set();
let turned = 0;
let held = 0;

/** @param {Follower} f @returns {() => void} */
export function join(f) {
  followers.add(f);
  return () => followers.delete(f);
}

/** @param {number} at */
export function seek(at) {
  held = 0;
  position.value = at;
  for (const f of followers) f.ready(at);
}

/** @param {boolean} on */
export function play(on) {
  turned = performance.now();
  held = 0;
  playing.value = on;
}

/** @param {number} step along the list of speeds */
export function faster(step) {
  const i = rates.indexOf(/** @type {any} */ (rate.peek()));
  rate.value = rates[Math.min(rates.length - 1, Math.max(0, i + step))];
}

const skipAfter = 1_500; // ms for which an empty stretch is shown before it is passed over
let emptySince = 0;

/** Moves the clock on. @param {number} newest how far the record reaches */
export function tick(newest) {
  const now = performance.now();
  const passed = Math.min(now - turned, 500);
  turned = now;
  const at = position.peek();
  const said = [...followers].map((f) => f.ready(at));
  const busy = said.includes('loading');
  if (!playing.peek()) {
    if (waiting.peek() !== busy) waiting.value = busy;
    return;
  }
  held = busy ? held + passed : 0;
  const hold = busy && held < holdMost;
  if (waiting.peek() !== hold) waiting.value = hold;
  if (hold) return;
  let to = at + passed * rate.peek();
  if (said.length && said.every((s) => s === 'none')) {
    emptySince ||= now;
    const next = Math.min(...[...followers].map((f) => f.next(at)));
    if (now - emptySince > skipAfter && Number.isFinite(next) && next > to) to = next;
  } else emptySince = 0;
  batch(() => {
    if (to >= newest && at <= newest) {
      to = Math.max(at, newest);
      if (rate.peek() > 1) rate.value = 1; // there is nothing ahead to hurry for
    }
    position.value = to;
  });
}
