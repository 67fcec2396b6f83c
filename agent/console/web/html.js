// @ts-check
// The console's one door to Preact: markup as tagged templates (htm), hooks and
// signals. Components import from here, so that the vendored files have one user.
import htm from './vendor/htm.js';
import { h } from './vendor/preact.js';

export const html = htm.bind(h);
export { render, Fragment } from './vendor/preact.js';
export { useEffect, useLayoutEffect, useRef, useState, useMemo, useId } from './vendor/preact-hooks.js';
export { signal, computed, effect, batch, untracked, useSignal, useComputed, useSignalEffect } from './vendor/signals.js';
