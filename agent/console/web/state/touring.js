// @ts-check
// Going a tour: one camera after the other, each for its time, and the record of who
// watched what when. The round lives beside the pages, so that an alarm that takes
// the screen interrupts it and does not end it.
import { effect, signal, untracked } from '../html.js';
import { newKey, post, put, Problem } from './api.js';
import { now, stationNow } from './clock.js';
import { seat } from './prefs.js';
import { go, route } from './route.js';
import { display } from './session.js';
import { cameraRow, happening, isForeign } from './store.js';
import { groups, loadWalls, tours } from './walls.js';

/** @typedef {import('../records.js').Tour} Tour */
/** @typedef {import('../records.js').PatrolView} PatrolView */
/** @typedef {import('../records.js').PatrolBreak} PatrolBreak */
/** @typedef {{camera: string, dwell: number, preset: string}} Step */
/** @typedef {{id: string, tour: Tour, steps: Step[], at: number, since: number, shown: number, started: number, views: PatrolView[], breaks: PatrolBreak[], paused: boolean, interrupted: boolean, asking: boolean, done: boolean}} Run */

const longest = 3_600_000; // a round that nobody confirms goes into the log each hour
const backAfter = 15_000; // a display goes back to its tour when the alarm has been answered for so long

export const run = signal(/** @type {Run|null} */ (null));
/** What could not be written down; it is tried again with the next word. */
export const unsaved = signal(/** @type {Problem|null} */ (null));
/** The step whose camera could not be turned to its place; −1 is none. */
export const unturned = signal(-1);
/** Whether the picture on the screen moves; told by the page. */
export const moving = signal(false);

/** @param {number} ms */
const iso = (ms) => new Date(ms).toISOString();
/** Whether people confirm what they saw. @param {Run} r */
export const confirms = (r) => Boolean(r.tour.confirm) && !display.peek();

/** @param {Tour} tour @returns {Step[]} with the groups opened out, and without what is not there */
export function stepsOf(tour) {
  return tour.steps.flatMap((s) =>
    (s.camera ? [s.camera] : (groups.peek().find((g) => g.id === s.group)?.cameras ?? []))
      .filter((c) => cameraRow(c))
      .map((camera) => ({ camera, dwell: s.dwell || tour.dwell, preset: s.preset ?? '' })),
  );
}

/** @param {Partial<Run>} part */
function change(part) {
  const r = run.peek();
  if (r) run.value = { ...r, ...part };
}

/** @param {Tour} tour */
export function start(tour) {
  const steps = stepsOf(tour);
  if (!steps.length) return;
  const at = stationNow();
  run.value = { id: newKey(), tour, steps, at: 0, since: at, shown: 0, started: at, views: [], breaks: [], paused: false, interrupted: false, asking: false, done: false };
  save();
  go('tours', tour.id);
}

/** The view of the picture on the screen; of a tour that nobody confirms there is one for each camera. @param {Run} r */
function viewAt(r) {
  const { camera } = r.steps[r.at];
  const i = confirms(r) ? r.at : r.views.findIndex((v) => v.camera === camera);
  return { camera, i: i >= 0 && i < r.views.length ? i : r.views.length };
}

/** Turns the camera to the step's place. @param {Run} r */
function turn(r) {
  const { camera, preset } = r.steps[r.at];
  unturned.value = -1;
  if (preset) post(`/cameras/${encodeURIComponent(camera)}/presets/${encodeURIComponent(preset)}`).catch(() => run.peek()?.id === r.id && (unturned.value = r.at));
}

/** Counts a second of looking, and goes on when the time is over. */
function tick() {
  const r = run.peek();
  if (!r || r.interrupted || r.asking || r.done || route.peek().page !== 'tours' || document.hidden) return;
  const at = stationNow();
  const { camera, i } = viewAt(r);
  const fresh = r.shown === 0;
  if (fresh) turn(r);
  const old = r.views[i] ?? { camera, name: cameraRow(camera)?.camera.name ?? '', from: iso(at), to: iso(at), seconds: 0, dark: 0, times: 0 };
  /** @type {PatrolView} */
  const view = { ...old, to: iso(at), seconds: fresh ? old.seconds : old.seconds + 1, dark: (old.dark ?? 0) + (fresh || moving.peek() ? 0 : 1), times: (old.times ?? 0) + (fresh ? 1 : 0) };
  const views = [...r.views];
  views[i] = view;
  change({ views, shown: r.shown + 1 });
  if (r.paused || r.shown < r.steps[r.at].dwell) return;
  if (r.tour.confirm === 'step' && confirms(r) && !view.result) return; // it waits for a word
  next();
}

