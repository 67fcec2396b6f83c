// @ts-check
// Which routes this node's program has: a centre has others than a station, and
// a page or a section without its route is simply not there.
import { signal } from '../html.js';
import { get } from './api.js';

/** The paths below /api/v1 as the program describes itself; null until it has answered. */
const paths = signal(/** @type {Set<string>|null} */ (null));

/** Whether the program serves a path, "/plans" or "/sensors/{id}/history". @param {string} path */
export const served = (path) => paths.value?.has(path) ?? false;

export async function loadServed() {
  const body = await get('/openapi.json');
  paths.value = new Set(Object.keys(body?.paths ?? {}).map((p) => p.replace(/^\/api\/v1/, '')));
}
