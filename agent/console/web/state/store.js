// @ts-check
// What the console knows: the records of the station, kept in step with the
// journal. Events carry whole records, so applying one is replacing one.
import { signal, computed, batch } from '../html.js';
import { get } from './api.js';
import { learnTime } from './clock.js';
import { loadServed, served } from './served.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').Clip} Clip */
/** @typedef {import('../records.js').CameraRow} CameraRow */
/** @typedef {import('../records.js').SensorRow} SensorRow */
/** @typedef {import('../records.js').Node} Node */
/** @typedef {import('../records.js').Status} Status */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */
/** @typedef {import('../records.js').JournalEvent} JournalEvent */
/** @typedef {import('../records.js').Plan} Plan */
/** @typedef {import('../records.js').Response} Response */

export const alarms = signal(/** @type {Map<string, Alarm>} */ (new Map()));
export const cameras = signal(/** @type {Map<string, CameraRow>} */ (new Map()));
export const sensors = signal(/** @type {Map<string, SensorRow>} */ (new Map()));
export const nodes = signal(/** @type {Map<string, Node>} */ (new Map()));
export const plans = signal(/** @type {Map<string, Plan>} */ (new Map()));
export const status = signal(/** @type {Status|null} */ (null));
/** What only the single alarm's page of the server knows: its clip, its sensor, the centre. */
export const details = signal(/** @type {Map<string, AlarmDetail>} */ (new Map()));
export const loaded = signal(false);

/** Cleared alarms that are kept at hand for the desk's lists. */
const keptCleared = 100;

/**
 * The key of a camera or sensor. A centre names what belongs to a station
 * "station.id"; a record that came up from the station may carry the bare id.
 * @param {string|undefined} node @param {string} id
 * @param {Map<string, any>} known
 */
function keyOf(node, id, known) {
  const full = node ? `${node}.${id}` : id;
  return known.has(full) || (node && !known.has(id) && !id.includes('.') && isForeign(node)) ? full : id;
}

/** This node's own id; set from the session. */
let self = '';
/** @param {string} id */
export function setSelf(id) {
  self = id;
}
/** Whether something belongs to another node than this one. @param {string} node */
export const isForeign = (node) => self !== '' && node !== self;

/** @param {string} id @param {string} [node] */
export function cameraRow(id, node) {
  const map = cameras.value;
  return (node && map.get(`${node}.${id}`)) || map.get(id) || null;
}

/** @param {string|undefined} id @param {string} [node] */
export function sensorRow(id, node) {
  if (!id) return null;
  const map = sensors.value;
  return (node && map.get(`${node}.${id}`)) || map.get(id) || null;
}

/** The name of the station that something belongs to, where it is not this one. @param {string|undefined} id */
export function nodeName(id) {
  if (!id || id === self) return '';
  return nodes.value.get(id)?.name || id;
}

/**
 * A row as it is kept: a state that nobody has reported yet is no state.
 * @template {CameraRow|SensorRow} R @param {R} row @returns {R}
 */
function known(row) {
  const s = row.state;
  const blank = !s || ('status' in s ? !s.status : Date.parse(s.lastSeen) <= 0);
  return blank ? { ...row, state: null } : row;
}

/** @template T @param {Map<string, T>} map @param {string} key @param {T|null} value */
function replaced(map, key, value) {
  const next = new Map(map);
  if (value === null) next.delete(key);
  else next.set(key, value);
  return next;
}

/** @param {Alarm} alarm */
export function putAlarm(alarm) {
  batch(() => {
    let next = replaced(alarms.peek(), alarm.id, alarm);
    if (next.size > keptCleared * 3) next = trimmed(next);
    alarms.value = next;
    const detail = details.peek().get(alarm.id);
    if (detail) details.value = replaced(details.peek(), alarm.id, { ...detail, alarm });
  });
}

/** @param {Map<string, Alarm>} map */
function trimmed(map) {
  const cleared = [...map.values()].filter((a) => a.state === 'cleared').sort((a, b) => (a.raisedAt < b.raisedAt ? 1 : -1));
  const next = new Map(map);
  for (const a of cleared.slice(keptCleared)) next.delete(a.id);
  return next;
}

