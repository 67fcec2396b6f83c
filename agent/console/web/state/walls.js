// @ts-check
// Saved walls, groups of cameras and tours, fetched afresh when somebody changes one.
import { signal, useEffect } from '../html.js';
import { get } from './api.js';
import { may } from './session.js';
import { setupTurn } from './store.js';
import { served } from './served.js';

/** @typedef {import('../records.js').SavedWall} SavedWall */
/** @typedef {import('../records.js').CameraGroup} CameraGroup */
/** @typedef {import('../records.js').TourView} TourView */

export const walls = signal(/** @type {SavedWall[]} */ ([]));
export const groups = signal(/** @type {CameraGroup[]} */ ([]));
export const tours = signal(/** @type {TourView[]} */ ([]));

/** @param {{name: string}} a @param {{name: string}} b */
const byName = (a, b) => a.name.localeCompare(b.name, 'zh');

export async function loadWalls() {
  if (!may('video') || !served('/walls')) return;
  const [w, g, t] = await Promise.all([get('/walls'), get('/camera-groups'), get('/tours')]);
  walls.value = (w?.walls ?? []).sort(byName);
  groups.value = (g?.groups ?? []).sort(byName);
  tours.value = (t?.tours ?? []).sort((/** @type {TourView} */ a, /** @type {TourView} */ b) => byName(a.tour, b.tour));
}

const every = 30_000; // whether a tour is due is for the station's clock to say

/** Keeps them fresh for as long as the component lives. */
export function useWalls() {
  useEffect(() => {
    const look = () => loadWalls().catch(() => {});
    look();
    const timer = setInterval(look, every);
    return () => clearInterval(timer);
  }, [setupTurn.value]);
}
