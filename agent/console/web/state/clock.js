// @ts-check
// The station's time. The browser's own clock may be wrong; each status report
// of the server says what time it is there, and everything shown follows that.
import { signal } from '../html.js';

let skew = 0;
/** Milliseconds of the station's time, renewed at each full second. */
export const now = signal(Date.now());

/** The station's time at this moment. */
export const stationNow = () => Date.now() + skew;

/** @param {string} stamp the server's time, just now */
export function learnTime(stamp) {
  const theirs = Date.parse(stamp);
  if (Number.isNaN(theirs)) return;
  const next = theirs - Date.now();
  // Small differences are the way of the message; following them would make ages jitter.
  if (Math.abs(next - skew) > 700) {
    skew = next;
    now.value = stationNow();
  }
}

/** Starts ticking; ends never, the page is the clock's life. */
export function startClock() {
  const tick = () => {
    const at = stationNow();
    now.value = at;
    setTimeout(tick, 1000 - (at % 1000) + 5);
  };
  tick();
}
