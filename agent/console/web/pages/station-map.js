// @ts-check
// The stations on a map: on pictures that were uploaded as plans, and on a plain sheet
// for those that have a place and no picture. No tiles come from anywhere.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { put } from '../state/api.js';
import { nameOf, standing, stations, tried } from '../state/below.js';
import { go } from '../state/route.js';
import { may } from '../state/session.js';
import { plans } from '../state/store.js';
import { PlanPicture } from '../live/plan.js';

/** @typedef {import('../records.js').StationView} StationView */

/** @param {StationView} v */
const look = (v) => (standing(v).lost || v.raised ? 'alarm' : standing(v).tone === 'ok' ? 'ok' : 'offline');

/** @param {{list: StationView[]}} props */
export function StationMap({ list }) {
  const [putting, setPutting] = useState('');
  const placed = list.filter((v) => v.site && typeof v.site.x === 'number');
  const free = list.filter((v) => !(v.site && typeof v.site.x === 'number'));
  const pictures = [...plans.value.values()].filter((p) => p.picture && placed.some((v) => v.site?.plan === p.id));
  const first = [...plans.value.values()].find((p) => p.picture && !p.floor);
  const shown = pictures.length ? pictures : first && may('configure') ? [first] : [];
  const plain = placed.filter((v) => !v.site?.plan || !shown.some((p) => p.id === v.site?.plan));
  /** @param {string} plan @param {number} x @param {number} y */
  const drop = (plan, x, y) => {
    const v = stations.peek().find((s) => s.node.id === putting);
    if (!v) return;
    setPutting('');
    tried(() => put(`/stations/${encodeURIComponent(v.node.id)}`, { ...siteOf(v), plan, x, y }));
  };
  const spot = putting ? (/** @type {string} */ plan) => (/** @type {number} */ x, /** @type {number} */ y) => drop(plan, x, y) : () => undefined;
  const marks = (/** @type {StationView[]} */ some) => some.map((v) => ({ id: v.node.id, kind: /** @type {const} */ ('sensor'), x: v.site?.x ?? 0, y: v.site?.y ?? 0, state: look(v), name: nameOf(v), here: v.raised > 0 || standing(v).lost }));
  return html`<div data-testid="st-map-sheet">
    ${shown.map((p) => html`<section class="card" key=${p.id}><h2>${p.name}</h2><${PlanPicture} plan=${p.id} name=${p.name} version=${p.picture?.digest} marks=${marks(placed.filter((v) => v.site?.plan === p.id))} onPick=${(/** @type {string} */ id) => go('nodes', id)} onSpot=${spot(p.id)} /></section>`)}
    ${(plain.length > 0 || !shown.length) && html`<section class="card"><${Sheet} list=${plain} onSpot=${putting ? spot('') : undefined} /></section>`}
    ${free.length > 0 && may('configure') && html`<p class="unplaced">${putting ? t('st.map.put', { name: nameOf(free.find((v) => v.node.id === putting) ?? free[0]) }) : t('st.map.unplaced')}
      ${free.map((v) => html`<button type="button" key=${v.node.id} class="btn quiet" aria-pressed=${putting === v.node.id} onClick=${() => setPutting(putting === v.node.id ? '' : v.node.id)}>${nameOf(v)}</button>`)}</p>`}
  </div>`;
}

/** A station's details as they are sent again. @param {StationView} v */
export const siteOf = (v) => ({ ...(v.site ?? { name: v.node.name || v.node.id }), node: v.node.id });

const w = 1600, h = 900;

/** @param {{list: StationView[], onSpot?: (x: number, y: number) => void}} props */
function Sheet({ list, onSpot }) {
  /** @param {MouseEvent} e */
  const press = (e) => {
    const svg = /** @type {SVGSVGElement} */ (/** @type {Element} */ (e.currentTarget).closest('svg'));
    const p = new DOMPoint(e.clientX, e.clientY).matrixTransform(svg.getScreenCTM()?.inverse());
    onSpot?.(Math.min(1, Math.max(0, p.x / w)), Math.min(1, Math.max(0, p.y / h)));
  };
  return html`<svg class="sitemap" viewBox=${`0 0 ${w} ${h}`} role="group" aria-label=${t('st.view.map')}>
    <rect width=${w} height=${h} onClick=${press} />
    ${Array.from({ length: 15 }, (_, i) => html`<line key=${`v${i}`} x1=${(i + 1) * 100} x2=${(i + 1) * 100} y1="0" y2=${h} />`)}${Array.from({ length: 8 }, (_, i) => html`<line key=${`h${i}`} y1=${(i + 1) * 100} y2=${(i + 1) * 100} x1="0" x2=${w} />`)}
    ${list.map((v) => html`<g key=${v.node.id} class=${`site ${look(v)}`} transform=${`translate(${(v.site?.x ?? 0) * w} ${(v.site?.y ?? 0) * h})`} tabindex="0" role="button" aria-label=${nameOf(v)} data-site=${v.node.id}
        onClick=${() => go('nodes', v.node.id)} onKeyDown=${(/** @type {KeyboardEvent} */ e) => e.key === 'Enter' && go('nodes', v.node.id)}>
      <circle r="18" /><text y="52" text-anchor="middle">${nameOf(v)}</text></g>`)}
  </svg>`;
}