/** @param {Clip} clip */
function putClip(clip) {
  for (const [id, detail] of details.peek()) {
    if (id === clip.alarm || detail.alarm.clip === clip.id) details.value = replaced(details.peek(), id, { ...detail, clip });
  }
}

/** @param {Response} response */
export function putResponse(response) {
  const detail = details.peek().get(response.alarm);
  if (detail) details.value = replaced(details.peek(), response.alarm, { ...detail, response });
}

/** @param {import('../records.js').Asked} asked */
export function putAsked(asked) {
  const detail = details.peek().get(asked.alarm);
  if (!detail) return;
  const others = (detail.asked ?? []).filter((x) => x.what !== asked.what);
  details.value = replaced(details.peek(), asked.alarm, { ...detail, asked: [...others, asked] });
}

/** Cards, plans and the like carry no record that says which of them they are; what is shown is asked for again. */
export const setupTurn = signal(0);

/** @param {Status} body */
export function putStatus(body) {
  learnTime(body.now);
  batch(() => {
    status.value = body;
    if (body.nodes) nodes.value = new Map(body.nodes.map((n) => [n.id, n]));
  });
}

/** @type {Record<string, (data: any) => void>} */
const apply = {
  'cityops.alarm.raised.v1': putAlarm,
  'cityops.alarm.repeated.v1': putAlarm,
  'cityops.alarm.answered.v1': putAlarm,
  'cityops.alarm.returned.v1': putAlarm,
  'cityops.alarm.cleared.v1': putAlarm,
  'cityops.alarm.received.v1': putAlarm,
  'cityops.alarm.changed.v1': putAlarm,
  'cityops.alarm.response.v1': putResponse,
  'cityops.alarm.asked.v1': putAsked,
  'cityops.mode.changed.v1': () => setupTurn.value++,
  'cityops.broadcast.v1': () => setupTurn.value++,
  'cityops.setup.changed.v1': () => {
    setupTurn.value++;
    loadPlans().catch(() => {});
  },
  'cityops.clip.ready.v1': putClip,
  'cityops.clip.failed.v1': putClip,
  'cityops.reading.v1': (s) => {
    const key = keyOf(s.node, s.sensor, sensors.peek());
    const row = sensors.peek().get(key);
    if (row) sensors.value = replaced(sensors.peek(), key, { ...row, state: s });
  },
  'cityops.sensor.changed.v1': (s) => {
    const key = keyOf(s.node, s.id, sensors.peek());
    sensors.value = replaced(sensors.peek(), key, { sensor: s, state: sensors.peek().get(key)?.state ?? null });
  },
  'cityops.sensor.removed.v1': (s) => {
    sensors.value = replaced(sensors.peek(), keyOf(s.node, s.id, sensors.peek()), null);
  },
  'cityops.camera.changed.v1': (c) => {
    const key = keyOf(c.node, c.id, cameras.peek());
    cameras.value = replaced(cameras.peek(), key, { camera: { ...c, id: key }, state: cameras.peek().get(key)?.state ?? null });
  },
  'cityops.camera.removed.v1': (c) => {
    cameras.value = replaced(cameras.peek(), keyOf(c.node, c.id, cameras.peek()), null);
  },
  'cityops.camera.state.v1': (s) => {
    const key = keyOf(s.node, s.camera, cameras.peek());
    const row = cameras.peek().get(key);
    if (row) cameras.value = replaced(cameras.peek(), key, { ...row, state: s });
  },
  'cityops.node.state.v1': (n) => {
    if (n.id === self) return; // a node tells of itself when its name changes
    nodes.value = replaced(nodes.peek(), n.id, n);
  },
};

/** The journal's types of event that the console listens to. */
export const eventTypes = Object.keys(apply);

