// @ts-check
// What this browser remembers of its user's wishes: language, day or night,
// whether the alarm sound is muted, how many pictures the wall shows.
import { signal, effect } from '../html.js';

/** @param {string} key @param {string} fallback */
function read(key, fallback) {
  try {
    return localStorage.getItem(key) ?? fallback;
  } catch {
    return fallback;
  }
}

/** @param {string} key @param {string} value */
function write(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser that keeps nothing still works; it only forgets.
  }
}

/** The language of the pages: "zh" or "en". */
export const lang = signal(/** @type {'zh'|'en'} */ (read('lang', 'zh') === 'en' ? 'en' : 'zh'));
/** The wish: "auto" follows the system. */
export const theme = signal(/** @type {'auto'|'day'|'night'} */ (read('theme', 'auto')));
export const muted = signal(read('muted', '') === '1');
/** Pictures on the wall: 1, 4, 9 or 16; and which cameras they are of. */
export const wallSize = signal([1, 4, 9, 16].find((n) => n === Number(read('wall', '4'))) ?? 4);
export const wallOf = signal(read('wallOf', ''));
/** Whether the quiet desk tours through the cameras. */
export const tour = signal(read('tour', '1') === '1');
/** What this seat is called where several sit before one station. */
export const seat = signal(read('seat', ''));
/** Whether the quiet desk shows the plans instead of the cameras. */
export const planFirst = signal(read('planFirst', '') === '1');

/** Keeps the document and the storage in step with the wishes. */
export function applyPrefs() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const paint = () => {
    const night = theme.value === 'night' || (theme.value === 'auto' && dark.matches);
    document.documentElement.dataset.theme = night ? 'night' : 'day';
  };
  dark.addEventListener('change', paint);
  effect(() => {
    document.documentElement.lang = lang.value === 'en' ? 'en' : 'zh-CN';
    write('lang', lang.value);
  });
  effect(() => {
    write('theme', theme.value);
    paint();
  });
  effect(() => write('muted', muted.value ? '1' : ''));
  effect(() => write('wall', String(wallSize.value)));
  effect(() => write('wallOf', wallOf.value));
  effect(() => write('tour', tour.value ? '1' : ''));
  effect(() => write('seat', seat.value));
  effect(() => write('planFirst', planFirst.value ? '1' : ''));
}
