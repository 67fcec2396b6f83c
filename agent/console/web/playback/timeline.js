// @ts-check
// The bands of the shown cameras over one stretch of time: recorded, with alarms,
// empty. It is one slider: click, drag, wheel and keys move the clock and the view.
import { html, useEffect, useRef, useState } from '../html.js';
import { kindWord, t, wordFor } from '../words/words.js';
import { hm, hms, span, stamp } from '../words/times.js';
import { now } from '../state/clock.js';
import { cameraRow } from '../state/store.js';
import { position, seek } from './clock.js';
import { bringIntoView, chosen, day, dayOf, lines, nextDay, recordedAt, view, zoom } from './state.js';

/** @typedef {import('./state.js').Line} Line */

const dragged = 4; // px from which a press is a drag
const eventLeast = 0.35; // % of the width that an alarm is shown with at least
const previewSteps = 400; // different previews over the width
const previewWait = 90; // ms that the pointer rests

/** @param {number} at */
const place = (at) => {
  const v = view.value;
  return ((at - v.from) / (v.to - v.from)) * 100;
};

/** @param {import('./state.js').Step} s */
export const settingWord = (s) => t(s.by < 0 ? 'play.clock.back' : 'play.clock.forward', { span: span(Math.round(Math.abs(s.by) / 1000) * 1000) });

/** The marks of the ruler: a distance that leaves room for their words. @param {number} length ms @param {number} room how many fit */
function marksApart(length, room) {
  const steps = [10, 30, 60, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400].map((s) => s * 1000);
  return steps.find((s) => length / s <= room) ?? steps[steps.length - 1];
}

export function Timeline() {
  const track = useRef(/** @type {HTMLElement|null} */ (null));
  const press = useRef(/** @type {{x: number, from: number, to: number, pan: boolean, moved: boolean}|null} */ (null));
  const [hover, setHover] = useState(/** @type {{at: number, x: number, row: number}|null} */ (null));
  const [width, setWidth] = useState(800);
  const v = view.value;
  useEffect(() => {
    const el = track.current;
    if (!el) return;
    const watch = new ResizeObserver(() => setWidth(el.clientWidth));
    watch.observe(el);
    const wheel = (/** @type {WheelEvent} */ e) => {
      e.preventDefault();
      const box = el.getBoundingClientRect();
      const cur = view.peek();
      const length = cur.to - cur.from;
      if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
        const by = (e.deltaX / box.width) * length;
        view.value = { from: cur.from + by, to: cur.to + by };
      } else zoom(e.deltaY > 0 ? 1.25 : 0.8, cur.from + ((e.clientX - box.left) / box.width) * length);
    };
    el.addEventListener('wheel', wheel, { passive: false });
    return () => {
      watch.disconnect();
      el.removeEventListener('wheel', wheel);
    };
  }, []);

  /** @param {PointerEvent} e */
  const momentOf = (e) => {
    const box = /** @type {HTMLElement} */ (track.current).getBoundingClientRect();
    const cur = view.peek();
    return cur.from + Math.min(1, Math.max(0, (e.clientX - box.left) / box.width)) * (cur.to - cur.from);
  };
  /** @param {any} e */
  const down = (e) => {
    if (e.button !== 0) return;
    e.currentTarget.setPointerCapture(e.pointerId);
    const ruler = !!(/** @type {HTMLElement} */ (e.target).closest('.ruler'));
    press.current = { x: e.clientX, ...view.peek(), pan: ruler || e.shiftKey, moved: false };
    if (!press.current.pan) seek(momentOf(e));
  };
  /** @param {any} e */
  const move = (e) => {
    const at = momentOf(e);
    const p = press.current;
    if (p) {
      p.moved ||= Math.abs(e.clientX - p.x) > dragged;
      if (p.pan) {
        const by = ((p.x - e.clientX) / width) * (p.to - p.from);
        view.value = { from: p.from + by, to: p.to + by };
      } else if (p.moved) seek(at);
      return;
    }
    const row = /** @type {HTMLElement} */ (e.target).closest('.band');
    setHover({ at, x: e.clientX - /** @type {HTMLElement} */ (track.current).getBoundingClientRect().left, row: row ? Number(row.getAttribute('data-row')) : 0 });
  };
  const up = (/** @type {any} */ e) => {
    const p = press.current;
    press.current = null;
    if (p?.pan && !p.moved) seek(momentOf(e));
  };
  /** @param {KeyboardEvent} e */
  const key = (e) => {
    const length = v.to - v.from;
    const at = position.peek();
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => seek(at - length / 200), ArrowRight: () => seek(at + length / 200), PageUp: () => seek(at - length / 10), PageDown: () => seek(at + length / 10),
      Home: () => seek(v.from), End: () => seek(v.to), '+': () => zoom(0.5, at), '=': () => zoom(0.5, at), '-': () => zoom(2, at),
    };
    if (!keys[e.key] || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    e.stopPropagation();
    keys[e.key]();
    bringIntoView(position.peek());
  };
  const length = v.to - v.from;
  const apart = marksApart(length, Math.max(3, width / 74));
  const zone = new Date(v.from).getTimezoneOffset() * 60_000;
  const marks = [];
  for (let m = Math.ceil((v.from - zone) / apart) * apart + zone; m <= v.to; m += apart) marks.push(m);
  return html`<section class="card ptimeline" data-testid="timeline">
    <div class="names"><span class="ruler"></span>${chosen.value.map((c) => html`<b key=${c}>${cameraRow(c)?.camera.name ?? c}</b>`)}</div>
    <div class="track" ref=${track} tabindex="0" role="slider" aria-label=${t('play.timeline')} aria-valuemin=${Math.round(v.from / 1000)} aria-valuemax=${Math.round(v.to / 1000)}
      aria-valuenow=${Math.round(position.value / 1000)} aria-valuetext=${stamp(new Date(position.value).toISOString())}
      onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${() => (press.current = null)} onPointerLeave=${() => setHover(null)} onKeyDown=${key}>
      <div class="ruler">${marks.map((m) => html`<i key=${m} style=${{ left: `${place(m)}%` }}>${markWord(m, apart, length)}</i>`)}</div>
      ${chosen.value.map((c, i) => html`<${Band} key=${c} row=${i} line=${lines.value.get(c) ?? null} />`)}
      ${now.value > v.from && now.value < v.to && html`<i class="future" style=${{ left: `${place(now.value)}%` }}></i>`}
      <${Head} />
      ${hover && html`<${Hover} at=${hover.at} x=${hover.x} width=${width} camera=${chosen.value[hover.row] ?? ''} />`}
    </div>
    <${Legend} />
  </section>`;
}

