// @ts-check
// What must not be overlooked, across the page: the station's program cannot be
// reached, or the alarm sound is not let through.
import { html } from '../html.js';
import { t } from '../words/words.js';
import { age, hms } from '../words/times.js';
import { now } from '../state/clock.js';
import { lostSince } from '../state/feed.js';
import { happening } from '../state/store.js';
import { soundState, unlockSound } from '../state/sound.js';

const patience = 2_000; // a stream that is renewed at once is no news

export function Banner() {
  const since = lostSince.value;
  const gone = since > 0 && now.value - since > patience;
  if (gone) {
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
