// @ts-check
// Arranging a wall or a group: tiles are dragged, or chosen from a list by keyboard;
// kept under a name for every seat.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { newKey, put, remove } from '../state/api.js';
import { wallOf, wallSize } from '../state/prefs.js';
import { cameras, cameraRow } from '../state/store.js';
import { groups, loadWalls, walls } from '../state/walls.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';
import { RemoveButton } from '../ui/remove.js';

/** @param {{start: string[], size: number, onClose: () => void}} props */
export function WallDialog({ start, size, onClose }) {
  const [kind, id] = wallOf.value.split(':');
  const old = kind === 'wall' ? walls.value.find((w) => w.id === id) : kind === 'group' ? groups.value.find((g) => g.id === id) : null;
  const [as, setAs] = useState(/** @type {'wall'|'group'} */ (kind === 'group' ? 'group' : 'wall'));
  const [name, setName] = useState(old?.name ?? '');
  const [layout, setLayout] = useState(size);
  const [tiles, setTiles] = useState(() => [...start]);
  const many = Math.max(layout, Math.ceil(tiles.length / layout) * layout);
  const slots = Array.from({ length: Math.min(64, many) }, (_, i) => tiles[i] ?? '');
  const list = [...cameras.value.values()].map((r) => r.camera).sort((a, b) => a.name.localeCompare(b.name, 'zh', { numeric: true }));
  /** @param {number} i @param {string} camera */
  const place = (i, camera) => setTiles(slots.map((c, n) => (n === i ? camera : c === camera ? '' : c)));
  /** @param {number} a @param {number} b */
  const swap = (a, b) => setTiles(slots.map((c, n) => (n === a ? slots[b] : n === b ? slots[a] : c)));
  const send = async () => {
    const fresh = !old || (as === 'wall') !== (kind === 'wall');
    const key = fresh ? `${as}-${newKey().slice(0, 8)}` : old.id;
    const kept = [...slots];
    while (kept.length && !kept[kept.length - 1]) kept.pop();
    if (as === 'wall') await put(`/walls/${key}`, { id: key, name: name.trim(), layout, cameras: kept });
    else await put(`/camera-groups/${key}`, { id: key, name: name.trim(), cameras: kept.filter(Boolean) });
    await loadWalls();
    wallOf.value = `${as}:${key}`;
    wallSize.value = layout;
    onClose();
  };
  const drop = async () => {
    await remove(`/${kind === 'wall' ? 'walls' : 'camera-groups'}/${id}`);
    wallOf.value = '';
    await loadWalls();
    onClose();
  };
  return html`<${Dialog} title=${t('videowall.arrange')} wide testid="wall-dialog" onClose=${onClose}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${onClose} extra=${old && html`<${RemoveButton} onRemove=${drop} testid="wall-remove" /><span class="grow"></span>`}>
      <div class="row">
        <div class="segments" role="radiogroup" aria-label=${t('videowall.as')}>${/** @type {const} */ (['wall', 'group']).map((x) => html`<button type="button" role="radio" key=${x} aria-checked=${as === x} data-testid=${`as-${x}`} onClick=${() => setAs(x)}>${t(`videowall.as.${x}`)}</button>`)}</div>
        ${as === 'wall' && html`<div class="segments" role="radiogroup" aria-label=${t('cameras.size')}>${[1, 4, 9, 16].map((n) => html`<button type="button" role="radio" key=${n} aria-checked=${layout === n} onClick=${() => setLayout(n)}>${n}</button>`)}</div>`}
      </div>
      <${Field} label=${t('camera.name')} value=${name} onValue=${setName} name="name" required autofocus maxlength="40" placeholder=${t(as === 'wall' ? 'videowall.name.hint' : 'group.name.hint')} />
      <p class="hint">${t('videowall.arrange.hint')}</p>
      <div class="arrange a${layout}">${slots.map((camera, i) => html`<div key=${i} class=${camera ? 'slot' : 'slot vacant'} draggable=${camera !== ''}
        onDragStart=${(/** @type {DragEvent} */ e) => e.dataTransfer?.setData('text/plain', String(i))}
        onDragOver=${(/** @type {Event} */ e) => e.preventDefault()}
        onDrop=${(/** @type {DragEvent} */ e) => {
          e.preventDefault();
          const from = Number(e.dataTransfer?.getData('text/plain'));
          if (Number.isInteger(from)) swap(from, i);
        }}>
        <select aria-label=${t('videowall.slot', { n: i + 1 })} data-testid=${`slot-${i + 1}`} value=${camera} onChange=${(/** @type {any} */ e) => place(i, e.currentTarget.value)}>
          <option value="" selected=${camera === ''}>${t('videowall.vacant')}</option>${list.map((c) => html`<option key=${c.id} value=${c.id} selected=${c.id === camera}>${c.name}</option>`)}
        </select><span>${cameraRow(camera)?.camera.place ?? ''}</span></div>`)}</div>
    <//>
  <//>`;
}
