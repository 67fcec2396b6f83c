// @ts-check
// Turning a camera: a pad that is held, by pointer or keys, and the places that the
// camera knows.
//
//   html`<${Ptz} camera=${camera.id} />`
//
// shows nothing for a camera that cannot be turned. While something is held the
// order is sent again every third of a second; the station stops the camera one
// second after the last. Letting go, leaving the page, another window and a lost
// connection all stop it. Keys count while the pad has the focus: arrows turn,
// + and − zoom. It needs the permission "answer"; without it only the places show.
import { html, useEffect, useRef, useState } from '../html.js';
import { t } from '../words/words.js';
import { get, post, Problem, remove } from '../state/api.js';
import { may } from '../state/session.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {{pan: number, tilt: number, zoom: number}} Velocity */
/** @typedef {{token: string, name?: string}} Preset */

const again = 330; // ms; the station's hold is 1 s
const still = { pan: 0, tilt: 0, zoom: 0 };

/** By key and by button. @type {Record<string, [number, number, number]>} */
const ways = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], '+': [0, 0, 1], '=': [0, 0, 1], '-': [0, 0, -1] };
const pad = /** @type {const} */ ([['↖', -1, 1], ['↑', 0, 1], ['↗', 1, 1], ['←', -1, 0], ['', 0, 0], ['→', 1, 0], ['↙', -1, -1], ['↓', 0, -1], ['↘', 1, -1]]);
const names = /** @type {const} */ (['upLeft', 'up', 'upRight', 'left', 'stop', 'right', 'downLeft', 'down', 'downRight']);

/** @param {{camera: string, own?: boolean}} props own is false for a station's camera, whose places are kept there */
export function Ptz({ camera, own = true }) {
  const [head, setHead] = useState(/** @type {{moving?: string, presets: Preset[]}|null} */ (null));
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  const [speed, setSpeed] = useState(0.5);
  const [held, setHeld] = useState('');
  const timer = useRef(/** @type {any} */ (null));
  const path = `/cameras/${encodeURIComponent(camera)}`;
  const mayTurn = may('answer');

  const load = () => get(`${path}/ptz`).then(
    (body) => {
      setHead(body);
      setProblem(null);
    },
    (err) => {
      // One that cannot be turned needs no pad, and no complaint.
      if (err instanceof Problem && !['camera.no-onvif', 'onvif.unsupported'].includes(err.code)) setProblem(err);
    },
  );
  useEffect(() => {
    setHead(null);
    load();
  }, [camera]);

  /** @param {Velocity} v */
  const send = (v) => post(`${path}/ptz`, v).then(() => setProblem(null), (err) => {
    stop(false);
    setProblem(err instanceof Problem ? err : new Problem(0, 'internal', String(err)));
  });
  /** @param {boolean} [tell] */
  const stop = (tell = true) => {
    if (!timer.current) return;
    clearInterval(timer.current);
    timer.current = null;
    setHeld('');
    if (!tell) return;
    // keepalive: the page may be going.
    fetch(`/api/v1${path}/ptz`, { method: 'POST', keepalive: true, credentials: 'same-origin', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(still) }).then((r) => r.text()).catch(() => {}); // unread, it would count as broken off
  };
  /** @param {string} name @param {[number, number, number]} way */
  const hold = (name, [x, y, z]) => {
    if (!mayTurn) return;
    if (timer.current) clearInterval(timer.current);
    const v = { pan: x * speed, tilt: y * speed, zoom: z * speed };
    setHeld(name);
    timer.current = setInterval(() => send(v), again);
    send(v);
  };
  useEffect(() => {
    const let_go = () => stop();
    addEventListener('blur', let_go);
    addEventListener('pagehide', let_go);
    document.addEventListener('visibilitychange', let_go);
    return () => {
      let_go();
      removeEventListener('blur', let_go);
      removeEventListener('pagehide', let_go);
      document.removeEventListener('visibilitychange', let_go);
    };
  }, [camera]);

  if (!head) return problem ? html`<p class="problem" role="alert">${problem.message} ${problem.hint}</p>` : null;

  /** @param {string} name @param {[number, number, number]} way */
  const grip = (name, way) => ({
    type: 'button', tabindex: -1, 'data-testid': `ptz-${name}`, 'aria-label': t(/** @type {any} */ (`ptz.${name}`)), 'aria-pressed': held === name,
    onPointerDown: (/** @type {any} */ e) => {
      if (e.button !== 0) return;
      e.currentTarget.setPointerCapture(e.pointerId);
      hold(name, way);
    },
    onPointerUp: () => stop(), onPointerCancel: () => stop(), onLostPointerCapture: () => stop(), onContextMenu: (/** @type {Event} */ e) => e.preventDefault(),
  });
  const keyDown = (/** @type {KeyboardEvent} */ e) => {
    const way = ways[e.key];
    if (!way || e.ctrlKey || e.altKey || e.metaKey) return;
    e.preventDefault();
    e.stopPropagation();
    if (!e.repeat) hold(e.key, way);
  };
  const keyUp = (/** @type {KeyboardEvent} */ e) => {
    if (!ways[e.key]) return;
    e.stopPropagation();
    stop();
  };
  return html`<section class="ptz" aria-label=${t('ptz')} data-testid="ptz">
    ${mayTurn && html`<div class="ptzpad" role="application" tabindex="0" aria-label=${t('ptz.pad')} data-testid="ptz-pad" onKeyDown=${keyDown} onKeyUp=${keyUp} onBlur=${() => stop()}>
        ${pad.map(([sign, x, y], i) => (sign ? html`<button key=${names[i]} ...${grip(names[i], [x, y, 0])}>${sign}</button>` : html`<span key="mid" class="mid ${held ? 'on' : ''}" aria-hidden="true"></span>`))}
      </div>
      <div class="ptzside"><div class="row"><button class="btn" ...${grip('zoomIn', [0, 0, 1])}>＋</button><button class="btn" ...${grip('zoomOut', [0, 0, -1])}>－</button></div>
        <label class="speed"><span>${t('ptz.speed')}</span><input type="range" min="0.1" max="1" step="0.1" value=${speed} data-testid="ptz-speed" onInput=${(/** @type {any} */ e) => setSpeed(Number(e.currentTarget.value))} /></label>
        <p class="hint">${held ? t('ptz.turning') : head.moving ? t('ptz.other', { name: head.moving }) : t('ptz.hint')}</p></div>`}
    <${Presets} path=${path} list=${head.presets} again=${load} mayTurn=${mayTurn} own=${own} />
    ${problem && html`<p class="problem" role="alert">${problem.message} ${problem.hint}</p>`}
  </section>`;
}