/** @param {number} at @param {number} apart @param {number} length */
function markWord(at, apart, length) {
  const d = new Date(at);
  if (apart >= day || (length > day * 1.01 && d.getHours() === 0 && d.getMinutes() === 0)) return `${d.getMonth() + 1}/${d.getDate()}`;
  return apart < 60_000 ? hms(at) : hm(at);
}

function Head() {
  const at = place(position.value);
  if (at < 0 || at > 100) return null;
  return html`<i class="playhead" style=${{ left: `${at}%` }}></i>`;
}

/** @param {{row: number, line: Line|null}} props */
function Band({ row, line }) {
  const v = view.value;
  /** @param {number} from @param {number} to */
  const box = (from, to, least = 0) => {
    const x = Math.max(-1, place(from));
    return { x: `${x}%`, width: `${Math.max(least, Math.min(101, place(to)) - x)}%` };
  };
  /** @param {{from: number, to: number}} s */
  const seen = (s) => !(s.to <= v.from) && s.from < v.to;
  return html`<svg class="band" data-row=${row} aria-hidden="true" data-testid="band">
    <defs><pattern id=${`hatch${row}`} width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="2" height="7" class="hatch" /></pattern></defs>
    ${line?.recorded.filter(seen).map((s) => html`<rect key=${`r${s.from}`} class="rec" y="9" height="20" ...${box(s.from, s.to, 0.08)} />`)}
    ${line?.gaps.filter(seen).map((g) => html`<rect key=${`g${g.from}`} class="gap" y="9" height="20" fill=${`url(#hatch${row})`} ...${box(g.from, g.to, 0.1)} />`)}
    ${line?.held.filter(seen).map((h) => html`<rect key=${`h${h.class}${h.from}`} class=${`held ${h.class}`} y="30" height="5" data-testid=${`held-${h.class}`} ...${box(h.from, h.to, 0.15)} />`)}
    ${line?.events.filter((e) => seen({ from: e.from, to: Number.isNaN(e.to) ? e.from + 1 : e.to })).map((e) => html`<rect key=${e.alarm} class=${`event ${e.state === 'raised' && !e.test ? 'live' : ''} ${e.test ? 'test' : ''}`} y="3" height="32" rx="1" ...${box(e.from, Number.isNaN(e.to) ? Math.min(now.value, e.from + 600_000) : e.to, eventLeast)} />`)}
    ${line?.steps.filter((s) => s.at > v.from && s.at < v.to).map((s) => html`<rect key=${`s${s.at}`} class="step" y="0" height="38" x=${`${place(s.at)}%`} width="2" />`)}
  </svg>`;
}