export function next() {
  const r = run.peek();
  if (!r || r.done) return;
  if (r.at + 1 < r.steps.length) return change({ at: r.at + 1, since: stationNow(), shown: 0 });
  if (!confirms(r)) {
    if (stationNow() - r.started < longest) return change({ at: 0, since: stationNow(), shown: 0 });
    end(true);
    const open = tours.peek().find((v) => v.tour.id === r.tour.id)?.open;
    if (!display.peek() || open) start(r.tour);
    else go('desk');
    return;
  }
  if (r.views.some((v) => !v.result)) return change({ asking: true });
  end(true);
}

export function previous() {
  const r = run.peek();
  if (r && !r.done) change({ at: (r.at + r.steps.length - 1) % r.steps.length, since: stationNow(), shown: 0, asking: false });
}

/** @param {boolean} paused */
export const pause = (paused) => change({ paused });

/** What is said of a picture; of all that nothing was said of yet when i is -1. @param {number} i @param {'normal'|'note'|'report'} result @param {string} [note] */
export function say(i, result, note = '') {
  const r = run.peek();
  if (!r) return;
  const at = iso(stationNow());
  change({ views: r.views.map((v, n) => (n === i || (i < 0 && !v.result) ? { ...v, result, note: note.trim(), at } : v)) });
  const after = /** @type {Run} */ (run.peek());
  if (after.asking) {
    if (after.views.every((v) => v.result)) end(true);
    else save();
    return;
  }
  save();
  if (r.tour.confirm === 'step' && i === r.at) next();
}

/** @param {Run} r @param {string} [ended] @param {boolean} [complete] */
const order = (r, ended, complete = false) => ({ tour: r.tour.id, seat: seat.peek(), started: iso(r.started), ...(ended ? { ended } : {}), complete, views: r.views, breaks: r.breaks });

let saving = Promise.resolve();

/** Tells the station of the round as it is now, one word after the other: what comes behind the end is refused. @param {string} [ended] @param {boolean} [complete] */
function save(ended, complete) {
  const r = run.peek();
  if (!r) return saving;
  const body = order(r, ended, complete);
  saving = saving.then(async () => {
    try {
      await put(`/patrols/${r.id}`, body);
      unsaved.value = null;
    } catch (err) {
      unsaved.value = err instanceof Problem ? err : new Problem(0, 'internal', String(err));
    }
  });
  return saving;
}

/** Ends the round. @param {boolean} whole every picture was looked at */
export function end(whole) {
  const r = run.peek();
  if (!r || r.done) return;
  const all = whole && r.steps.every((s) => r.views.some((v) => v.camera === s.camera));
  change({ done: true, asking: false });
  save(iso(stationNow()), all).then(() => loadWalls().catch(() => {}));
  if (!confirms(r) || !whole) run.value = null;
}

/** Away with what is over. */
export const dismiss = () => (run.value = null);

/** An alarm takes the screen; the round waits. @param {string} alarm */
function interrupt(alarm) {
  const r = run.peek();
  if (!r || r.interrupted || r.done) return;
  change({ interrupted: true, breaks: [...r.breaks, { alarm, from: iso(stationNow()) }] });
  save();
  go('desk');
}

export function resume() {
  const r = run.peek();
  if (!r) return;
  const last = r.breaks.length - 1;
  change({ interrupted: false, since: stationNow(), shown: 0, breaks: r.breaks.map((b, i) => (i === last ? { ...b, to: iso(stationNow()) } : b)) });
  save();
  go('tours', r.tour.id);
}

/** Alarms that this seat has to deal with. */
export const calling = () => happening.value.filter((a) => !a.test && !isForeign(a.node));

/** Starts counting; for as long as the page lives. */
export function startTouring() {
  effect(() => {
    now.value;
    untracked(tick);
  });
  effect(() => {
    const first = calling()[0];
    if (first) untracked(() => interrupt(first.id));
  });
  // Who goes to another page has ended the round, unless an alarm took them there.
  effect(() => {
    const { page } = route.value;
    untracked(() => {
      const r = run.peek();
      if (r && page !== 'tours' && !r.interrupted) {
        end(false);
        run.value = null;
      }
    });
  });
  addEventListener('pagehide', () => {
    const r = run.peek();
    if (!r || r.done) return;
    fetch(`/api/v1/patrols/${r.id}`, { method: 'PUT', keepalive: true, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(order(r, iso(stationNow()))) }).catch(() => {});
  });
  // A display goes what is due by itself, and goes on when the alarm is over.
  let quietSince = 0;
  effect(() => {
    const at = now.value;
    const busy = calling().length > 0;
    const list = tours.value;
    untracked(() => {
      if (!display.peek() || busy) {
        quietSince = 0;
        return;
      }
      quietSince ||= at;
      const r = run.peek();
      if (r?.interrupted && at - quietSince > backAfter) resume();
      else if (!r && route.peek().page === 'desk') {
        const due = list.find((v) => v.due && v.open);
        if (due) start(due.tour);
      }
    });
  });
}
