// @ts-check
// Which page is open: "#/cameras/cam-1" is {page: "cameras", id: "cam-1"}.
import { signal } from '../html.js';

/** @typedef {{page: string, id: string}} Route */

/** @returns {Route} */
function parse() {
  const m = /^#\/([a-z]+)(?:\/(.+))?$/.exec(location.hash);
  if (!m) return { page: 'desk', id: '' };
  try {
    return { page: m[1], id: m[2] ? decodeURIComponent(m[2]) : '' };
  } catch {
    return { page: m[1], id: '' };
  }
}

export const route = signal(parse());

/** @param {string} page @param {string} [id] */
export function href(page, id) {
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ''}`;
}

/** @param {string} page @param {string} [id] */
export function go(page, id) {
  location.hash = href(page, id);
}

export function startRoute() {
  addEventListener('hashchange', () => {
    // #login= and #claim= are no pages; the session takes them.
    if (/^#(login|claim)=/.test(location.hash)) {
      location.reload();
      return;
    }
    route.value = parse();
  });
}