/** @param {JournalEvent[]} events in the order of the journal */
export function applyEvents(events) {
  batch(() => {
    for (const ev of events) {
      // A removal may come without a record; its subject ("camera/ID") says enough.
      const data = ev.data ?? (ev.type.includes('.removed.') ? { id: ev.subject.slice(ev.subject.indexOf('/') + 1) } : null);
      if (data) apply[ev.type]?.(data);
    }
  });
}

/** The plans, where this node has any. */
export async function loadPlans() {
  if (!served('/plans')) return;
  const body = await get('/plans');
  /** @type {Plan[]} */
  const list = body?.plans ?? [];
  plans.value = new Map(list.filter((p) => !p.removed).sort((a, b) => (a.order ?? 0) - (b.order ?? 0) || a.name.localeCompare(b.name, 'zh')).map((p) => [p.id, p]));
}

/** Fetches everything afresh: at the start, and after a gap in the stream. */
export async function loadAll() {
  const [st, live, recent, cams, sens] = await Promise.all([
    get('/status'),
    get('/alarms?live=1&hidden=1&limit=200'),
    get('/alarms?limit=50'),
    get('/cameras'),
    get('/sensors'),
    loadServed().then(loadPlans),
  ]);
  batch(() => {
    putStatus(st);
    alarms.value = new Map([...(recent.alarms ?? []), ...(live.alarms ?? [])].map((/** @type {Alarm} */ a) => [a.id, a]));
    cameras.value = new Map((cams.cameras ?? []).map((/** @type {CameraRow} */ r) => [keyOf(r.camera.node, r.camera.id, new Map()), known(r)]));
    sensors.value = new Map((sens.sensors ?? []).map((/** @type {SensorRow} */ r) => [keyOf(r.sensor.node, r.sensor.id, new Map()), known(r)]));
    loaded.value = true;
  });
  for (const id of details.peek().keys()) loadDetail(id).catch(() => {});
}

/** @param {string} id */
export async function loadDetail(id) {
  /** @type {AlarmDetail} */
  const detail = await get(`/alarms/${encodeURIComponent(id)}`);
  batch(() => {
    details.value = replaced(details.peek(), id, detail);
    alarms.value = replaced(alarms.peek(), id, detail.alarm);
  });
  return detail;
}

const rank = { critical: 0, major: 1, minor: 2 };

/** @param {Alarm} a @param {Alarm} b most severe first, what matters most first, a test last, then newest */
export function byUrgency(a, b) {
  return Number(!!a.test) - Number(!!b.test) || (rank[a.severity] ?? 3) - (rank[b.severity] ?? 3) || Number(!!b.important) - Number(!!a.important) || (a.raisedAt < b.raisedAt ? 1 : -1);
}

/** The kinds that endanger people: always shown, never put away while they last. */
export const lifeSafety = new Set(['smoke', 'gas', 'sos', 'water']);
/** Whether an alarm is kept out of the queue: put away by a person, or never shown as one. Danger to people is always shown. @param {Alarm} a */
const outOfSight = (a) => !!a.shelf || (!!a.suppressed && !(a.suppressed === 'flood' && lifeSafety.has(a.kind)));

const live = computed(() => [...alarms.value.values()].filter((a) => a.state !== 'cleared'));
/** Nobody has answered yet. */
export const happening = computed(() => live.value.filter((a) => a.state === 'raised' && !outOfSight(a)).sort(byUrgency));
/** Answered, and not over. */
export const pending = computed(() => live.value.filter((a) => a.state === 'acknowledged' && !outOfSight(a)).sort(byUrgency));
/** Of a flood: many at once, shown as one line. */
export const flooded = computed(() => live.value.filter((a) => a.suppressed === 'flood' && !a.shelf && outOfSight(a)).sort(byUrgency));
/** Put away for a while by a person; the next to come back first. */
export const shelved = computed(() => live.value.filter((a) => a.shelf).sort((a, b) => ((a.shelf?.until ?? '') < (b.shelf?.until ?? '') ? -1 : 1)));
/** Over; the newest first. */
export const recent = computed(() =>
  [...alarms.value.values()].filter((a) => a.state === 'cleared').sort((a, b) => (a.raisedAt < b.raisedAt ? 1 : -1)),
);