/** @param {{path: string, list: Preset[], again: () => any, mayTurn: boolean, own: boolean}} props */
function Presets({ path, list, again: reload, mayTurn, own }) {
  const [name, setName] = useState('');
  const [problem, setProblem] = useState('');
  /** @param {Promise<any>} wish */
  const wish = async (wish) => {
    setProblem('');
    try {
      await wish;
      await reload();
    } catch (err) {
      setProblem(err instanceof Problem ? `${err.message} ${err.hint}` : String(err));
    }
  };
  const keep = async (/** @type {Event} */ e) => {
    e.preventDefault();
    if (!name.trim()) return;
    await wish(post(`${path}/presets`, { name: name.trim() }));
    setName('');
  };
  const change = own && may('configure');
  if (!list.length && !change) return null;
  return html`<div class="presets"><h3>${t('ptz.presets')}</h3>
    <ul>${list.map((p) => html`<li key=${p.token}><button type="button" class="btn" disabled=${!mayTurn} data-testid="ptz-goto" onClick=${() => wish(post(`${path}/presets/${encodeURIComponent(p.token)}`))}>${p.name || p.token}</button>
      ${change && html`<${RemoveButton} what="✕" onRemove=${() => wish(remove(`${path}/presets/${encodeURIComponent(p.token)}`))} />`}</li>`)}</ul>
    ${change && html`<form class="row" onSubmit=${keep}><input aria-label=${t('ptz.preset.name')} placeholder=${t('ptz.preset.name')} maxlength="40" value=${name} onInput=${(/** @type {any} */ e) => setName(e.currentTarget.value)} data-testid="ptz-name" />
      <button type="submit" class="btn" data-testid="ptz-keep">${t('ptz.preset.keep')}</button></form>`}
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}</div>`;
}
