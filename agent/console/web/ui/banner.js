// @ts-check
// What must not be overlooked, across the page: the station's program cannot be
// reached, or the alarm sound is not let through.
import { html, useSignalEffect } from '../html.js';
import { kindWord, t } from '../words/words.js';
import { age, hms } from '../words/times.js';
import { now } from '../state/clock.js';
import { lostSince } from '../state/feed.js';
import { choose, idleFor } from '../state/choice.js';
import { go, route } from '../state/route.js';
import { happening, isForeign } from '../state/store.js';
import { expired } from '../state/session.js';
import { soundState, unlockSound } from '../state/sound.js';

const handsOff = 20_000; // who has not touched another page for so long is taken back to the desk
const patience = 2_000; // a stream that is renewed at once is no news

export function Banner() {
  const since = lostSince.value;
  const gone = since > 0 && now.value - since > patience;
  if (gone && !expired.value) { // a login brings the stream back and says so itself
    return html`<div class="banner lost" role="alert" data-testid="connection-lost">
      <strong>${t('lost.title')}</strong><span>${t('lost.since', { time: hms(since) })}</span><span class="age" aria-hidden="true">${age(now.value - since)}</span><span>${t('lost.hint')}</span>
    </div>`;
  }
  if (soundState.value === 'blocked' && happening.value.length > 0) {
    return html`<div class="banner" role="alert" data-testid="sound-blocked">
      <strong>${t('sound.blocked.title')}</strong>
      <button type="button" onClick=${unlockSound}>${t('sound.unlock')}</button>
    </div>`;
  }
  return null;
}

/** An alarm while another page is open: a strip above it at once, and the desk itself where nobody is at work on that page. */
export function Calling() {
  useSignalEffect(() => {
    now.value;
    const elsewhere = route.value.page !== 'desk' && happening.value.some((a) => !a.test && !isForeign(a.node));
    if (elsewhere && idleFor() > handsOff && !document.querySelector('dialog[open]')) go('desk');
  });
  const list = happening.value.filter((a) => !a.test && !isForeign(a.node));
  const first = list[0];
  if (!first || route.value.page === 'desk') return null;
  const answer = () => {
    choose(first.id);
    go('desk');
  };
  return html`<div class="banner calling" role="alert" data-testid="calling">
    <strong>${kindWord(first.kind)}</strong><span>${first.place || first.name}</span><span class="age" aria-hidden="true">${age(now.value - Date.parse(first.raisedAt))}</span>
    ${list.length > 1 && html`<span>${t('alarm.others', { n: list.length - 1 })}</span>`}
    <button type="button" onClick=${answer}>${t('calling.go')}</button></div>`;
}
