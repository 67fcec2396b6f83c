// @ts-check
// Beneath the bar of every page: a tour that an alarm has interrupted, or that is due.
import { html } from '../html.js';
import { t } from '../words/words.js';
import { hm } from '../words/times.js';
import { route } from '../state/route.js';
import { display, may } from '../state/session.js';
import { calling, dismiss, end, resume, run, start } from '../state/touring.js';
import { tours, useWalls } from '../state/walls.js';

export function TourStrip() {
  useWalls();
  if (!may('video') || calling().length) return null; // an alarm has the screen
  const r = run.value;
  if (r?.interrupted) {
    const last = r.breaks[r.breaks.length - 1];
    return html`<div class="banner tours" role="status" data-testid="tour-interrupted"><strong>${r.tour.name}</strong><span>${t('tour.interrupted', { time: hm(last.from) })}</span>
      <button type="button" data-testid="tour-resume" onClick=${resume}>${t('tour.resume')}</button><button type="button" class="plain" onClick=${() => {
        end(false);
        dismiss();
      }}>${t('tour.stop')}</button></div>`;
  }
  const due = r || display.value || !may('answer') ? null : tours.value.find((v) => v.due);
  if (!due || route.value.page === 'tours') return null;
  return html`<div class="banner tours" role="status" data-testid="tour-due"><strong>${due.tour.name}</strong><span>${t('tours.due')}</span>
    <button type="button" onClick=${() => start(due.tour)}>${t(due.tour.confirm ? 'tours.start.patrol' : 'tours.start')}</button></div>`;
}
