// @ts-check
// The film of an alarm: ten seconds before, twenty after. While its last seconds
// are still being filmed it says how long that takes; then it shows the picture
// of the moment itself and plays from the beginning.
import { html, useEffect, useRef, useState } from '../html.js';
import { t } from '../words/words.js';
import { hms } from '../words/times.js';
import { now } from '../state/clock.js';

/** @typedef {import('../records.js').Clip} Clip */
/** @typedef {import('../records.js').Alarm} Alarm */

const thumb = 15; // width of the slider's handle in the stylesheet; its middle marks the place

/** @param {{clip: Clip|null, alarm: Alarm}} props */
export function ClipView({ clip, alarm }) {
  if (!clip || clip.status === 'pending') return html`<${Pending} clip=${clip} />`;
  if (clip.status === 'failed') {
    return html`<figure class="clip"><div class="picture"><div class="veil" data-testid="clip-failed"><p><strong>${t('clip.failed')}</strong></p><p>${t('clip.failed.hint')}</p></div></div>
      <figcaption><span class="name">${t('clip.title')}</span></figcaption></figure>`;
  }
  return html`<${Ready} key=${clip.id} clip=${clip} alarm=${alarm} />`;
}

/** @param {{clip: Clip|null}} props */
function Pending({ clip }) {
  const from = clip ? Date.parse(clip.from) : 0;
  const to = clip ? Date.parse(clip.to) : 0;
  const left = clip ? Math.max(0, Math.ceil((to - now.value) / 1000)) : 0;
  const done = clip ? Math.min(100, Math.max(0, ((now.value - from) / (to - from)) * 100)) : 0;
  return html`<figure class="clip pending" data-testid="clip-pending">
    <div class="picture"><div class="veil"><p><strong>${t('clip.pending')}</strong></p><p>${left > 0 ? t('left.seconds', { n: left }) : ''}</p></div>
      <progress max="100" value=${done} aria-label=${t('clip.pending')}></progress></div>
    <figcaption><span class="name">${caption(clip)}</span></figcaption>
  </figure>`;
}

/** @param {Clip|null} clip */
function caption(clip) {
  return clip ? t('clip.caption', { from: hms(clip.start ?? clip.from), to: hms(clip.end ?? clip.to) }) : t('clip.title');
}

/** @param {{clip: Clip, alarm: Alarm}} props */
function Ready({ clip, alarm }) {
  const video = useRef(/** @type {HTMLVideoElement|null} */ (null));
  const [playing, setPlaying] = useState(false);
  const [at, setAt] = useState(0);
  const [length, setLength] = useState(0);
  const [broken, setBroken] = useState(false);
  const fresh = useRef(true);
  const start = Date.parse(clip.start ?? clip.from);
  const moment = (Date.parse(alarm.raisedAt) - start) / 1000;

  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => setAt(video.current?.currentTime ?? 0), 200);
    return () => clearInterval(timer);
  }, [playing]);

  const onMeta = () => {
    const el = video.current;
    if (!el) return;
    setLength(el.duration);
    // The picture of the moment stands for the film until it is played.
    if (moment > 0 && moment < el.duration) el.currentTime = moment;
  };
  const toggle = () => {
    const el = video.current;
    if (!el) return;
    if (!el.paused) return el.pause();
    if (fresh.current || el.ended) el.currentTime = 0;
    fresh.current = false;
    el.play().catch(() => setBroken(true));
  };
  /** @param {Event & {currentTarget: HTMLInputElement}} e */
  const seek = (e) => {
    fresh.current = false;
    const to = Number(e.currentTarget.value);
    setAt(to);
    if (video.current) video.current.currentTime = to;
  };

  return html`<figure class="clip" data-state=${playing ? 'playing' : 'ready'}>
    <div class="picture">
      <video ref=${video} data-testid="clip-video" src=${`/api/v1/clips/${encodeURIComponent(clip.id)}/video.mp4`} preload="auto" playsinline muted
        aria-label=${t('clip.title')} onLoadedMetadata=${onMeta} onClick=${toggle}
        onPlay=${() => setPlaying(true)} onPause=${() => setPlaying(false)} onSeeked=${() => setAt(video.current?.currentTime ?? 0)}
        onError=${() => setBroken(true)}></video>
      ${broken
        ? html`<div class="veil"><p><strong>${t('clip.broken')}</strong></p></div>`
        : html`<button type="button" class="play ${playing ? 'on' : ''}" onClick=${toggle} aria-label=${t(playing ? 'clip.pause' : 'clip.play')}>
            <svg viewBox="0 0 24 24" aria-hidden="true">${playing ? html`<path d="M7 5h4v14H7zM13 5h4v14h-4z"/>` : html`<path d="M8 5l12 7-12 7z"/>`}</svg>
          </button>`}
    </div>
    ${!broken && html`<div class="rail">
      <input type="range" min="0" max=${length || 30} step="0.1" value=${at} onInput=${seek} aria-label=${t('clip.seek')} aria-valuetext=${hms(start + at * 1000)} />
      ${length > 0 && moment > 0 && moment < length && html`<i class="moment" style=${{ left: `calc(${thumb / 2}px + (100% - ${thumb}px) * ${moment / length})` }} title=${t('clip.moment')}></i>`}
    </div>`}
    <figcaption><span class="name">${caption(clip)}</span>
      ${clip.gaps ? html`<span class="gap">${t('clip.gaps', { n: Math.round(clip.gaps / 1e9) })}</span>` : null}
      ${!broken && html`<span class="clock">${hms(start + at * 1000)}</span>`}</figcaption>
  </figure>`;
}
