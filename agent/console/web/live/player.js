// @ts-check
// A camera's live picture. Its words are honest: a picture that stands still is
// never shown as live, and one that cannot be had says why and since when.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { hms, when } from '../words/times.js';
import { now, stationNow } from '../state/clock.js';
import { cameraRow } from '../state/store.js';
import { canSocket, LiveSocket } from './socket.js';
import { useTalk } from './talk-key.js';
import { Whep } from './whep.js';

/** @typedef {'connecting'|'playing'|'stalled'|'offline'|'failed'} PlayState */

const stallAfter = 4_000;
const redialAfter = 12_000; // still no new picture: the connection is of no use
const backoffMost = 15_000;
const unreachedMost = 2; // then pictures come over a WebSocket
const unreachedFor = 5 * 60_000; // how long no other player tries in vain

let unreachedUntil = 0; // by performance.now()
const otherAfter = 10_000; // the other of a camera's streams was refused while one plays

/** @param {string|undefined} status of a camera whose source cannot give pictures */
const isDown = (status) => status === 'offline' || status === 'unauthorized' || status === 'no-slot' || status === 'unsupported' || status === 'untrusted';

/**
 * One connection with its picture. The first layer is seen; one behind it is being
 * dialled and takes its place with its first picture, so that nobody sees black.
 * @typedef {{key: number, stream: MediaStream|null, whep: Whep|LiveSocket|null, role: string, open: ((el: HTMLVideoElement) => void)|null}} Layer
 */
let layers = 0;

/**
 * Watches one camera for as long as the component lives.
 * @param {string} camera @param {string} role @param {boolean} down @param {boolean} away nobody looks: hang up
 * @param {{current: HTMLElement|null}} box that the videos stand in
 */
