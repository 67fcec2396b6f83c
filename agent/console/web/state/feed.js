// @ts-check
// The one stream of events. The browser reconnects by itself and names the last
// event it saw, so nothing is missed; where that cannot be trusted (a stream
// that had to be made anew, a server that says "reset"), everything is fetched
// again. Silence counts as loss: the server speaks at least every five seconds.
import { signal } from '../html.js';
import { stationNow } from './clock.js';
import { applyEvents, eventTypes, loadAll, putStatus } from './store.js';
import { checkSession } from './session.js';

/** @typedef {import('../records.js').JournalEvent} JournalEvent */

const silence = 16_000;
const retryFirst = 1_000;
const retryMost = 10_000;
const gather = 80; // events of one burst are applied together

/** Since when the server was not heard, in station time; 0 while all is well. */
export const lostSince = signal(0);

/** @type {EventSource|null} */
let source = null;
/** @type {JournalEvent[]} */
let queue = [];
let flushTimer = 0;
let watchTimer = 0;
let retryTimer = 0;
let retryIn = retryFirst;
let loading = false;
let heardAt = 0;

function flush() {
  flushTimer = 0;
  if (loading) return; // they are applied on top of what is being fetched
  const events = queue;
  queue = [];
  applyEvents(events);
}

function heard() {
  heardAt = stationNow();
  lostSince.value = 0;
}

function lost() {
  if (!lostSince.peek()) lostSince.value = heardAt || stationNow();
}

async function refetch() {
  if (loading) return;
  loading = true;
  try {
    await loadAll();
    retryIn = retryFirst;
  } catch {
    lost();
    restart();
  } finally {
    loading = false;
    flush();
  }
}

/** @param {MessageEvent} message */
function onEvent(message) {
  heard();
  try {
    queue.push(JSON.parse(message.data));
  } catch {
    return; // a broken row is not worth the page
  }
  if (!flushTimer) flushTimer = setTimeout(flush, gather);
}

function open() {
  source?.close();
  const es = new EventSource('/api/v1/events');
  source = es;
  es.onopen = () => {
    heard();
    refetch();
  };
  es.onerror = () => {
    lost();
    // CONNECTING: the browser goes on by itself. CLOSED: it was refused for good.
    if (es.readyState === EventSource.CLOSED) restart();
  };
  for (const type of eventTypes) es.addEventListener(type, onEvent);
  es.addEventListener('status', (message) => {
    heard();
    putStatus(JSON.parse(message.data));
  });
  es.addEventListener('reset', refetch);
}

function restart() {
  source?.close();
  source = null;
  if (retryTimer) return;
  retryTimer = setTimeout(async () => {
    retryTimer = 0;
    try {
      // Refused because the session is over? Then the login brings the stream back.
      if (!(await checkSession())) return;
    } catch {
      // Not reachable: keep trying.
    }
    if (watchTimer) open();
  }, retryIn * (0.75 + Math.random() / 2));
  retryIn = Math.min(retryIn * 2, retryMost);
}

/** Starts, or starts again after a login. */
export function startFeed() {
  if (!watchTimer) {
    watchTimer = setInterval(() => {
      if (source && heardAt && stationNow() - heardAt > silence) {
        lost();
        heardAt = stationNow(); // one attempt per silence
        restart();
      }
    }, 2_000);
  }
  retryIn = retryFirst;
  open();
}
