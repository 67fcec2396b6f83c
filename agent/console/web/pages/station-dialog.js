// @ts-check
// What a centre's people know of a station; it may be written down before the station
// has ever come.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { put, remove } from '../state/api.js';
import { look } from '../state/below.js';
import { go } from '../state/route.js';
import { plans } from '../state/store.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';
import { RemoveButton } from '../ui/remove.js';
import { siteOf } from './station-map.js';

/** @typedef {import('../records.js').StationView} StationView */

/** @param {{view?: StationView, close: () => void}} props */
export function SiteDialog({ view, close }) {
  const [id, setID] = useState(view?.node.id ?? '');
  const [s, setS] = useState(/** @type {any} */ (view ? siteOf(view) : { name: '' }));
  const [x, setX] = useState(typeof s.x === 'number' ? String(Math.round(s.x * 100)) : '');
  const [y, setY] = useState(typeof s.y === 'number' ? String(Math.round(s.y * 100)) : '');
  const text = (/** @type {string} */ key, /** @type {any} */ label, rest = {}) => html`<${Field} label=${t(label)} value=${s[key] ?? ''} onValue=${(/** @type {string} */ v) => setS({ ...s, [key]: v })} ...${rest} />`;
  const save = async () => {
    const { by: _by, at: _at, ...body } = s;
    const placed = x !== '' && y !== '';
    await put(`/stations/${encodeURIComponent(id.trim())}`, { ...body, x: placed ? Number(x) / 100 : undefined, y: placed ? Number(y) / 100 : undefined });
    await look();
    close();
  };
  const forget = async () => {
    await remove(`/stations/${encodeURIComponent(id)}`);
    await look();
    close();
    go('nodes');
  };
  const pictures = [...plans.value.values()].filter((p) => p.picture);
  return html`<${Dialog} title=${t(view ? 'st.edit' : 'st.add')} onClose=${close}><${Form} testid="site-form" submit=${t('save')} onSubmit=${save} onCancel=${close} extra=${view && !view.node.online && html`<${RemoveButton} what=${t('st.forget')} onRemove=${forget} />`}>
    ${!view && html`<${Field} label=${t('st.id')} hint=${t('st.id.hint')} value=${id} onValue=${setID} name="node" required />`}
    ${text('name', 'st.name', { name: 'name', required: true })}${text('area', 'st.area', { name: 'area' })}${text('address', 'st.address')}
    ${text('contact', 'st.contact', { name: 'contact' })}${text('phone', 'st.phone', { type: 'tel' })}${text('line', 'st.line')}${text('parent', 'st.parent')}
    ${pictures.length > 0 && html`<${Field} label=${t('st.plan')} value=${s.plan ?? ''} onValue=${(/** @type {string} */ v) => setS({ ...s, plan: v })} options=${[['', t('st.plan.none')], ...pictures.map((p) => [p.id, p.name])]} />`}
    <div class="pair"><${Field} label=${t('st.place')} value=${x} onValue=${setX} type="number" min="0" max="100" name="x" /><${Field} label=" " aria-label=${t('st.place')} value=${y} onValue=${setY} type="number" min="0" max="100" name="y" /></div>
  <//><//>`;
}
