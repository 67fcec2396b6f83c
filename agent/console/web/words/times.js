// @ts-check
// Times and quantities as the duty room says them.
import { lang } from '../state/prefs.js';
import { t } from './words.js';

/** @param {number} n */
const two = (n) => String(n).padStart(2, '0');

/** "10:42:05" @param {string|number} at */
export function hms(at) {
  const d = new Date(at);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** "10:42" @param {string|number} at */
export function hm(at) {
  return hms(at).slice(0, 5);
}

/** @param {string|number} at @param {number} now */
function daysApart(at, now) {
  return Math.round((new Date(now).setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86_400_000);
}

/** "10:42" today, "昨天 10:42", "11月3日 10:42", "2025-11-03 10:42" @param {string|number|undefined|null} at @param {number} now */
export function when(at, now) {
  if (!at || !(new Date(at).getTime() > 0)) return t('never'); // the server's zero time lies before 1970
  const d = new Date(at);
  const apart = daysApart(at, now);
  if (apart === 0) return hm(at);
  if (apart === 1) return t('time.yesterday', { time: hm(at) });
  if (d.getFullYear() === new Date(now).getFullYear()) {
    const date = lang.value === 'en' ? `${d.getDate()} ${d.toLocaleString('en', { month: 'short' })}` : `${d.getMonth() + 1}月${d.getDate()}日`;
    return `${date} ${hm(at)}`;
  }
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${hm(at)}`;
}

/** "2026-11-03 10:42:05", for records that must be exact @param {string} at */
export function stamp(at) {
  const d = new Date(at);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${hms(at)}`;
}

/** How long it has lasted, counting: "01:42", "1:02:33", "3 天 4 时" @param {number} ms */
export function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const h = Math.floor(s / 3600);
  if (h >= 24) return t('time.daysHours', { d: Math.floor(h / 24), h: h % 24 });
  if (h) return `${h}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return `${two(Math.floor(s / 60))}:${two(s % 60)}`;
}

/** How long, roughly: "12 分", "3 小时 5 分", "2 天" @param {number} ms */
export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return t('time.seconds', { n: s });
  const m = Math.floor(s / 60);
  if (m < 60) return t('time.minutes', { n: m });
  const h = Math.floor(m / 60);
  if (h < 24) return m % 60 && h < 10 ? t('time.hoursMinutes', { h, m: m % 60 }) : t('time.hours', { n: h });
  return t('time.days', { n: Math.floor(h / 24) });
}

/** When it was, and how long ago: "10:02 · 3 分前"; "never" when it was not. @param {string|undefined} at @param {number} now */
export function whenAgo(at, now) {
  const then = at ? Date.parse(at) : 0;
  return then > 0 ? `${when(at, now)} · ${t('ago', { span: span(now - then) })}` : t('never');
}

/** How long there is room for, roughly: "23 天", "5 小时"; empty while nobody knows. @param {number|undefined|null} days */
export function room(days) {
  if (!days) return '';
  return days >= 1 ? t('time.days', { n: Math.floor(days) }) : t('time.hours', { n: Math.max(1, Math.floor(days * 24)) });
}

/** @param {number|undefined} n */
export function bytes(n) {
  if (!n && n !== 0) return '–';
  const names = ['B', 'KB', 'MB', 'GB', 'TB'];
  let i = 0;
  let x = n;
  while (x >= 1000 && i < names.length - 1) {
    x /= 1000;
    i++;
  }
  return `${x >= 100 || i === 0 ? Math.round(x) : Math.round(x * 10) / 10} ${names[i]}`;
}

/** @param {number|string|undefined} rate bits per second, or words */
export function bitRate(rate) {
  if (typeof rate !== 'number') return rate ? String(rate) : '';
  return rate >= 1e6 ? `${Math.round(rate / 1e5) / 10} M` : `${Math.round(rate / 1e3)} k`;
}
