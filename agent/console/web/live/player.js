// @ts-check
// A camera's live picture. Its words are honest: a picture that stands still is
// never shown as live, and one that cannot be had says why and since when.
import { html, useEffect, useRef, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { hms, when } from '../words/times.js';
import { now, stationNow } from '../state/clock.js';
import { cameraRow } from '../state/store.js';
import { Whep } from './whep.js';

/** @typedef {'connecting'|'playing'|'stalled'|'offline'|'failed'} PlayState */

const stallAfter = 4_000;
const redialAfter = 12_000; // still no new picture: the connection is of no use
const backoffMost = 15_000;

/** @param {string|undefined} status of a camera whose source cannot give pictures */
const isDown = (status) => status === 'offline' || status === 'unauthorized' || status === 'no-slot' || status === 'unsupported' || status === 'untrusted';

/**
 * Watches one camera for as long as the component lives.
 * @param {string} camera @param {boolean} down @param {{current: HTMLVideoElement|null}} video
 */
function useWatch(camera, down, video) {
  const [state, setState] = useState(/** @type {PlayState} */ ('connecting'));
  const [since, setSince] = useState(0);
  const [why, setWhy] = useState('');
  const downNow = useRef(down);
  downNow.current = down;
  const wake = useRef(() => {});

  useEffect(() => {
    /** @type {Whep|null} */
    let whep = null;
    let redial = 0;
    let failures = 0;
    let frames = 0;
    let movedAt = 0;
    let current = /** @type {PlayState} */ ('connecting');

    /** @param {PlayState} next */
    const tell = (next) => {
      if (next === current) return;
      current = next;
      setState(next);
      setSince(stationNow());
    };
    const hangUp = () => {
      clearTimeout(redial);
      redial = 0;
      whep?.close();
      whep = null;
    };
    const later = () => {
      if (redial) return;
      const wait = Math.min(1_000 * 2 ** failures++, backoffMost);
      redial = setTimeout(dial, wait * (0.8 + Math.random() * 0.4));
    };
    const dial = () => {
      hangUp();
      if (downNow.current) return tell('offline'); // wake() comes when the camera does
      movedAt = performance.now();
      if (current !== 'failed') tell('connecting');
      whep = new Whep(camera, {
        onStream: (stream) => {
          if (!video.current) return;
          video.current.srcObject = stream;
          video.current.play().catch(() => {}); // muted video may always play
        },
        onEnd: (problem) => {
          whep = null;
          setWhy(problem.message);
          tell(downNow.current ? 'offline' : 'failed');
          later();
        },
      });
    };
    wake.current = () => {
      if (downNow.current) tell('offline');
      else if (!whep) {
        failures = 0;
        dial();
      }
    };
    const watch = setInterval(() => {
      const el = video.current;
      if (!el || !whep) return;
      const count = el.getVideoPlaybackQuality?.().totalVideoFrames ?? el.currentTime;
      const at = performance.now();
      if (count !== frames) {
        frames = count;
        movedAt = at;
        failures = 0;
        tell('playing');
      } else if (downNow.current) tell('offline');
      else if (current === 'playing' && at - movedAt > stallAfter) tell('stalled');
      else if (at - movedAt > redialAfter && !document.hidden) {
        hangUp();
        later();
      }
    }, 500);
    const leave = () => hangUp();
    const comeBack = (/** @type {PageTransitionEvent} */ e) => e.persisted && dial();
    addEventListener('pagehide', leave);
    addEventListener('pageshow', comeBack);
    dial();
    return () => {
      clearInterval(watch);
      removeEventListener('pagehide', leave);
      removeEventListener('pageshow', comeBack);
      hangUp();
    };
  }, [camera]);

  useEffect(() => wake.current(), [down]);
  return { state, since, why };
}

/**
 * Its words stand beneath the picture, because any corner of it may hold what
 * the camera itself writes there.
 * @param {{camera: string, node?: string, caption?: string, testid?: string, compact?: boolean, children?: any}} props children stand beside the name
 */
export function Player({ camera, node, caption, testid, compact, children }) {
  const video = useRef(/** @type {HTMLVideoElement|null} */ (null));
  const row = cameraRow(camera, node);
  const id = row?.camera.id ?? camera;
  const source = row?.state;
  const { state, since, why } = useWatch(id, isDown(source?.status), video);
  const name = caption ?? row?.camera.name ?? t('camera.removed');

  return html`
    <figure class="player ${compact ? 'compact' : ''}" data-camera=${id} data-state=${state} data-testid=${testid}>
      <div class="picture">
        <video ref=${video} muted autoplay playsinline aria-label=${t('live.of', { name: name || row?.camera.name || '' })}></video>
        ${state !== 'playing' && html`<${Veil} state=${state} since=${since} why=${why} source=${source} compact=${compact} />`}
      </div>
      <figcaption><span class="dot ${state}"></span><span class="name">${[state === 'playing' && !compact ? t('live.now') : '', name].filter(Boolean).join(' · ')}</span>${children}</figcaption>
    </figure>`;
}

/** @param {{state: PlayState, since: number, why: string, source: import('../records.js').CameraState|null|undefined, compact?: boolean}} props */
function Veil({ state, since, why, source, compact }) {
  if (state === 'connecting') return html`<div class="veil"><p>${t('live.connecting')}</p></div>`;
  if (state === 'stalled') {
    return html`<div class="veil still"><p><strong>${t('live.stalled', { time: hms(since - stallAfter) })}</strong></p></div>`;
  }
  if (state === 'offline' && source) {
    return html`<div class="veil">
      <p><strong>${wordFor(`camera.status.${source.status}`)} · ${t('since', { time: when(source.since, now.value) })}</strong></p>
      ${!compact && html`<p>${wordFor(`camera.remedy.${source.status}`)}</p>`}
    </div>`;
  }
  return html`<div class="veil"><p><strong>${t('live.failed')}</strong></p><p>${!compact && (why + t('live.retrying'))}</p></div>`;
}
