// @ts-check
// The key that is held to talk through a camera, and the line beneath the picture
// that says who talks, how loud and how long still.
//
//   const { key, line, live } = useTalk(id, row);
//
// Held with pointer, finger or the space bar (when it was reached by keyboard: on
// the desk the space bar is the alarm's), it talks until it is let go. Clicked
// shortly, or with Enter, it stays open until the next click. Another window, a
// hidden page, and the end of the station's time all end it. It is there for those
// who may answer alarms, at the camera's own station, where the camera takes a voice.
import { html, useEffect, useRef, useState } from '../html.js';
import { t } from '../words/words.js';
import { centre, may, session } from '../state/session.js';
import { now, stationNow } from '../state/clock.js';
import { Talk } from './talk.js';

/** @typedef {import('../state/api.js').Problem} Problem */
/** @typedef {'off'|'asking'|'calling'|'speaking'} Phase */

const shortClick = 350; // what is let go of sooner was a click
const problemFor = 12_000;
/** What a voice can be sent as, in the words of cameras' settings. @type {Record<string, string>} */
const spoken = { PCMA: 'G.711A', PCMU: 'G.711U', OPUS: 'Opus' };

/** @param {string|undefined} codec of CameraState.talk */
export const canTalk = (codec) => !!codec && codec in spoken;
/** @param {string} codec */
export const talkName = (codec) => spoken[codec] ?? codec;

/**
 * @param {string} camera @param {import('../records.js').CameraRow|null} row
 * @returns {{key: any, line: any, live: boolean}} live: the microphone is open
 */
export function useTalk(camera, row) {
  const [phase, setPhase] = useState(/** @type {Phase} */ ('off'));
  const [stays, setStays] = useState(false);
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  const talk = useRef(/** @type {Talk|null} */ (null));
  const meter = useRef(/** @type {HTMLMeterElement|null} */ (null));
  const pressed = useRef(0); // when, by performance.now(); 0: not
  const mine = useRef(false); // the station has told that it is we who talk
  const stale = useRef(/** @type {string|undefined} */ (undefined)); // what it had told of a talk before
  const source = row?.state;
  const other = source?.talking && Date.parse(source.talking.until) > now.value ? source.talking : null;
  const able = may('answer') && !centre.value && !row?.camera.node && canTalk(source?.talk) && source?.status === 'online';

  const end = () => {
    pressed.current = 0;
    mine.current = false;
    talk.current?.close();
    talk.current = null;
    setPhase('off');
    setStays(false);
  };
  const me = session.value?.actor?.account;
  const until = source?.talking?.account === me ? source?.talking?.until : undefined;
  /** @param {boolean} stay */
  const begin = (stay) => {
    stale.current = until;
    setProblem(null);
    setStays(stay);
    setPhase('asking');
    talk.current = new Talk(camera, source?.talk ?? '', {
      onMic: () => setPhase('calling'),
      onOpen: () => setPhase('speaking'),
      onLevel: (level) => {
        if (meter.current) meter.current.value = level;
      },
      onEnd: (p) => {
        end();
        setProblem(p);
      },
    });
  };
  useEffect(() => {
    // In another window nobody sees that the microphone is open.
    const away = () => talk.current && end();
    const blurred = () => pressed.current && end();
    const hidden = () => document.hidden && away();
    addEventListener('blur', blurred);
    addEventListener('pagehide', away);
    document.addEventListener('visibilitychange', hidden);
    return () => {
      away();
      removeEventListener('blur', blurred);
      removeEventListener('pagehide', away);
      document.removeEventListener('visibilitychange', hidden);
    };
  }, [camera]);
  const lastUntil = useRef(0);
  useEffect(() => {
    if (phase === 'off') return;
    if (until && until !== stale.current) {
      mine.current = true;
      lastUntil.current = Date.parse(until);
    } else if (!until && mine.current) { // the station has ended it
      const over = stationNow() >= lastUntil.current - 1_500;
      talk.current?.ended();
      end();
      setProblem(/** @type {Problem} */ ({ message: t(over ? 'talk.over' : 'talk.broken'), hint: '' }));
    }
  }, [until, phase]);
  useEffect(() => {
    if (!problem) return;
    const timer = setTimeout(() => setProblem(null), problemFor);
    return () => clearTimeout(timer);
  }, [problem]);
  useEffect(() => {
    if (!able && talk.current) end();
  }, [able]);

  const live = phase !== 'off';
  const press = () => {
    if (live) return end();
    pressed.current = performance.now();
    begin(false);
  };
  const release = () => {
    if (!pressed.current) return;
    const short = performance.now() - pressed.current < shortClick;
    pressed.current = 0;
    if (!talk.current) return;
    if (short) setStays(true);
    else end();
  };
  const hold = {
    onPointerDown: (/** @type {any} */ e) => {
      if (e.button !== 0) return;
      e.currentTarget.setPointerCapture(e.pointerId);
      press();
    },
    onPointerUp: release,
    onPointerCancel: () => pressed.current && end(),
    // Clicked, it leaves the focus where it was, and with it the space bar.
    onMouseDown: (/** @type {Event} */ e) => e.preventDefault(),
    onContextMenu: (/** @type {Event} */ e) => e.preventDefault(),
    onClick: (/** @type {MouseEvent} */ e) => {
      if (e.detail > 0) return; // a pointer's, which has been seen to
      if (live) end();
      else begin(true);
    },
    onKeyDown: (/** @type {KeyboardEvent} */ e) => {
      if (e.key !== ' ' || e.ctrlKey || e.altKey || e.metaKey) return;
      e.preventDefault();
      e.stopPropagation();
      if (!e.repeat) press();
    },
    onKeyUp: (/** @type {KeyboardEvent} */ e) => {
      if (e.key !== ' ') return;
      e.preventDefault(); // no click follows
      e.stopPropagation();
      release();
    },
    onBlur: () => pressed.current && end(),
  };
  const word = live ? t('talk.end') : other && other.account !== me ? t('talk.other', { name: other.name }) : t('talk.hold');
  const key = able && html`<button type="button" class="talkkey ${phase}" aria-label=${word} title=${word} disabled=${!live && !!other && other.account !== me} data-testid="talk" ...${hold}>
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3z" /><path class="wave" d="M6 11v1a6 6 0 0 0 12 0v-1M12 18v3M9 21h6" /></svg><span>${t('talk')}</span></button>`;

  let line = null;
  if (live) {
    const left = mine.current && until ? Math.max(0, Math.round((Date.parse(until) - now.value) / 1000)) : 0;
    line = html`<div class="talkline ${phase}" data-testid="talk-line" data-phase=${phase}>
      <strong role="status">${t(phase === 'speaking' ? 'talk.speak' : phase === 'calling' ? 'talk.calling' : 'talk.asking')}</strong>
      <meter min="0" max="1" low="0.15" value="0" ref=${meter} aria-label=${t('talk.level')} data-testid="talk-level"></meter>
      ${left > 0 && html`<span class="left" data-testid="talk-left">${t('talk.left', { n: left })}</span>`}
      <span class="how">${t(stays ? 'talk.stays' : 'talk.letGo')}</span></div>`;
  } else if (problem) {
    line = html`<div class="talkline wrong" role="alert" data-testid="talk-problem"><strong>${problem.message}</strong><span class="how">${problem.hint}</span></div>`;
  } else if (other && other.account !== me) {
    line = html`<div class="talkline other" role="status" data-testid="talk-other"><strong>${t('talk.other', { name: other.name })}</strong></div>`;
  }
  return { key, line, live };
}
