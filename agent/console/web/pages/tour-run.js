// @ts-check
// A tour on the screen: the picture, how long it still stays, what comes next, and the
// word that a patrol asks for.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { go, href } from '../state/route.js';
import { cameraRow, nodeName } from '../state/store.js';
import { confirms, dismiss, end, moving, next, pause, previous, say, start, unsaved, unturned } from '../state/touring.js';
import { Player } from '../live/player.js';

/** @typedef {import('../state/touring.js').Run} Run */

/** @param {{run: Run}} props */
export function TourRun({ run }) {
  const [note, setNote] = useState('');
  const [writing, setWriting] = useState(/** @type {''|'note'|'report'} */ (''));
  const step = run.steps[run.at];
  const view = run.views[run.at];
  useEffect(() => {
    setWriting('');
    setNote('');
  }, [run.at]);
  /** @param {KeyboardEvent} e */
  const onKey = (e) => {
    if (/** @type {HTMLElement} */ (e.target).closest('input, textarea')) return;
    if (e.key === 'ArrowRight' && !run.asking && run.tour.confirm !== 'step') next();
    else if (e.key === 'ArrowLeft') previous();
    else if (e.key === 'p' || e.key === 'P') pause(!run.paused);
    else if ((e.key === 'Enter' || e.key === 'n' || e.key === 'N') && confirms(run) && !run.done && e.target === document.body) say(run.asking ? -1 : run.at, 'normal');
    else return;
    e.preventDefault();
  };
  useEffect(() => {
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  });
  const stop = () => {
    end(false);
    dismiss();
    go('tours');
  };
  if (run.done) {
    return html`<main class="page"><div class="empty" data-testid="tour-done"><p>${t('tour.done', { name: run.tour.name })}</p><p>${t('tour.done.hint', { n: run.views.length })}</p>
      <p class="row"><button type="button" class="btn go" onClick=${() => start(run.tour)}>${t('tour.again')}</button><a class="btn" href=${href('patrols')} onClick=${dismiss}>${t('nav.patrols')}</a><a class="btn" href=${href('cameras')} onClick=${dismiss}>${t('nav.cameras')}</a></p></div></main>`;
  }
  const camera = cameraRow(step.camera)?.camera;
  const left = Math.max(0, step.dwell - run.shown);
  const waits = left === 0 && run.tour.confirm === 'step' && confirms(run);
  return html`<main class="page fill tourpage" data-testid="tour-run" data-at=${run.at}>
    <div class="head"><h1>${run.tour.name}</h1><span class="sub">${run.at + 1} / ${run.steps.length}</span>
      <div class="grow"></div>
      ${unturned.value === run.at && html`<span class="warn" data-testid="unturned">${t('ptz.preset.failed')}</span>`}
      ${unsaved.value && html`<span class="warn">${t('tour.unsaved')}</span>`}
      <div class="pager"><button type="button" aria-label=${t('page.prev')} onClick=${previous}>‹</button>
        <button type="button" aria-pressed=${run.paused} data-testid="tour-pause" onClick=${() => pause(!run.paused)}>${t(run.paused ? 'tour.go' : 'tour.pause')}<kbd>P</kbd></button>
        <button type="button" aria-label=${t('page.next')} data-testid="tour-next" disabled=${run.asking || (run.tour.confirm === 'step' && confirms(run))} onClick=${next}>›</button></div>
      <button type="button" class="btn" data-testid="tour-stop" onClick=${stop}>${t('tour.stop')}</button></div>
    <div class="touring">
      <${Player} key="tour" camera=${step.camera} node=${camera?.node} testid="tour-video" onState=${(/** @type {string} */ s) => (moving.value = s === 'playing')}>
        <span class="place">${[nodeName(camera?.node), camera?.place].filter(Boolean).join(' · ')}</span><//>
      <aside>
        <section class="card dwell"><h2>${t(waits ? 'tour.waits' : 'tour.left')}</h2><p class="count-down" aria-live="off">${waits ? '…' : run.paused ? t('tour.paused') : t('left.short', { n: left })}</p>
          <progress max=${step.dwell} value=${Math.min(step.dwell, run.shown)} aria-label=${t('tour.left')}></progress></section>
        ${confirms(run) && html`<section class="card" data-testid="tour-confirm"><h2>${t(run.asking ? 'tour.ask.round' : 'tour.ask')}</h2>
          ${run.asking
            ? html`<ul class="rows">${run.views.map((v, i) => html`<li key=${i}><div><b>${v.name}</b>${v.note && html`<p>${v.note}</p>`}</div>${v.result ? html`<span class="tag">${t(`result.${v.result}`)}</span>` : html`<button type="button" class="btn quiet" onClick=${() => say(i, 'normal')}>${t('result.normal')}</button>`}</li>`)}</ul>
              <button type="button" class="btn go wide" data-testid="round-normal" onClick=${() => say(-1, 'normal')}>${t('tour.all.normal')}<kbd>↵</kbd></button>`
            : writing
              ? html`<form onSubmit=${(/** @type {Event} */ e) => {
                  e.preventDefault();
                  if (note.trim()) say(run.at, writing, note);
                  setWriting('');
                  setNote('');
                }}><div class="field"><label for="tour-note">${t(`result.${writing}`)}</label><textarea id="tour-note" rows="3" maxlength="500" required value=${note} onInput=${(/** @type {any} */ e) => setNote(e.currentTarget.value)}></textarea></div>
                  <div class="row end"><button type="button" class="btn" onClick=${() => setWriting('')}>${t('cancel')}</button><button type="submit" class="btn go" data-testid="note-save">${t('save')}</button></div></form>`
              : html`${view?.result && html`<p><span class="tag">${t(`result.${view.result}`)}</span> ${view.note}</p>`}
                <button type="button" class="btn go wide" data-testid="step-normal" onClick=${() => say(run.at, 'normal')} disabled=${!view}>${t('tour.normal')}<kbd>↵</kbd></button>
                <div class="row"><button type="button" class="btn" data-testid="step-note" disabled=${!view} onClick=${() => setWriting('note')}>${t('result.note')}</button><button type="button" class="btn" data-testid="step-report" disabled=${!view} onClick=${() => setWriting('report')}>${t('result.report')}</button></div>`}</section>`}
        <section class="card nexts"><h2>${t('tour.next')}</h2><ol>${run.steps.map((s, i) => html`<li key=${i} aria-current=${i === run.at ? 'step' : undefined}><i class="light ${run.views[i]?.result === 'report' || run.views[i]?.result === 'note' ? 'warn' : run.views[i] && i !== run.at ? 'ok' : ''}"></i>${cameraRow(s.camera)?.camera.name ?? t('camera.removed')}</li>`)}</ol></section>
      </aside>
    </div>
  </main>`;
}

