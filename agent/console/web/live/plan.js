// @ts-check
// A plan with what stands on it. It is drawn in the picture's own measure, so
// that a dot stays on its spot whatever room the plan gets.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../html.js';
import { t } from '../words/words.js';

/** @typedef {{id: string, kind: 'sensor'|'camera', x: number, y: number, state: string, name: string, here?: boolean}} Mark */

/** The measure of a picture once it is known. @param {string} url */
function useMeasure(url) {
  const [size, setSize] = useState(/** @type {{w: number, h: number, broken: boolean}|null} */ (null));
  useEffect(() => {
    let gone = false;
    setSize(null);
    const img = new Image();
    img.onload = () => gone || setSize({ w: img.naturalWidth || 1600, h: img.naturalHeight || 1000, broken: false });
    img.onerror = () => gone || setSize({ w: 1600, h: 1000, broken: true });
    img.src = url;
    return () => {
      gone = true;
    };
  }, [url]);
  return size;
}

const dot = 9; // pixels, on a plan of some size; one that matters now is larger
const dotHere = 13;
const dotMost = 0.045; // of a small plan's width, so that its rooms can still be read
const dotLeast = 7; // pixels

/** How many pixels one of the picture's own takes on the screen. @param {{current: Element|null}} box @param {{w: number, h: number}|null} size */
function useScale(box, size) {
  const [scale, setScale] = useState(1);
  useLayoutEffect(() => {
    const el = box.current;
    if (!el || !size) return;
    const look = () => el.clientWidth && setScale(Math.min(el.clientWidth / size.w, el.clientHeight / size.h) || 1);
    const watch = new ResizeObserver(look);
    watch.observe(el);
    look();
    return () => watch.disconnect();
  }, [size]);
  return scale;
}

/** @param {string} plan its id @param {string} [version] */
export const pictureOf = (plan, version) => `/api/v1/plans/${encodeURIComponent(plan)}/picture${version ? `?v=${encodeURIComponent(version)}` : ''}`;

/**
 * @param {{plan: string, name: string, version?: string, marks: Mark[], testid?: string, chosen?: string,
 *   onPick?: (id: string, kind: Mark['kind']) => void, onMove?: (id: string, x: number, y: number, done: boolean) => void,
 *   onSpot?: (x: number, y: number) => void, onDrop?: (id: string, x: number, y: number) => void}} props
 *   onMove: marks can be dragged, and moved with the arrow keys; onSpot: a press on the plan itself; onDrop: something was dragged onto it
 */
export function PlanPicture({ plan, name, version, marks, testid, chosen, onPick, onMove, onSpot, onDrop }) {
  const url = pictureOf(plan, version);
  const size = useMeasure(url);
  const box = useRef(/** @type {Element|null} */ (null));
  const scale = useScale(box, size);
  if (!size) return html`<div class="planbox" ref=${box} data-testid=${testid}></div>`;
  if (size.broken) return html`<div class="planbox" ref=${box} data-testid=${testid}><p class="note">${t('plan.broken')}</p></div>`;
  const { w, h } = size;
  /** @param {MouseEvent} e @returns {[number, number]} */
  const spot = (e) => {
    const svg = /** @type {SVGSVGElement} */ (/** @type {Element} */ (e.currentTarget).closest('svg'));
    const p = new DOMPoint(e.clientX, e.clientY).matrixTransform(svg.getScreenCTM()?.inverse());
    return [clamp(p.x / w), clamp(p.y / h)];
  };
  return html`<div class="planbox" ref=${box} data-testid=${testid}><svg viewBox=${`0 0 ${w} ${h}`} preserveAspectRatio="xMidYMid meet" role="group" aria-label=${name}>
    <image href=${url} width=${w} height=${h} onClick=${onSpot && ((/** @type {MouseEvent} */ e) => onSpot(...spot(e)))}
      onDragOver=${onDrop && ((/** @type {Event} */ e) => e.preventDefault())} onDrop=${onDrop && ((/** @type {DragEvent} */ e) => {
        e.preventDefault();
        const id = e.dataTransfer?.getData('text/plain');
        if (id) onDrop(id, ...spot(e));
      })} />
    ${marks.map((m) => {
      const r = Math.max(dotLeast, Math.min(m.here ? dotHere : dot, dotMost * w * scale)) / scale;
      return html`<g key=${m.kind + m.id} class="mark ${m.kind} ${m.state} ${m.here ? 'here' : ''} ${chosen === m.id ? 'chosen' : ''} ${onMove ? 'moves' : ''}"
        transform=${`translate(${m.x * w} ${m.y * h})`} data-mark=${m.id} tabindex=${onPick || onMove ? 0 : undefined} role=${onPick || onMove ? 'button' : 'img'} aria-label=${m.name}
        onClick=${() => onPick?.(m.id, m.kind)}
        onKeyDown=${(/** @type {KeyboardEvent} */ e) => {
          const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
          if (e.key === 'Enter') onPick?.(m.id, m.kind);
          if (!step || !onMove) return;
          e.preventDefault();
          e.stopPropagation();
          const by = e.shiftKey ? 0.05 : 0.01;
          onMove(m.id, clamp(m.x + step[0] * by), clamp(m.y + step[1] * by), true);
        }}
        onPointerDown=${onMove && ((/** @type {PointerEvent} */ e) => /** @type {Element} */ (e.currentTarget).setPointerCapture(e.pointerId))}
        onPointerMove=${onMove && ((/** @type {PointerEvent} */ e) => /** @type {Element} */ (e.currentTarget).hasPointerCapture(e.pointerId) && onMove(m.id, ...spot(e), false))}
        onPointerUp=${onMove && ((/** @type {PointerEvent} */ e) => onMove(m.id, ...spot(e), true))}>
      <title>${m.name}</title>
      ${m.here && html`<circle class="halo" r=${r * 2} />`}
      ${m.kind === 'camera' ? html`<path class="dot" d=${`M${-r} ${-r * 0.8}h${r * 1.4}v${r * 0.5}l${r * 0.9} ${-r * 0.5}v${r * 1.6}l${-r * 0.9} ${-r * 0.5}v${r * 0.5}h${-r * 1.4}z`} />` : html`<circle class="dot" r=${r} />`}
    </g>`;
    })}
  </svg></div>`;
}

/** @param {number} x */
const clamp = (x) => Math.min(1, Math.max(0, Math.round(x * 10_000) / 10_000));
