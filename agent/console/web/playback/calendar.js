// @ts-check
// The days of a month that have a record: a fuller bar is a fuller day.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { lang } from '../state/prefs.js';
import { get } from '../state/api.js';
import { now } from '../state/clock.js';
import { dayOf, first, nextDay, view } from './state.js';
import { position, seek } from './clock.js';

/** @typedef {{day: string, recorded: number, gaps?: number, alarms?: number}} Day */

const refreshEvery = 60_000;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
/** @param {number} n */
const two = (n) => String(n).padStart(2, '0');
/** @param {Date} d */
const dateOf = (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;

export function Calendar() {
  const [month, setMonth] = useState('');
  const [days, setDays] = useState(/** @type {Map<string, Day>} */ (new Map()));
  const here = new Date(position.value || now.value);
  const shown = month || dateOf(here).slice(0, 7);
  const camera = first.value;
  const turn = Math.floor(now.value / refreshEvery);
  useEffect(() => setMonth(''), [dateOf(here).slice(0, 7)]);
  useEffect(() => {
    let gone = false;
    if (!camera) return;
    get(`/cameras/${encodeURIComponent(camera)}/days?${new URLSearchParams({ month: shown, zone })}`).then(
      (body) => gone || setDays(new Map((body.days ?? []).map((/** @type {Day} */ d) => [d.day, d]))),
      () => gone || setDays(new Map()),
    );
    return () => {
      gone = true;
    };
  }, [camera, shown, turn]);
  const [year, m] = shown.split('-').map(Number);
  const begin = new Date(year, m - 1, 1);
  const lead = (begin.getDay() + 6) % 7;
  const count = new Date(year, m, 0).getDate();
  /** @param {number} by */
  const turnPage = (by) => {
    const d = new Date(year, m - 1 + by, 1);
    setMonth(`${d.getFullYear()}-${two(d.getMonth() + 1)}`);
  };
  /** @param {number} d */
  const open = (d) => {
    const start = new Date(year, m - 1, d).getTime();
    const same = position.peek() - dayOf(position.peek());
    view.value = { from: dayOf(start), to: nextDay(start) };
    seek(Math.min(start + same, Math.max(start, now.peek() - 5_000)));
  };
  const title = lang.value === 'en' ? begin.toLocaleString('en', { month: 'long', year: 'numeric' }) : `${year}年${m}月`;
  return html`<section class="card pcalendar" data-testid="calendar">
    <header><button type="button" class="btn quiet" aria-label=${t('page.prev')} onClick=${() => turnPage(-1)}>‹</button><b>${title}</b><button type="button" class="btn quiet" aria-label=${t('page.next')} onClick=${() => turnPage(1)}>›</button></header>
    <div class="days">${[1, 2, 3, 4, 5, 6, 7].map((n) => html`<span key=${n} class="wd">${t(`play.weekday.${/** @type {1} */ (n)}`)}</span>`)}
      ${Array.from({ length: lead }, (_, i) => html`<span key=${`l${i}`}></span>`)}
      ${Array.from({ length: count }, (_, i) => {
        const date = `${shown}-${two(i + 1)}`;
        const d = days.get(date);
        const share = d ? Math.min(100, (d.recorded / 86_400e9) * 100) : 0;
        return html`<button type="button" key=${date} class=${d?.recorded ? 'has' : ''} aria-current=${date === dateOf(here) ? 'date' : undefined} disabled=${new Date(year, m - 1, i + 1).getTime() > now.value} data-testid=${`day-${date}`}
          aria-label=${`${date} ${d?.recorded ? t('play.calendar.recorded', { n: Math.round(share) }) : t('play.calendar.none')}${d?.alarms ? t('play.calendar.alarms', { n: d.alarms }) : ''}`} onClick=${() => open(i + 1)}>
          ${i + 1}${d?.alarms ? html`<i class="al"></i>` : ''}<svg aria-hidden="true"><rect width=${`${Math.max(share, d?.recorded ? 6 : 0)}%`} height="3" /></svg></button>`;
      })}</div>
  </section>`;
}
