// @ts-check
// The cameras: the wall, and each of them by itself.
import { html, useState } from '../html.js';
import { route } from '../state/route.js';
import { CameraDialog } from './camera-dialog.js';
import { CameraPage } from './camera-page.js';
import { WallPage } from './wall.js';

/** @typedef {import('../records.js').Camera} Camera */

export function Cameras() {
  const [editing, setEditing] = useState(/** @type {Camera|null} */ (null));
  const open = route.value.id;
  return html`${open ? html`<${CameraPage} key=${open} id=${open} onEdit=${setEditing} />` : html`<${WallPage} onEdit=${setEditing} />`}
    ${editing && html`<${CameraDialog} camera=${editing} onClose=${() => setEditing(null)} />`}`;
}