/** @param {{at: number, x: number, width: number, camera: string}} props */
function Hover({ at, x, width, camera }) {
  const v = view.value;
  const step = Math.max(1000, Math.round((v.to - v.from) / previewSteps));
  const moment = Math.floor(at / step) * step;
  const there = recordedAt(camera, moment);
  const [shown, setShown] = useState(0);
  useEffect(() => {
    if (!there) return;
    const timer = setTimeout(() => setShown(moment), previewWait);
    return () => clearTimeout(timer);
  }, [moment, camera, !!there]);
  const line = lines.value.get(camera);
  const gap = line?.gaps.find((g) => at >= g.from && at < g.to);
  const near = (v.to - v.from) / 150;
  const event = line?.events.find((e) => at >= e.from - near && at <= (Number.isNaN(e.to) ? e.from : e.to) + near);
  const setting = line?.steps.find((s) => Math.abs(s.at - at) <= near);
  const evidence = line?.held.some((h) => h.class === 'evidence' && at >= h.from && at < h.to);
  const right = x > width / 2;
  return html`<div class="phover ${right ? 'right' : ''}" style=${right ? { right: `${width - x + 10}px` } : { left: `${x + 10}px` }}>
    ${there && shown ? html`<video key=${camera} src=${`/api/v1/cameras/${encodeURIComponent(camera)}/preview?at=${encodeURIComponent(new Date(shown).toISOString())}`} muted playsinline preload="auto" data-testid="preview"></video>` : ''}
    <time>${hms(at)}</time>
    ${!there && html`<span>${gap ? `${wordFor(`play.gap.${gap.reason}`) || t('play.gap.other')} · ${span(gap.to - gap.from)}` : t('play.gap')}</span>`}
    ${setting && html`<span>${settingWord(setting)}</span>`}
    ${evidence && html`<span>${t('play.legend.evidence')}</span>`}
    ${event && html`<span><b>${kindWord(event.kind)}</b> ${event.place || event.name}</span>`}
  </div>`;
}

function Legend() {
  const v = view.value;
  const length = v.to - v.from;
  /** @param {number} by */
  const shift = (by) => {
    view.value = Math.abs(length - day) < 7_200_000 ? { from: dayOf(v.from + by * day + 7_200_000), to: nextDay(v.from + by * day + 7_200_000) } : { from: v.from + by * length, to: v.to + by * length };
  };
  const middle = Math.min(Math.max(position.value, v.from), v.to);
  return html`<footer>
    <span class="key"><i class="k rec"></i>${t('play.legend.recorded')}</span><span class="key"><i class="k event"></i>${t('play.legend.event')}</span><span class="key"><i class="k gap"></i>${t('play.legend.gap')}</span><span class="key"><i class="k kept"></i>${t('play.legend.kept')}</span><span class="key"><i class="k evidence"></i>${t('play.legend.evidence')}</span>
    <span class="grow"></span>
    <button type="button" class="btn quiet" aria-label=${t('play.earlier')} onClick=${() => shift(-1)}>‹</button>
    <b class="viewed" data-testid="viewed">${stamp(new Date(v.from).toISOString()).slice(0, length > day * 1.5 || length < day * 0.9 ? 16 : 10)}${length < day * 0.9 ? ` – ${hm(v.to)}` : ''}</b>
    <button type="button" class="btn quiet" aria-label=${t('play.later')} onClick=${() => shift(1)}>›</button>
    <button type="button" class="btn quiet" aria-label=${t('play.zoomOut')} title=${t('play.zoomOut')} onClick=${() => zoom(2, middle)}>−</button>
    <button type="button" class="btn quiet" aria-label=${t('play.zoomIn')} title=${t('play.zoomIn')} data-testid="zoom-in" onClick=${() => zoom(0.5, middle)}>＋</button>
    <button type="button" class="btn quiet" data-testid="whole-day" onClick=${() => (view.value = { from: dayOf(position.peek()), to: nextDay(position.peek()) })}>${t('play.day')}</button>
  </footer>`;
}
