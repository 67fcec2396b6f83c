// @ts-check
// A camera's live picture. Its words are honest: a picture that stands still is
// never shown as live, and one that cannot be had says why and since when.
import { html, useEffect, useRef, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { hms, when } from '../words/times.js';
import { now, stationNow } from '../state/clock.js';
import { cameraRow } from '../state/store.js';
import { canSocket, LiveSocket } from './socket.js';
import { Whep } from './whep.js';

/** @typedef {'connecting'|'playing'|'stalled'|'offline'|'failed'} PlayState */

const stallAfter = 4_000;
const redialAfter = 12_000; // still no new picture: the connection is of no use
const backoffMost = 15_000;
const unreachedMost = 2; // then pictures come over a WebSocket
const unreachedFor = 5 * 60_000; // how long no other player tries in vain

let unreachedUntil = 0; // by performance.now()

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
  const [by, setBy] = useState(/** @type {'webrtc'|'socket'} */ ('webrtc'));
  const [heard, setHeard] = useState(false); // there is sound to be heard
  const wake = useRef(() => {});

  useEffect(() => {
    /** @type {Whep|LiveSocket|null} */
    let whep = null;
    let unreached = performance.now() < unreachedUntil ? unreachedMost : 0;
    let cause = '';
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
      setHeard(false);
      const overSocket = unreached >= unreachedMost && canSocket();
      setBy(overSocket ? 'socket' : 'webrtc');
      /** @param {import('../state/api.js').Problem} problem */
      const onEnd = (problem) => {
        whep = null;
        setHeard(false);
        if (problem.code === 'unreached') {
          cause = problem.message;
          if (++unreached >= unreachedMost) unreachedUntil = performance.now() + unreachedFor;
        }
        setWhy(problem.message);
        tell(downNow.current ? 'offline' : 'failed');
        later();
      };
      if (overSocket && video.current) {
        setWhy(cause);
        whep = new LiveSocket(camera, video.current, { onEnd });
        return;
      }
      whep = new Whep(camera, {
        onStream: (stream) => {
          if (!video.current) return;
          setHeard(stream.getAudioTracks().length > 0);
          if (video.current.srcObject === stream) return; // the other half of it
          video.current.srcObject = stream;
          video.current.play().catch(() => {}); // muted video may always play
        },
        onEnd,
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
  return { state, since, why, by, heard };
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
  const { state, since, why, by, heard } = useWatch(id, isDown(source?.status), video);
  const [loud, setLoud] = useState(false);
  useEffect(() => {
    if (video.current) video.current.muted = !(loud && heard);
  }, [loud, heard]);
  const name = caption ?? row?.camera.name ?? t('camera.removed');

  return html`
    <figure class="player ${compact ? 'compact' : ''}" data-camera=${id} data-state=${state} data-testid=${testid}>
      <div class="picture">
        <video ref=${video} muted autoplay playsinline aria-label=${t('live.of', { name: name || row?.camera.name || '' })}></video>
        ${state !== 'playing' && html`<${Veil} state=${state} since=${since} why=${why} source=${source} compact=${compact} />`}
      </div>
      <figcaption><span class="dot ${state}"></span><span class="name">${[state === 'playing' && !compact ? t('live.now') : '', name].filter(Boolean).join(' · ')}</span>
        ${state === 'playing' && by === 'socket' && html`<span class="byway" title=${t('live.socket.why', { why })} data-testid="by-socket">${t('live.socket')}</span>`}
        ${state === 'playing' && html`<${Sound} heard=${heard} loud=${loud} codec=${source?.sound} set=${setLoud} />`}
        ${children}</figcaption>
    </figure>`;
}

/** The button for the sound, which is off until it is asked for. @param {{heard: boolean, loud: boolean, codec?: string, set: (loud: boolean) => void}} props */
function Sound({ heard, loud, codec, set }) {
  if (!heard) return codec === 'AAC' ? html`<span class="byway" title=${t('live.sound.recordOnly', { codec })}>${'\u{1F507}\uFE0E'}</span>` : null;
  const word = t(loud ? 'live.sound.off' : 'live.sound.on');
  return html`<button type="button" class="soundkey" aria-pressed=${loud} aria-label=${word} title=${word} data-testid="sound" onClick=${() => set(!loud)}>
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 9v6h4l5 4V5L8 9z" />${loud
      ? html`<path d="M16 8.5a5 5 0 0 1 0 7M18.5 6a8.5 8.5 0 0 1 0 12" class="wave" />`
      : html`<path d="M16 9.5l5 5M21 9.5l-5 5" class="wave" />`}</svg>
  </button>`;
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
