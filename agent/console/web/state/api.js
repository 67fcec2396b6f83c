// @ts-check
// Requests to the station's program. Every failure becomes a Problem that can be
// shown to a person; a request that nobody answered is a Problem of code "lost".
import { t, wordFor } from '../words/words.js';
import { lang } from './prefs.js';

/** What went wrong, in words for people. */
export class Problem extends Error {
  /** @param {number} status @param {string} code @param {string} message @param {string} [hint] @param {string} [place] @param {Record<string, string>} [args] */
  constructor(status, code, message, hint = '', place = '', args = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.place = place;
    this.args = args;
  }
}

/** Called when the server no longer knows who we are. Set by the session. */
let onExpired = () => {};
/** @param {() => void} fn */
export function whenExpired(fn) {
  onExpired = fn;
}

/**
 * Reads an error reply. The server's sentences are English and exact, so the
 * English console shows them; the Chinese one has its own words for each code,
 * and for a code it does not know those of the status.
 * @param {Response} reply
 */
export async function problemOf(reply) {
  /** @type {any} */
  let body = {};
  try {
    body = await reply.json();
  } catch {
    // Not a problem document: a proxy's page, or nothing.
  }
  const code = body.code || String(reply.status);
  const status = wordFor(`status.${reply.status}`) || t('problem.other', { code: reply.status });
  const ours = wordFor(`problem.${code}`, body.args);
  const english = lang.peek() === 'en';
  const message = (english && body.detail) || ours || status;
  const hint = (english && body.hint) || wordFor(`problem.${code}.hint`);
  return new Problem(reply.status, code, message, hint, body.place || '', body.args ?? {});
}

/**
 * @param {string} method @param {string} path under /api/v1
 * @param {any} [body] @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
export async function request(method, path, body, headers = {}) {
  /** @type {RequestInit} */
  const init = { method, headers: { ...headers, Accept: 'application/json' }, credentials: 'same-origin' };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, 'Content-Type': 'application/json' };
  }
  let reply;
  try {
    reply = await fetch(`/api/v1${path}`, init);
  } catch {
    throw new Problem(0, 'lost', t('problem.lost'), t('problem.lost.hint'));
  }
  if (reply.status === 401 && path !== '/login' && path !== '/claim') onExpired();
  if (!reply.ok) throw await problemOf(reply);
  const text = await reply.text(); // an empty one too: a reply that nobody reads counts as broken off
  return text ? JSON.parse(text) : null;
}

/** @param {string} path */
export const get = (path) => request('GET', path);
/** @param {string} path @param {any} [body] @param {Record<string, string>} [headers] */
export const post = (path, body, headers) => request('POST', path, body ?? {}, headers);
/** @param {string} path @param {any} body */
export const put = (path, body) => request('PUT', path, body);
/** @param {string} path */
export const remove = (path) => request('DELETE', path);

/** Sends a file as it is. @param {string} path @param {Blob} file @param {string} [method] @param {string} [type] @returns {Promise<any>} */
export async function putFile(path, file, method = 'PUT', type = file.type) {
  let reply;
  try {
    reply = await fetch(`/api/v1${path}`, { method, body: file, headers: { Accept: 'application/json', 'Content-Type': type || 'application/octet-stream' }, credentials: 'same-origin' });
  } catch {
    throw new Problem(0, 'lost', t('problem.lost'), t('problem.lost.hint'));
  }
  if (reply.status === 401) onExpired();
  if (!reply.ok) throw await problemOf(reply);
  const text = await reply.text();
  return text ? JSON.parse(text) : null;
}

/** A fresh key for one wish, so that asking twice does it once. */
export function newKey() {
  // randomUUID exists only on HTTPS and localhost; a console on the LAN may be plain.
  if (crypto.randomUUID) return crypto.randomUUID();
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const x = Array.from(b, (n) => n.toString(16).padStart(2, '0')).join('');
  return `${x.slice(0, 8)}-${x.slice(8, 12)}-${x.slice(12, 16)}-${x.slice(16, 20)}-${x.slice(20)}`;
}