function useWatch(camera, role, down, away, box) {
  const [shown, setShown] = useState(/** @type {Layer[]} */ ([]));
  const [state, setState] = useState(/** @type {PlayState} */ ('connecting'));
  const [since, setSince] = useState(0);
  const [why, setWhy] = useState('');
  const [offer, setOffer] = useState(''); // the role that could be had in place of this one
  const downNow = useRef(down);
  downNow.current = down;
  const [by, setBy] = useState(/** @type {'webrtc'|'socket'} */ ('webrtc'));
  const [heard, setHeard] = useState(false); // there is sound to be heard
  const roleNow = useRef(role);
  roleNow.current = role;
  const awayNow = useRef(away);
  awayNow.current = away;
  const wake = useRef(() => {});
  const arrived = useRef((/** @type {Layer} */ _) => {});

  useEffect(() => {
    let unreached = performance.now() < unreachedUntil ? unreachedMost : 0;
    let cause = '';
    /** @type {Layer[]} */
    let stack = [];
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
    /** @param {Layer[]} next */
    const stand = (next) => {
      for (const l of stack) if (!next.includes(l)) l.whep?.close();
      stack = next;
      setShown(next);
    };
    const talking = () => stack.some((l) => l.whep || l.open);
    /** Ends the connections; the last picture stays, for the veil to lie on. */
    const hangUp = () => {
      clearTimeout(redial);
      redial = 0;
      for (const l of stack) {
        l.whep?.close();
        l.whep = l.open = null;
      }
      stand(stack.slice(0, 1).filter((l) => l.stream));
    };
    /** The layer behind has its first picture: it is the one that is seen. @param {Layer} layer */
    arrived.current = (layer) => {
      if (stack.includes(layer)) stand([layer]);
    };
    const later = (/** @type {number} */ wait = 0) => {
      if (redial || awayNow.current) return; // wake() comes when somebody looks
      wait ||= Math.min(1_000 * 2 ** failures++, backoffMost);
      redial = setTimeout(dial, wait * (0.8 + Math.random() * 0.4));
    };
    /** Dials behind whatever is seen. */
    const dialBehind = () => {
      const overSocket = unreached >= unreachedMost && canSocket();
      setBy(overSocket ? 'socket' : 'webrtc');
      if (overSocket) setWhy(cause);
      /** @type {Layer} */
      const layer = { key: ++layers, stream: null, whep: null, role: roleNow.current, open: null };
      /** @param {import('../state/api.js').Problem} problem */
      const onEnd = (problem) => {
        layer.whep = layer.open = null;
        if (problem.code === 'unreached') {
          cause = problem.message;
          if (++unreached >= unreachedMost) unreachedUntil = performance.now() + unreachedFor;
        }
        if (talking()) {
          // The other stream of the two is there; this one is asked for anew later.
          stand(stack.filter((l) => l !== layer || l === stack[0]));
          return later(otherAfter);
        }
        setHeard(false);
        setWhy(problem.message);
        setOffer(problem.code === 'line.full' ? (problem.args.offer ?? '') : '');
        tell(downNow.current ? 'offline' : 'failed');
        later();
      };
      if (overSocket) layer.open = (el) => (layer.whep = new LiveSocket(camera, el, { onEnd, onSound: setHeard }));
      else {
        layer.whep = new Whep(camera, layer.role, {
          onStream: (stream) => {
            layer.stream = stream;
            setHeard(stream.getAudioTracks().length > 0);
            setShown([...stack]);
          },
          onEnd,
        });
      }
      stand([...stack.slice(0, 1), layer]);
    };
    const dial = () => {
      if (redial && stack[0]?.whep) { // only the other stream had failed
        redial = 0;
        if (stack[0].role !== roleNow.current) dialBehind();
        return;
      }
      hangUp();
      if (downNow.current) return tell('offline'); // wake() comes when the camera does
      if (awayNow.current) return tell('connecting');
      movedAt = performance.now();
      if (current !== 'failed') tell('connecting');
      dialBehind();
    };
    wake.current = () => {
      if (awayNow.current) {
        hangUp();
        tell('connecting');
      } else if (downNow.current) tell('offline');
      else if (!talking()) {
        failures = 0;
        dial();
      } else if (stack[0].whep && stack[0].role === roleNow.current) stand([stack[0]]);
      else if (stack[stack.length - 1].role !== roleNow.current) dialBehind();
    };
    const watch = setInterval(() => {
      const el = box.current?.querySelector('video');
      if (!el || !talking()) return;
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
      clearTimeout(redial);
      stand([]);
    };
  }, [camera]);

  useEffect(() => wake.current(), [down, role, away]);
  useLayoutEffect(() => {
    for (const layer of shown) {
      const el = /** @type {HTMLVideoElement|null|undefined} */ (box.current?.querySelector(`video[data-layer="${layer.key}"]`));
      if (!el) continue;
      if (layer.open) {
        layer.open(el);
        layer.open = null;
      } else if (layer.stream && el.srcObject !== layer.stream) {
        el.srcObject = layer.stream;
        el.play().catch(() => {}); // muted video may always play
      } else continue;
      if (el.requestVideoFrameCallback) el.requestVideoFrameCallback(() => arrived.current(layer));
      else el.addEventListener('loadeddata', () => arrived.current(layer), { once: true });
    }
  }, [shown]);
  return { state, since, why, offer, by, heard, shown };
}

/**
 * Its words stand beneath the picture, because any corner of it may hold what
 * the camera itself writes there.
 * @param {{camera: string, node?: string, caption?: string, testid?: string, compact?: boolean, role?: 'focus'|'wall', away?: boolean, advise?: boolean, onState?: (s: PlayState) => void, children?: any}} props
 *   children stand beside the name; role: which of the camera's streams; away: nobody looks, hang up until somebody does
 */
export function Player({ camera, node, caption, testid, compact, role = 'focus', away = false, advise, onState, children }) {
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  const row = cameraRow(camera, node);
  const id = row?.camera.id ?? camera;
  const source = row?.state;
  const [smaller, setSmaller] = useState(false); // on a line that has no room for the large picture
  useEffect(() => setSmaller(false), [id, role]);
  const { state, since, why, offer, by, heard, shown } = useWatch(id, smaller ? 'wall' : role, isDown(source?.status), away, box);
  const [loud, setLoud] = useState(false);
  const talk = useTalk(id, compact ? null : row);
  useEffect(() => onState?.(state), [state]);
  useEffect(() => {
    const seen = box.current?.querySelector('video');
    if (seen) seen.muted = !(loud && heard) || talk.live; // or one hears oneself, and the room howls
  }, [loud, heard, shown, talk.live]);
  const name = caption ?? row?.camera.name ?? t('camera.removed');

  return html`
    <figure class="player ${compact ? 'compact' : ''}" data-camera=${id} data-state=${state} data-testid=${testid}>
      <div class="picture" ref=${box}>
        ${shown.map((l) => html`<video key=${l.key} data-layer=${l.key} data-role=${l.role} muted autoplay playsinline aria-label=${t('live.of', { name: name || row?.camera.name || '' })}></video>`)}
        ${state !== 'playing' && html`<${Veil} state=${state} since=${since} why=${why} source=${source} compact=${compact} advise=${advise ?? !compact} instead=${offer && !smaller ? () => setSmaller(true) : null} />`}
      </div>
      ${talk.line}
      <figcaption><span class="dot ${state}"></span><span class="name">${[state === 'playing' && !compact ? t('live.now') : '', name].filter(Boolean).join(' · ')}</span>
        ${state === 'playing' && by === 'socket' && html`<span class="byway" title=${t('live.socket.why', { why })} data-testid="by-socket">${t('live.socket')}</span>`}
        ${state === 'playing' && html`<${Sound} heard=${heard} loud=${loud} codec=${source?.sound} by=${by} set=${setLoud} />`}
        ${talk.key}
        ${children}</figcaption>
    </figure>`;
}

/** The button for the sound, which is off until it is asked for. @param {{heard: boolean, loud: boolean, codec?: string, by: string, set: (loud: boolean) => void}} props */
function Sound({ heard, loud, codec, by, set }) {
  if (!heard) return codec && (codec === 'AAC' || by === 'socket') ? html`<span class="byway soundless" data-testid="no-sound" title=${t(by === 'socket' ? 'live.sound.notHere' : 'live.sound.recordOnly', { codec })}><svg viewBox="0 0 24 24" role="img" aria-label=${t('live.sound.none')}><path d="M4 9v6h4l5 4V5L8 9z" /><path d="M16 9.5l5 5M21 9.5l-5 5" class="wave" /></svg></span>` : null;
  const word = t(loud ? 'live.sound.off' : 'live.sound.on');
  return html`<button type="button" class="soundkey" aria-pressed=${loud} aria-label=${word} title=${word} data-testid="sound" onClick=${() => set(!loud)}>
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 9v6h4l5 4V5L8 9z" />${loud
      ? html`<path d="M16 8.5a5 5 0 0 1 0 7M18.5 6a8.5 8.5 0 0 1 0 12" class="wave" />`
      : html`<path d="M16 9.5l5 5M21 9.5l-5 5" class="wave" />`}</svg>
  </button>`;
}

/** @param {{state: PlayState, since: number, why: string, source: import('../records.js').CameraState|null|undefined, compact?: boolean, advise: boolean, instead?: (() => void)|null}} props instead shows the smaller picture, where that is offered */
function Veil({ state, since, why, source, compact, advise, instead }) {
  if (state === 'connecting') return html`<div class="veil"><p>${t('live.connecting')}</p></div>`;
  if (state === 'stalled') {
    return html`<div class="veil still"><p><strong>${t('live.stalled', { time: hms(since - stallAfter) })}</strong></p></div>`;
  }
  if (state === 'offline' && source) {
    return html`<div class="veil">
      <p><strong>${wordFor(`camera.status.${source.status}`)} · ${t('since', { time: when(source.since, now.value) })}</strong></p>
      ${advise && html`<p>${wordFor(`camera.remedy.${source.status}`)}</p>`}
    </div>`;
  }
  return html`<div class="veil"><p><strong>${t('live.failed')}</strong></p><p>${!compact && (why + t('live.retrying'))}</p>
    ${instead && html`<button type="button" class="btn" data-testid="smaller" onClick=${instead}>${t('line.smaller')}</button>`}</div>`;
}
