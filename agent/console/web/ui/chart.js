// @ts-check
// One reading over time. A number is a line with the span between its least and
// greatest in each piece of time; yes and no are steps. Where the device said
// nothing there is nothing.
import uPlot from '../vendor/uplot.js';
import { html, useEffect, useRef } from '../html.js';
import { lang, theme } from '../state/prefs.js';
import { hms, stamp } from '../words/times.js';

/** @typedef {{field: string, type?: string, points: [number, number, number, number][], gaps?: [number, number][]}} Series */

const height = 150;
const day = 86_400_000;

/** The columns that the chart draws: time in seconds, mean, least, greatest. @param {Series} series */
function columns(series) {
  /** @type {(number|null)[][]} */
  const cols = [[], [], [], []];
  const gaps = [...(series.gaps ?? [])];
  for (const [at, least, mean, most] of series.points ?? []) {
    while (gaps.length && gaps[0][0] < at) {
      cols[0].push((gaps.shift()?.[0] ?? 0) / 1000 + 0.001);
      for (const col of cols.slice(1)) col.push(null);
    }
    [at / 1000, mean, least, most].forEach((v, i) => cols[i].push(v));
  }
  return cols;
}

/** @param {string} name of a token of the stylesheet */
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * @param {{series: Series, from: number, to: number, format: (v: number) => string, label: string, testid?: string, onAt?: (text: string) => void}} props
 *   onAt: what stands beneath the pointer, in words; empty when it has left
 */
export function Chart({ series, from, to, format, label, testid, onAt }) {
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const data = columns(series);
    const steps = series.type === 'bool';
    const line = ink('--accent');
    const axis = { stroke: ink('--ink-3'), grid: { stroke: ink('--line'), width: 1 }, ticks: { show: false }, font: `12px ${ink('--font')}` };
    const plot = new uPlot(
      {
        width: el.clientWidth || 300,
        height,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { x: { range: [from / 1000, to / 1000] }, y: steps ? { range: [-0.15, 1.15] } : {} },
        axes: [
          { ...axis, space: 70, values: (/** @type {any} */ _, /** @type {number[]} */ list) => list.map((s) => tick(s * 1000, to - from)) },
          { ...axis, size: 62, space: 34, ...(steps ? { splits: () => [0, 1] } : {}), values: (/** @type {any} */ _, /** @type {number[]} */ list) => list.map((v) => format(v)) },
        ],
        series: [
          {},
          { stroke: line, width: 2, points: { show: data[0].length < 3 }, ...(steps ? { paths: stepped, fill: ink('--accent-soft') } : {}) },
          { stroke: 'transparent', points: { show: false } },
          { stroke: 'transparent', points: { show: false } },
        ],
        bands: steps ? [] : [{ series: [3, 2], fill: `${line}26` }],
        hooks: {
          setCursor: [
            (/** @type {any} */ u) => {
              const i = u.cursor.idx;
              const v = i === null || i === undefined ? null : data[1][i];
              onAt?.(v === null || v === undefined ? '' : `${to - from > day ? stamp(new Date((data[0][i] ?? 0) * 1000).toISOString()).slice(5, 16) : hms((data[0][i] ?? 0) * 1000)}  ${format(v)}`);
            },
          ],
        },
      },
      data,
      el,
    );
    const watch = new ResizeObserver(() => el.clientWidth && plot.setSize({ width: el.clientWidth, height }));
    watch.observe(el);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [series, from, to, theme.value, lang.value, document.documentElement.dataset.theme]);
  return html`<div class="chart" ref=${box} role="img" aria-label=${label} data-testid=${testid}></div>`;
}

/** Draws yes and no as steps. */
const stepped = uPlot.paths.stepped({ align: 1 });

/** A moment on the axis: the time within a day, else the date. @param {number} at @param {number} length */
function tick(at, length) {
  const d = new Date(at);
  const time = hms(at).slice(0, 5);
  return length > 2 * day ? `${d.getMonth() + 1}/${d.getDate()}${time === '00:00' ? '' : ` ${time}`}` : time;
}
