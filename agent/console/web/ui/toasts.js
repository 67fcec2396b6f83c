// @ts-check
// Answers that can still be taken back, with the seconds that are left; and what
// could not be done.
import { html } from '../html.js';
import { answerWord, kindWord, t } from '../words/words.js';
import { now } from '../state/clock.js';
import { failure, takeBack, undos } from '../state/answering.js';

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${failure.value &&
    html`<div class="toast bad" data-testid="failure">
      <p><strong>${t('answer.failed')}</strong> ${failure.value.message} ${failure.value.hint}</p>
      <button type="button" onClick=${() => (failure.value = null)}>${t('close')}</button>
    </div>`}
    ${undos.value.map((u, i) => {
      const left = Math.max(0, Math.min(60, Math.ceil((u.until - now.value) / 1000)));
      return html`<div class="toast" key=${u.id}>
        <p><strong>${answerWord(u.kind)}</strong> ${kindWord(u.alarm.kind)} · ${u.alarm.place || u.alarm.name}</p>
        <button type="button" data-testid="undo" onClick=${() => takeBack(u)}>${t('undo')}${i === undos.value.length - 1 && html`<kbd>Z</kbd>`}</button>
        <span class="left" aria-hidden="true">${left}</span>
        <i class="fuse" aria-hidden="true"></i>
      </div>`;
    })}
  </div>`;
}
