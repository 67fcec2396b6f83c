// @ts-check
// A button and what it opens beneath itself. Escape, a click elsewhere and
// leaving it by keyboard close it; the focus goes back to the button.
import { html, useEffect, useRef, useState } from '../html.js';

/**
 * @param {{label: any, name: string, testid?: string, class?: string, children?: any}} props children may be a function that gets close()
 */
export function Popup({ label, name, testid, class: cls, children }) {
  const [open, setOpen] = useState(false);
  const root = useRef(/** @type {HTMLElement|null} */ (null));
  const button = useRef(/** @type {HTMLButtonElement|null} */ (null));
  useEffect(() => {
    if (!open) return;
    const outside = (/** @type {Event} */ e) => {
      if (!root.current?.contains(/** @type {globalThis.Node} */ (e.target))) setOpen(false);
    };
    const key = (/** @type {KeyboardEvent} */ e) => {
      if (e.key !== 'Escape') return;
      e.stopPropagation();
      setOpen(false);
      button.current?.focus();
    };
    addEventListener('pointerdown', outside);
    addEventListener('focusin', outside);
    addEventListener('keydown', key, { capture: true });
    return () => {
      removeEventListener('pointerdown', outside);
      removeEventListener('focusin', outside);
      removeEventListener('keydown', key, { capture: true });
    };
  }, [open]);
  const close = () => setOpen(false);
  return html`<div class="popup" ref=${root}>
    <button type="button" ref=${button} class=${cls} aria-expanded=${open} aria-label=${name} data-testid=${testid} onClick=${() => setOpen(!open)}>${label}</button>
    ${open && html`<div class="sheet">${typeof children === 'function' ? children(close) : children}</div>`}
  </div>`;
}
