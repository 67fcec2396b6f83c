// @ts-check
// What the playback page looks at: which cameras, which stretch of time, and what
// there is of them.
import { computed, effect, signal } from '../html.js';
import { get, Problem } from '../state/api.js';
import { stationNow } from '../state/clock.js';
import { position } from './clock.js';

/** @typedef {{from: number, to: number}} Stretch */
/** @typedef {{from: number, to: number, reason: string}} Gap */
/** @typedef {{alarm: string, kind: string, severity: string, state: string, name: string, place: string, test: boolean, from: number, to: number}} Happening */
/** A setting of the clock: the new time, and by how many ms. @typedef {{at: number, by: number}} Step */
/** @typedef {{from: number, to: number, class: string}} Held */
/** @typedef {{camera: string, from: number, to: number, at: number, recorded: Stretch[], gaps: Gap[], steps: Step[], held: Held[], events: Happening[]}} Line */

export const day = 86_400_000;
export const mostCameras = 4;
export const shortest = 60_000; // of what the timeline shows
const freshFor = 5_000;

/** The cameras that are shown, in their order. */
export const chosen = signal(/** @type {string[]} */ ([]));
/** The one whose sound is heard and whose days stand in the calendar. */
export const first = computed(() => chosen.value[0] ?? '');
/** The stretch that the timeline shows. */
export const view = signal({ from: 0, to: day });
export const lines = signal(/** @type {Map<string, Line>} */ (new Map()));
export const problem = signal(/** @type {Problem|null} */ (null));
/** Counts up when exports or evidence changed. */
export const filed = signal(0);

/** @param {number} at the beginning of its day, as the browser's zone has it */
export const dayOf = (at) => new Date(at).setHours(0, 0, 0, 0);
/** @param {number} at */
export const nextDay = (at) => {
  const d = new Date(dayOf(at));
  d.setDate(d.getDate() + 1);
  return d.getTime();
};

/** @param {any} body @param {number} from @param {number} to @returns {Line} */
function lineOf(body, from, to) {
  const ms = (/** @type {string} */ x) => Date.parse(x);
  return {
    camera: body.camera, from, to, at: stationNow(),
    recorded: (body.recorded ?? []).map((/** @type {any} */ s) => ({ from: ms(s.from), to: ms(s.to) })),
    gaps: (body.gaps ?? []).map((/** @type {any} */ g) => ({ from: ms(g.from), to: ms(g.to), reason: g.reason })),
    steps: (body.steps ?? []).map((/** @type {any} */ s) => ({ at: ms(s.at), by: s.by / 1e6 })),
    held: (body.held ?? []).map((/** @type {any} */ h) => ({ from: ms(h.from), to: ms(h.to), class: h.class })),
    events: (body.events ?? []).map((/** @type {any} */ e) => ({ ...e, place: e.place ?? '', test: !!e.test, from: ms(e.from), to: e.to ? ms(e.to) : NaN })),
  };
}

/** @type {Map<string, number>} */
const asked = new Map();

/** Fetches what there is of a camera around the view. @param {string} camera @param {boolean} [anew] */
export async function loadLine(camera, anew = false) {
  const v = view.peek();
  const from = Math.min(dayOf(v.from), dayOf(position.peek()));
  const to = Math.max(nextDay(v.to - 1), nextDay(position.peek()));
  const had = lines.peek().get(camera);
  if (!anew && had && had.from <= v.from && had.to >= v.to && had.from <= position.peek() && had.to > position.peek()) return;
  const turn = (asked.get(camera) ?? 0) + 1;
  asked.set(camera, turn);
  try {
    const body = await get(`/cameras/${encodeURIComponent(camera)}/timeline?${new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString() })}`);
    if (asked.get(camera) !== turn) return;
    lines.value = new Map(lines.peek()).set(camera, lineOf(body, from, to));
    problem.value = null;
  } catch (err) {
    if (err instanceof Problem) problem.value = err;
    else throw err;
  }
}

/** Whether it is known what there is at a moment. @param {string} camera @param {number} at */
export const listed = (camera, at) => {
  const line = lines.peek().get(camera);
  return !!line && at >= line.from && at < line.to;
};
/** What is recorded there, and until when; null where nothing is. @param {string} camera @param {number} at */
export const recordedAt = (camera, at) => lines.peek().get(camera)?.recorded.find((s) => at >= s.from && at < s.to) ?? null;
/** @param {string} camera @param {number} at */
export const gapAt = (camera, at) => lines.value.get(camera)?.gaps.find((g) => at >= g.from && at < g.to) ?? null;
/** Where the next recorded stretch begins. @param {string} camera @param {number} at */
export const nextRecorded = (camera, at) => Math.min(...(lines.peek().get(camera)?.recorded ?? []).filter((s) => s.to > at).map((s) => Math.max(s.from, at)), Infinity);
/** How far any of the shown cameras is recorded, as far as is known. */
export const newest = computed(() => Math.max(0, ...chosen.value.map((c) => lines.value.get(c)?.recorded.at(-1)?.to ?? 0)));

/** All alarms in the shown cameras' sight, each once, the oldest first. */
export const happenings = computed(() => {
  /** @type {Map<string, Happening>} */
  const all = new Map();
  for (const c of chosen.value) for (const e of lines.value.get(c)?.events ?? []) all.set(e.alarm, e);
  return [...all.values()].sort((a, b) => a.from - b.from);
});

/** The settings of the station's clock, each once: every camera notes it with its next picture. */
export const settings = computed(() => {
  /** @type {Step[]} */
  const all = [];
  for (const c of chosen.value) for (const s of lines.value.get(c)?.steps ?? []) if (!all.some((x) => Math.abs(x.at - s.at) < 30_000 && Math.abs(x.by - s.by) < 1_000)) all.push(s);
  return all.sort((a, b) => a.at - b.at);
});

/** Keeps what is shown in step with what is chosen. @returns {() => void} */
export function startLines() {
  const stop = effect(() => {
    view.value;
    Math.floor(position.value / 60_000);
    for (const c of chosen.value) loadLine(c);
  });
  const timer = setInterval(() => {
    // The newest hours grow.
    const now = stationNow();
    if (document.hidden || view.peek().to < now - day) return;
    for (const c of chosen.peek()) if (now - (lines.peek().get(c)?.at ?? 0) > freshFor) loadLine(c, true);
  }, freshFor);
  return () => {
    stop();
    clearInterval(timer);
  };
}

/** Shows another stretch, not shorter than a minute nor longer than a week. @param {number} from @param {number} to */
export function look(from, to) {
  const length = Math.min(Math.max(to - from, shortest), 7 * day);
  const middle = (from + to) / 2;
  view.value = { from: middle - length / 2, to: middle + length / 2 };
}

/** Zooms about a moment. @param {number} by @param {number} at */
export function zoom(by, at) {
  const v = view.peek();
  const length = Math.min(Math.max((v.to - v.from) * by, shortest), 7 * day);
  const share = (at - v.from) / (v.to - v.from);
  view.value = { from: at - share * length, to: at + (1 - share) * length };
}

/** Moves the view so that a moment is in sight. @param {number} at */
export function bringIntoView(at) {
  const v = view.peek();
  if (at >= v.from && at <= v.to) return;
  const length = v.to - v.from;
  if (length >= day * 0.98 && length <= day * 1.02) view.value = { from: dayOf(at), to: nextDay(at) };
  else view.value = { from: at - length / 2, to: at + length / 2 };
}
