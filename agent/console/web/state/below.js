// @ts-check
// What a centre knows of its stations beside the records that every node has: what was
// set up of them, what they say of themselves, which seat deals with what, what they
// were ordered to do. It is asked for again while a page shows it.
import { batch, signal, useEffect } from '../html.js';
import { get, newKey, post, request } from './api.js';
import { failure } from './answering.js';
import { Problem } from './api.js';
import { seat } from './prefs.js';
import { nodes } from './store.js';

/** @typedef {import('../records.js').StationView} StationView */
/** @typedef {import('../records.js').Taker} Taker */
/** @typedef {import('../records.js').Instruction} Instruction */

export const stations = signal(/** @type {StationView[]} */ ([]));
export const claims = signal(/** @type {Map<string, Taker>} */ (new Map()));
export const looked = signal(false);

const every = 5_000; // ms

export async function look() {
  const [list, taken] = await Promise.all([get('/stations'), get('/claims')]);
  batch(() => {
    stations.value = list.stations ?? [];
    claims.value = new Map((taken.claims ?? []).filter((/** @type {any} */ c) => c.takenBy).map((/** @type {any} */ c) => [c.alarm, c.takenBy]));
    looked.value = true;
  });
}

/** Keeps them fresh while a page is open; a station that comes or goes is seen at once. */
export function useBelow() {
  useEffect(() => {
    const again = () => look().catch(() => {});
    again();
    const timer = setInterval(again, every);
    return () => clearInterval(timer);
  }, [nodes.value]);
}

/** Does something, and shows to the officer why it could not be done. @param {() => Promise<any>} act */
export async function tried(act) {
  failure.value = null;
  try {
    await act();
    await look();
  } catch (err) {
    failure.value = err instanceof Problem ? err : new Problem(0, 'internal', String(err));
  }
}

const claimPath = (/** @type {string} */ id) => `/alarms/${encodeURIComponent(id)}/claim`;
export const claim = (/** @type {string} */ id) => tried(() => post(claimPath(id), { seat: seat.peek() }, { 'Idempotency-Key': newKey() }));
export const unclaim = (/** @type {string} */ id) => tried(() => request('DELETE', claimPath(id)));

/** @param {{nodes?: string[], all?: boolean, type: string, subject?: string, body?: any}} o */
export const order = (o) => post('/station-orders', o, { 'Idempotency-Key': newKey() });

/** Which light and word a station has. @param {StationView} v */
export function standing(v) {
  const lost = !!v.node.lostAt;
  const state = v.node.state || (v.node.online ? 'online' : 'line');
  const tone = lost ? 'bad' : state === 'online' ? 'ok' : state === 'closed' || state === 'never' ? 'off' : 'warn';
  return { lost, state, tone };
}

/** @param {StationView} v */
export const nameOf = (v) => v.site?.name || v.node.name || v.node.id;
