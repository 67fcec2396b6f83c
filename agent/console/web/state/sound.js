// @ts-check
// The alarm sound: a short pattern, again and again until somebody says 收到.
// Browsers refuse sound before the first touch of the page; that is a fault to
// be shown, not hidden.
import { computed, effect, signal } from '../html.js';
import { stationNow } from './clock.js';
import { happening, isForeign } from './store.js';
import { muted } from './prefs.js';
import { insisting } from '../desk/insist.js';

const every = [2_400, 1_700, 1_100]; // by how long nobody has answered
const elsewhere = 15_000; // an alarm that is answered at its station rings here only so long

/** "ok" sounds when needed, "off" was muted, "blocked" waits for a touch of the page. */
const allowed = signal(false);
export const soundState = computed(() => (muted.value ? 'off' : allowed.value ? 'ok' : 'blocked'));

/** @type {AudioContext|null} */
let audio = null;
let timer = 0;

function context() {
  if (!audio) {
    audio = new AudioContext();
    audio.onstatechange = () => (allowed.value = audio?.state === 'running');
    allowed.value = audio.state === 'running';
  }
  return audio;
}

/** @param {AudioContext} ctx @param {number} at @param {number} hertz @param {number} length seconds */
function beep(ctx, at, hertz, length) {
  const tone = ctx.createOscillator();
  const gain = ctx.createGain();
  tone.type = 'triangle';
  tone.frequency.value = hertz;
  // Soft edges: a hard switch clicks in the loudspeaker.
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(0.5, at + 0.015);
  gain.gain.setValueAtTime(0.5, at + length - 0.03);
  gain.gain.linearRampToValueAtTime(0, at + length);
  tone.connect(gain).connect(ctx.destination);
  tone.start(at);
  tone.stop(at + length);
}

/** The first alarm that is ours to answer, or that just came up from a station. */
const loudest = () => happening.peek().find((a) => !isForeign(a.node) || stationNow() - Date.parse(a.raisedAt) < elsewhere);

/** The pattern, and again after a while that grows shorter. */
function ring() {
  pattern();
  timer = setTimeout(ring, every[insisting.peek()] ?? every[0]);
}

function pattern() {
  const first = loudest();
  if (!first || muted.peek()) return;
  const ctx = context();
  if (ctx.state !== 'running') return;
  const at = ctx.currentTime + 0.02;
  if (first.severity === 'critical') {
    [0, 0.22, 0.44].forEach((d, i) => beep(ctx, at + d, i === 2 ? 1175 : 880, 0.16));
  } else if (first.severity === 'major') {
    [0, 0.3].forEach((d) => beep(ctx, at + d, 740, 0.18));
  } else {
    beep(ctx, at, 587, 0.2);
  }
}

/** Tries to let sound through; works only inside a touch or key press. */
export function unlockSound() {
  const ctx = context();
  if (ctx.state === 'suspended') ctx.resume().catch(() => {});
}

export function startSound() {
  for (const type of ['pointerdown', 'keydown']) addEventListener(type, unlockSound, { capture: true });
  context();
  effect(() => {
    const wanted = happening.value.length > 0 && !muted.value && allowed.value;
    if (wanted && !timer) ring();
    else if (!wanted && timer) {
      clearTimeout(timer);
      timer = 0;
    }
  });
}
