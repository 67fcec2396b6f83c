// @ts-check
// The lamps of every page. What is fine is small; what is wrong has a word, and
// behind it what to do.
import { html } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { bitRate, bytes, hm, room } from '../words/times.js';
import { status } from '../state/store.js';
import { muted } from '../state/prefs.js';
import { soundState, unlockSound } from '../state/sound.js';
import { href } from '../state/route.js';
import { Popup } from './popup.js';

/** @typedef {import('../records.js').Lamp} Lamp */

/** @param {Lamp} lamp the lamp's arguments in words */
function argsOf(lamp) {
  const a = lamp.args ?? {};
  return {
    online: a.online,
    total: a.total,
    missing: (a.total ?? 0) - (a.online ?? 0),
    rate: bitRate(a.rate),
    since: Date.parse(a.since) > 0 ? hm(a.since) : '',
    backlog: a.backlog ?? 0,
    left: room(a.daysLeft),
    free: bytes(a.free),
    broker: a.broker,
    count: a.count,
    clips: a.clips,
    bytes: bytes(a.bytes),
  };
}

/** The few words in the bar. @param {Lamp} lamp */
export function lampWord(lamp) {
  const args = argsOf(lamp);
  if (lamp.code === 'storage.ok' && !args.left) return t('lamp.storage.ok.nodays');
  if (lamp.code === 'uplink.ok' && !(lamp.args?.rate >= 1000)) return t('lamp.uplink.ok.idle');
  if (lamp.code === 'uplink.down' && !args.since) return t('lamp.uplink.down.nosince');
  return wordFor(`lamp.${lamp.code}`, args) || `${wordFor(`lamp.${lamp.id}`) || lamp.id} ${t(lamp.state === 'ok' ? 'lamp.fine' : 'lamp.fault')}`;
}

/** What it means. @param {Lamp} lamp */
export function lampSentence(lamp) {
  return wordFor(`lamp.${lamp.code}.long`, argsOf(lamp)) || lampWord(lamp);
}

/** What to do about it. @param {Lamp} lamp */
export function lampRemedy(lamp) {
  return wordFor(`lamp.${lamp.code}.remedy`, argsOf(lamp)) || (lamp.hint && wordFor(`hint.${lamp.hint}`)) || '';
}

export function Lamps() {
  const lamps = status.value?.lamps ?? [];
  return html`<div class="lamps" data-testid="lamps" role="group" aria-label=${t('lamps')}>
    ${lamps.map((lamp) => html`<${LampButton} key=${lamp.id} lamp=${lamp} />`)}
    <${SoundLamp} beside=${lamps.some((l) => l.id === 'loudspeaker')} />
  </div>`;
}

/** @param {{lamp: Lamp}} props */
function LampButton({ lamp }) {
  const word = lampWord(lamp);
  return html`<${Popup} class="lamp ${lamp.state}" testid=${`lamp-${lamp.id}`} name=${`${word} · ${t(`lamp.state.${lamp.state}`)}`}
      label=${html`<i></i><span>${word}</span>`}>
    <div class="lampsheet">
      <p><strong>${lampSentence(lamp)}</strong></p>
      ${lampRemedy(lamp) && html`<p>${lampRemedy(lamp)}</p>`}
      <p><a href=${href('health')}>${t('lamps.all')}</a></p>
    </div>
  <//>`;
}

/** The page's own sound; beside the machine's own it has another name. @param {{beside: boolean}} props */
function SoundLamp({ beside }) {
  const state = soundState.value;
  const word = t(beside ? `page.sound.${state}` : `sound.${state}`);
  const press = () => {
    unlockSound();
    if (state !== 'blocked') muted.value = !muted.value;
  };
  const look = state === 'ok' ? 'ok' : state === 'off' ? 'off' : 'warn';
  return html`<button type="button" class="lamp ${look} ${beside ? 'beside' : ''}" data-testid="lamp-page-sound" aria-label=${word} aria-pressed=${state === 'ok'} title=${t(`sound.${state}.hint`)} onClick=${press}>
    <i></i><span>${word}</span>
  </button>`;
}

