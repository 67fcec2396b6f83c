// @ts-check
// Which alarm the desk shows. A new alarm takes the desk only when nobody is at
// work on another one: a screen that changes under a finger about to press 误报
// would put the answer on the wrong alarm.
import { computed, effect, signal, untracked } from '../html.js';
import { alarms, happening, pending } from './store.js';
import { stationNow } from './clock.js';

/** @typedef {import('../records.js').Alarm} Alarm */

const guard = 700; // keys are ignored so long after one alarm took another's place by itself
const guardFirst = 250; // and after an alarm came to the quiet desk, where no key was meant for another
const linger = 45_000; // a finished alarm stays in sight so long
const busy = 4_000; // who touched the page so lately is at work on what is shown

/** The chosen alarm's id; empty shows the quiet desk. */
export const chosenId = signal('');
/** The officer looked away from the alarms (Esc). */
const looksAway = signal(false);
const nudge = signal(0);
let deafUntil = 0;
let touchedAt = -busy;

export const chosen = computed(() => alarms.value.get(chosenId.value) ?? null);

/** For how long nobody has touched the page, in milliseconds. */
export const idleFor = () => performance.now() - touchedAt;

/** Whether the desk has stood still long enough for a key to mean what is shown. */
export const settled = () => performance.now() > deafUntil;

/** @param {string} id chosen by a person */
export function choose(id) {
  deafUntil = 0; // who chose it knows what it is
  looksAway.value = id === '';
  chosenId.value = id;
}

/** @param {number} step down or up the list of what happens and waits */
export function chooseNext(step) {
  const list = [...happening.peek(), ...pending.peek()];
  if (!list.length) return;
  const at = list.findIndex((a) => a.id === chosenId.peek());
  choose(list[at < 0 ? 0 : Math.min(list.length - 1, Math.max(0, at + step))].id);
}

/** The next one that happens, round and round. */
export function nextLive() {
  const list = happening.peek();
  if (list.length) choose(list[(list.findIndex((a) => a.id === chosenId.peek()) + 1) % list.length].id);
}

/** @type {Set<string>} */
let known = new Set();

export function startChoice() {
  for (const type of ['pointerdown', 'keydown']) addEventListener(type, () => (touchedAt = performance.now()), { capture: true });
  effect(() => {
    nudge.value;
    const live = happening.value;
    const waiting = pending.value;
    const current = chosen.value;
    untracked(() => {
      const fresh = live.filter((a) => !known.has(a.id));
      const wait = touchedAt + busy - performance.now();
      if (current?.state === 'acknowledged' && fresh.length && wait > 0) {
        setTimeout(() => nudge.value++, wait); // known stays: it is still fresh then
        return;
      }
      known = new Set(live.map((a) => a.id));
      if (current?.state === 'raised') return; // somebody is at work on it
      let next = '';
      if (fresh.length) next = fresh[0].id;
      else if (!current && !looksAway.peek()) next = (live[0] ?? waiting[0])?.id ?? '';
      else if (current?.state === 'cleared' && live.length) next = live[0].id;
      if (next && next !== chosenId.peek()) {
        deafUntil = performance.now() + (current ? guard : guardFirst);
        looksAway.value = false;
        chosenId.value = next;
      }
    });
  });
}

/** Lets a finished alarm go from the desk after a while. @param {Alarm} alarm */
export function expire(alarm) {
  if (alarm.state === 'cleared' && alarm.clearedAt && stationNow() - Date.parse(alarm.clearedAt) > linger && !picked.has(alarm.id)) {
    chosenId.value = '';
    looksAway.value = false;
  }
}

/** Finished alarms that a person opened on purpose stay. @type {Set<string>} */
const picked = new Set();
/** @param {string} id */
export function pick(id) {
  picked.add(id);
  choose(id);
}
