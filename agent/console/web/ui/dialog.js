// @ts-check
// A native modal dialog that opens when it is shown and says when it was closed.
import { html, useEffect, useRef } from '../html.js';
import { t } from '../words/words.js';

/** @param {{title: string, onClose: () => void, testid?: string, wide?: boolean, firm?: boolean, children?: any}} props firm: Escape does not close it */
export function Dialog({ title, onClose, testid, wide, firm, children }) {
  const ref = useRef(/** @type {HTMLDialogElement|null} */ (null));
  useEffect(() => {
    const el = ref.current;
    if (el && !el.open) el.showModal();
    return () => el?.close();
  }, []);
  const cancel = (/** @type {Event} */ e) => {
    e.preventDefault();
    if (!firm) onClose();
  };
  return html`<dialog ref=${ref} class=${wide ? 'wide' : ''} aria-label=${title} data-testid=${testid} onCancel=${cancel}>
    <header><h2>${title}</h2>${!firm && html`<button type="button" class="x" aria-label=${t('close')} onClick=${onClose}>✕</button>`}</header>
    ${children}
  </dialog>`;
}
