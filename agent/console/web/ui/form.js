// @ts-check
// A form that says what went wrong where it went wrong, and cannot be sent twice.
import { html, useId, useState } from '../html.js';
import { t } from '../words/words.js';
import { Problem } from '../state/api.js';

/**
 * @param {{onSubmit: () => Promise<void>, submit: string, testid?: string, onCancel?: () => void, extra?: any, disabled?: boolean, children?: any}} props
 */
export function Form({ onSubmit, submit, testid, onCancel, extra, disabled, children }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  const send = async (/** @type {Event} */ e) => {
    e.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await onSubmit();
    } catch (err) {
      setProblem(err instanceof Problem ? err : new Problem(0, 'internal', String(err)));
    } finally {
      setBusy(false);
    }
  };
  return html`<form data-testid=${testid} onSubmit=${send}>
    ${children}
    ${problem && html`<p class="problem" role="alert"><strong>${problem.message}</strong> ${problem.hint}</p>`}
    <div class="row end">
      ${extra}
      ${onCancel && html`<button type="button" class="btn" onClick=${onCancel}>${t('cancel')}</button>`}
      <button type="submit" class="btn go" disabled=${busy || disabled}>${busy ? t('busy') : submit}</button>
    </div>
  </form>`;
}

/**
 * A labelled field. Everything that is not named goes to the control itself.
 * @param {{label: string, hint?: string, value: string, onValue: (v: string) => void, type?: string, options?: [string, string][], rows?: number, [x: string]: any}} props
 */
export function Field({ label, hint, value, onValue, type = 'text', options, rows, ...rest }) {
  const id = useId();
  const note = hint ? `${id}-hint` : undefined;
  const input = (/** @type {any} */ e) => onValue(e.currentTarget.value);
  let control;
  if (options) {
    control = html`<select id=${id} value=${value} onChange=${input} aria-describedby=${note} ...${rest}>
      ${options.map(([v, text]) => html`<option value=${v} selected=${v === value}>${text}</option>`)}
    </select>`;
  } else if (rows) {
    control = html`<textarea id=${id} rows=${rows} value=${value} onInput=${input} aria-describedby=${note} ...${rest}></textarea>`;
  } else {
    control = html`<input id=${id} type=${type} value=${value} onInput=${input} aria-describedby=${note} ...${rest} />`;
  }
  return html`<div class="field"><label for=${id}>${label}</label>${control}${hint && html`<p class="hint" id=${note}>${hint}</p>`}</div>`;
}

/** @param {{label: string, checked: boolean, onValue: (v: boolean) => void, hint?: string, [x: string]: any}} props */
export function Check({ label, checked, onValue, hint, ...rest }) {
  const id = useId();
  return html`<div class="field check"><input id=${id} type="checkbox" checked=${checked} onChange=${(/** @type {any} */ e) => onValue(e.currentTarget.checked)} ...${rest} />
    <label for=${id}>${label}</label>${hint && html`<p class="hint">${hint}</p>`}</div>`;
}
