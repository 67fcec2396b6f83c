// @ts-check
// Who sits before the console. A session that ends while a page is open does
// not take the page away: "expired" asks for the password over it.
import { signal, computed } from '../html.js';
import { get, post, whenExpired, Problem } from './api.js';

/** @typedef {import('../records.js').Session} Session */

/** Null until the server has answered the first time. */
export const session = signal(/** @type {Session|null} */ (null));
/** A session existed and is over. */
export const expired = signal(false);
/** A link brought this: a claim code to fill in, or a token that was refused. */
export const link = signal(/** @type {{code: string, refused: Problem|null}} */ ({ code: '', refused: null }));

/** A screen of the duty room that an administrator armed: nobody sets up or logs out there. */
export const display = computed(() => session.value?.actor?.role === 'display');
export const centre = computed(() => session.value?.node?.kind === 'centre');
/** @param {string} permission */
export const may = (permission) => session.value?.permissions?.includes(permission) ?? false;

whenExpired(() => {
  if (session.peek()?.actor) expired.value = true;
});

export async function loadSession() {
  session.value = await get('/session');
}

/** Asks whether the session still stands; called when the event stream is refused. */
export async function checkSession() {
  /** @type {Session} */
  const s = await get('/session');
  if (s.actor) session.value = s;
  else if (session.peek()?.actor) expired.value = true;
  return s.actor !== null;
}

/** @param {{account: string, password: string}|{token: string}} proof */
export async function login(proof) {
  await post('/login', proof);
  await loadSession();
  expired.value = false;
}

/** @param {{code: string, account: string, name: string, password: string}} order */
export async function claim(order) {
  await post('/claim', order);
  await loadSession();
  // A server that only makes the account leaves the logging in to us.
  if (!session.peek()?.actor) await login({ account: order.account, password: order.password });
}

export async function logout() {
  try {
    await post('/logout');
  } finally {
    // The whole page goes: nothing of the last user stays in memory.
    location.hash = '';
    location.reload();
  }
}

/** Takes "#login=TOKEN" or "#claim=CODE" out of the address and acts on it. */
export async function followLink() {
  const m = /^#(login|claim)=(.+)$/.exec(location.hash);
  if (!m) return;
  history.replaceState(null, '', location.pathname);
  const value = decodeURIComponent(m[2]);
  if (m[1] === 'claim') {
    link.value = { code: value, refused: null };
    return;
  }
  try {
    await post('/login', { token: value });
  } catch (err) {
    if (!(err instanceof Problem)) throw err;
    link.value = { code: '', refused: err };
  }
}
