// @ts-check
// One camera on the playback page. Where nothing is recorded it says so and why: a
// picture that stands still is never passed off as one that plays.
import { html, useEffect, useRef, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { hms, span, stamp } from '../words/times.js';
import { may } from '../state/session.js';
import { cameraRow } from '../state/store.js';
import { Feed } from './feed.js';
import { join, keysAbove, playing, position, rate } from './clock.js';
import { chosen, gapAt, listed, nextRecorded, recordedAt } from './state.js';

const keysApart = 100; // ms on the wall between two pictures at high speed

/** The feeds that are shown, for stepping and for saving a picture. @type {Map<string, Feed>} */
export const feeds = new Map();

/** @param {{camera: string, heard: boolean, onHear: () => void, onClose?: () => void}} props */
export function Tile({ camera, heard, onHear, onClose }) {
  const video = useRef(/** @type {HTMLVideoElement|null} */ (null));
  const [state, setState] = useState('loading');
  const [why, setWhy] = useState('');
  const hearing = useRef(heard);
  hearing.current = heard;
  useEffect(() => {
    const el = /** @type {HTMLVideoElement} */ (video.current);
    const feed = new Feed(camera, el);
    feeds.set(camera, feed);
    let current = '';
    /** @param {string} next */
    const tell = (next) => {
      if (next !== current) setState((current = next));
      setWhy(feed.why);
    };
    const follower = {
      /** @param {number} at @returns {'ready'|'loading'|'none'} */
      ready: (at) => {
        const speed = rate.peek();
        const keys = speed > keysAbove;
        feed.mode(keys, keys ? speed * keysApart : 0, hearing.current && !keys);
        el.muted = !hearing.current || speed > 2;
        // Before the day is listed the film of the moment is asked for already.
        const there = listed(camera, at) ? recordedAt(camera, at) : { to: Infinity };
        if (!there) {
          el.pause();
          tell('gap');
          return 'none';
        }
        const said = feed.follow(at, speed, playing.peek(), there.to);
        tell(said);
        return said === 'ready' || said === 'loading' ? said : said === 'failed' ? 'loading' : 'none';
      },
      /** @param {number} at */
      next: (at) => nextRecorded(camera, at),
    };
    const leave = join(follower);
    feed.came = () => follower.ready(position.peek()); // a picture need not wait for the clock's next turn
    let left = false;
    queueMicrotask(() => !left && follower.ready(position.peek())); // when the page has said where it begins
    return () => {
      left = true;
      leave();
      feeds.delete(camera);
      feed.close();
    };
  }, [camera]);
  const row = cameraRow(camera);
  const name = row?.camera.name ?? camera;
  return html`<figure class="ptile" data-camera=${camera} data-state=${state} data-testid="ptile">
    <div class="picture"><video ref=${video} muted playsinline preload="auto" aria-label=${t('play.of', { name })}></video>
      ${state !== 'ready' && html`<${Veil} camera=${camera} state=${state} why=${why} />`}</div>
    <figcaption><span class="dot ${state}"></span><b class="name">${name}</b><${Clock} />
      <button type="button" class="eye" aria-pressed=${heard} data-testid="hear" title=${t('play.sound')} onClick=${onHear}>${t(heard ? 'play.sound.on' : 'play.sound.off')}</button>
      ${chosen.value.length > 1 && onClose && html`<button type="button" class="eye" aria-label=${t('play.close', { name })} onClick=${onClose}>✕</button>`}</figcaption>
  </figure>`;
}

function Clock() {
  return html`<time class="clock">${hms(position.value)}</time>`;
}

/** @param {{camera: string, state: string, why: string}} props */
function Veil({ camera, state, why }) {
  const at = Math.floor(position.value / 1000) * 1000;
  if (state === 'gap' || state === 'none') {
    const gap = gapAt(camera, at);
    const next = nextRecorded(camera, at);
    return html`<div class="veil" data-testid="gap"><p><strong>${t('play.gap')}</strong></p>
      <p>${gap ? wordFor(`play.gap.${gap.reason}`) || t('play.gap.other') : t(next === Infinity ? 'play.gap.after' : 'play.gap.before')}</p>
      ${gap && html`<p class="tab">${t('play.gap.span', { from: stamp(new Date(gap.from).toISOString()).slice(5), to: hms(gap.to), span: span(gap.to - gap.from) })}</p>`}</div>`;
  }
  if (state === 'codec') {
    return html`<div class="veil" data-testid="codec"><p><strong>${t('play.codec', { codec: why })}</strong></p><p>${t(may('video') ? 'play.codec.hint' : 'play.codec')}</p></div>`;
  }
  if (state === 'failed') return html`<div class="veil"><p><strong>${t('play.failed')}</strong></p><p>${why}</p></div>`;
  return html`<div class="veil thin" data-testid="fetching"><p>${t('play.loading')}</p></div>`;
}
