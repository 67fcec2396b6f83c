// @ts-check
// How many lines a list beside the alarm may have, by the height of the window:
// lines that do not fit are chosen by weight, not cut off.
import { signal } from '../html.js';

const tall = matchMedia('(min-height: 900px)');
const lines = () => (tall.matches ? 9 : 5);

export const room = signal(lines());
tall.addEventListener('change', () => (room.value = lines()));
