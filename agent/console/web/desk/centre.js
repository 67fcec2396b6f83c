// @ts-check
// The centre's hands at a station's alarm. It is looked at; it can be taken over.
// Both go to the station as a wish, and are a fact when the station has said so.
import { html, signal, useEffect } from '../html.js';
import { t } from '../words/words.js';
import { age, hm } from '../words/times.js';
import { now } from '../state/clock.js';
import { newKey, Problem, post, request } from '../state/api.js';
import { failure } from '../state/answering.js';
import { may, session } from '../state/session.js';
import { details, isForeign, putAsked } from '../state/store.js';
import { served } from '../state/served.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').Asked} Asked */

const lookedAfter = 2000; // ms that an alarm is before a person's eyes until it counts as looked at

/** Alarms for which a wish is on its way to our own server. */
const asking = signal(/** @type {Set<string>} */ (new Set()));

/** @param {Alarm} alarm @param {'seen'|'takeover'} what @returns {Asked|undefined} */
const asked = (alarm, what) => details.value.get(alarm.id)?.asked?.find((x) => x.what === what);

/** Until when the station leaves it to us; empty when it is not ours. @param {Alarm} alarm */
const until = (alarm) => {
  const r = details.value.get(alarm.id)?.response;
  return alarm.centreTakenAt && r?.taken && r.takenUntil && Date.parse(r.takenUntil) > 0 ? r.takenUntil : '';
};

/** Whether it can be taken over from here now, or once more: the station's clock runs. @param {Alarm} alarm */
export const takeable = (alarm) =>
  isForeign(alarm.node) && may('answer') && alarm.state !== 'cleared' && served('/alarms/{id}/takeover') && (!alarm.centreTakenAt || !!until(alarm)) && asked(alarm, 'takeover')?.state !== 'waiting';

/** @param {Alarm} alarm @param {boolean} back */
async function wish(alarm, back) {
  if (asking.peek().has(alarm.id)) return;
  asking.value = new Set(asking.peek()).add(alarm.id);
  failure.value = null;
  const path = `/alarms/${encodeURIComponent(alarm.id)}/takeover`;
  const headers = { 'Idempotency-Key': newKey() };
  try {
    const reply = await (back ? request('DELETE', path, undefined, headers) : post(path, {}, headers));
    if (reply?.asked) putAsked(reply.asked);
  } catch (err) {
    failure.value = err instanceof Problem ? err : new Problem(0, 'internal', String(err));
  } finally {
    const rest = new Set(asking.peek());
    rest.delete(alarm.id);
    asking.value = rest;
  }
}

/** @param {Alarm} alarm */
export const takeOver = (alarm) => wish(alarm, false);

/** Tells the station that somebody looks. It is not worth an error before the officer: the tick says whether it came. @param {string} id */
const looked = (id) =>
  post(`/alarms/${encodeURIComponent(id)}/seen`, {}).then(
    (reply) => reply?.asked && putAsked(reply.asked),
    () => {},
  );

/** Marks an alarm as looked at when it was before a person for a while without a break; a display has nobody in particular before it. @param {Alarm} alarm */
function useLooked(alarm) {
  const wanted = isForeign(alarm.node) && alarm.state !== 'cleared' && !alarm.centreSeenAt && may('answer') && session.value?.actor?.role !== 'display' && served('/alarms/{id}/seen');
  useEffect(() => {
    if (!wanted) return;
    let timer = 0;
    const watch = () => {
      clearTimeout(timer);
      if (document.visibilityState === 'visible') timer = setTimeout(() => looked(alarm.id), lookedAfter);
    };
    watch();
    document.addEventListener('visibilitychange', watch);
    return () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', watch);
    };
  }, [alarm.id, wanted]);
}

/** What the station's people see of us, and the one thing that can be done from here. @param {{alarm: Alarm}} props */
export function CentreHands({ alarm }) {
  useLooked(alarm);
  const seen = asked(alarm, 'seen');
  const over = asked(alarm, 'takeover');
  const busy = asking.value.has(alarm.id);
  const waits = over?.state === 'waiting';
  const end = until(alarm);
  const failed = over && (over.state === 'refused' || over.state === 'expired') && !!over.back === !!alarm.centreTakenAt;
  return html`<div class="hand-over">
    <span data-testid="hand-seen" data-confirmed=${alarm.centreSeenAt ? 'true' : 'false'}>${alarm.centreSeenAt
      ? `✓ ${t('hand.seen', { time: hm(alarm.centreSeenAt) })}`
      : seen?.state === 'waiting' ? t('hand.seen.waits') : ''}</span>
    <span data-testid="hand-taken" data-confirmed=${alarm.centreTakenAt ? 'true' : 'false'}>${waits
      ? t(over.back ? 'hand.back.waits' : 'hand.waits', { time: hm(over.until) })
      : alarm.centreTakenAt ? `✓ ${t('hand.taken', { name: alarm.centreTakenBy ?? '', time: hm(alarm.centreTakenAt) })}` : ''}</span>
    ${failed && !waits && html`<strong data-testid="hand-failed">${t(over.state === 'expired' ? 'hand.expired' : 'hand.refused')}</strong>`}
    ${alarm.centreLapsedAt && !alarm.centreTakenAt && html`<strong data-testid="hand-lapsed">${t('hand.lapsed', { name: alarm.centreLapsedBy ?? '', time: hm(alarm.centreLapsedAt) })}</strong>`}
    ${end && !waits && html`<span data-testid="hand-until">${t('hand.until', { time: hm(end), left: age(Date.parse(end) - now.value) })}</span>`}
    ${takeable(alarm) && html`<button type="button" data-testid="take-over" aria-keyshortcuts="G" title=${t(end ? 'hand.still.hint' : 'hand.hint')} disabled=${busy} onClick=${() => takeOver(alarm)}>${t(end ? 'hand.still' : 'hand.take')}<kbd>G</kbd></button>`}
    ${alarm.centreTakenAt && !waits && may('answer') && html`<button type="button" data-testid="hand-back" disabled=${busy} onClick=${() => wish(alarm, true)}>${t('hand.back')}</button>`}
  </div>`;
}
