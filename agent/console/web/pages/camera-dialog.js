// @ts-check
// Adding or changing a camera. Its password is never shown: the field is empty
// and leaving it empty keeps the one that is kept.
import { html, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { newKey, post, Problem, put, remove } from '../state/api.js';
import { loadAll } from '../state/store.js';
import { Dialog } from '../ui/dialog.js';
import { Findings } from '../ui/findings.js';
import { Check, Field, Form } from '../ui/form.js';
import { HoursField } from '../ui/hours.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {import('../records.js').Camera} Camera */

/** What a form sends back for a secret that was not changed. */
export const secretMask = '••••••';

/** @param {readonly string[]} list @param {string} stem @returns {[string, string][]} */
const choices = (list, stem) => list.map((v) => [v, wordFor(`${stem}.${v || 'none'}`)]);
const roles = ['admin', 'chief', 'operator', 'installer', 'display'];

/** @param {{camera: Camera, onClose: () => void, password?: string, onSaved?: (c: Camera) => void}} props password: typed before, for a new one */
export function CameraDialog({ camera, onClose, password: typed = '', onSaved }) {
  const fresh = camera.id === '';
  const [id] = useState(camera.id || `cam-${newKey().slice(0, 8)}`);
  const [c, setC] = useState(camera);
  const [password, setPassword] = useState(typed);
  const [findings, setFindings] = useState(/** @type {any[]|null} */ (null));
  const [probing, setProbing] = useState(false);
  const [problem, setProblem] = useState('');
  /** @param {Partial<Camera>} part */
  const set = (part) => setC((now) => ({ ...now, ...part }));
  /** @param {keyof Camera} key */
  const text = (key) => ({ value: /** @type {string} */ (c[key] ?? ''), onValue: (/** @type {string} */ v) => set({ [key]: v }), name: key, spellcheck: false });
  const order = () => {
    if (!/^rtsps?:\/\/[^/\s]+/.test((c.url ?? '').trim())) throw new Problem(400, 'camera.url', t('camera.url.rule'));
    return {
      ...c, id, name: c.name.trim(), place: c.place?.trim() ?? '', url: c.url?.trim(), sub: c.sub?.trim() || undefined, onvif: c.onvif?.trim() || undefined, username: c.username?.trim() ?? '',
      recordHours: c.record && c.recording === 'hours' ? c.recordHours : undefined,
      password: password || (camera.hasPassword ? secretMask : ''),
    };
  };
  const send = async () => {
    const kept = await put(`/cameras/${encodeURIComponent(id)}`, order());
    await loadAll();
    onSaved?.(kept);
    onClose();
  };
  const probe = async () => {
    setProbing(true);
    setProblem('');
    setFindings(null);
    try {
      setFindings((await post('/cameras/probe', { ...order(), name: c.name || '-' })).findings);
    } catch (err) {
      setProblem(err instanceof Problem ? `${err.message} ${err.hint}` : String(err));
    } finally {
      setProbing(false);
    }
  };
  const drop = async () => {
    await remove(`/cameras/${encodeURIComponent(camera.id)}`);
    await loadAll();
    onClose();
  };
  const recording = c.record ? c.recording || 'always' : 'no';
  const behind = !!c.recorder && !camera.hasPassword;
  return html`<${Dialog} wide title=${fresh ? t('cameras.add') : t('cameras.edit', { name: camera.name })} testid="camera-dialog" onClose=${onClose}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${onClose} extra=${html`${!fresh && html`<${RemoveButton} onRemove=${drop} testid="camera-remove" />`}<button type="button" class="btn" disabled=${probing} data-testid="camera-probe" onClick=${probe}>${t(probing ? 'probe.running' : 'probe')}</button><span class="grow"></span>`}>
      <div class="two">
        <${Field} label=${t('camera.name')} hint=${t('camera.name.hint')} ...${text('name')} required autofocus maxlength="60" />
        <${Field} label=${t('camera.place')} hint=${t('camera.place.hint')} ...${text('place')} maxlength="120" />
      </div>
      <${Field} label=${t('camera.url')} hint=${t('camera.url.hint')} ...${text('url')} required placeholder="rtsp://192.168.1.64/…" />
      <${Field} label=${t('camera.subURL')} hint=${t('camera.subURL.hint')} ...${text('sub')} placeholder="rtsp://192.168.1.64/…" />
      ${behind ? html`<p class="note">${t('camera.behind')}</p>` : html`<div class="two">
        <${Field} label=${t('camera.username')} ...${text('username')} autocomplete="off" />
        <${Field} label=${t('camera.password')} type="password" value=${password} onValue=${setPassword} name="password" autocomplete="new-password" placeholder=${camera.hasPassword ? t('secret.kept') : ''} />
      </div>`}
      <div class="two">
        <${Field} label=${t('camera.recording')} value=${recording} name="recording" options=${choices(['always', 'hours', 'events', 'no'], 'camera.recording')} onValue=${(/** @type {string} */ v) => set({ record: v !== 'no', recording: v === 'no' || v === 'always' ? undefined : v })} />
        <${Field} label=${t('camera.transport')} value=${c.transport ?? ''} name="transport" options=${choices(['', 'auto', 'udp', 'multicast'], 'camera.transport')} onValue=${(/** @type {string} */ v) => set({ transport: v || undefined })} />
      </div>
      ${recording === 'hours' && html`<${HoursField} label=${t('camera.recordHours')} none=${t('camera.recordHours.none')} value=${c.recordHours ?? []} onValue=${(/** @type {any} */ v) => set({ recordHours: v })} />`}
      <div class="two">
        <${Field} label=${t('camera.owner')} value=${c.owner ?? ''} name="owner" options=${choices(['', 'police', 'enterprise', 'property', 'site', 'other'], 'camera.owner')} onValue=${(/** @type {string} */ v) => set({ owner: v || undefined })} />
        <${Field} label=${t('camera.ownerName')} ...${text('ownerName')} maxlength="60" />
      </div>
      <fieldset class="field"><legend>${t('camera.roles')}</legend><div class="chips">${roles.map((r) => html`<label class="chip" key=${r}><input type="checkbox" checked=${c.roles?.includes(r)} onChange=${() => set({ roles: c.roles?.includes(r) ? c.roles.filter((x) => x !== r) : [...(c.roles ?? []), r] })} /><span>${wordFor(`role.${r}`)}</span></label>`)}</div><p class="hint">${t('camera.roles.hint')}</p></fieldset>
      <details class="more"><summary>${t('camera.more')}</summary>
        <${Check} label=${t('camera.onDemand')} hint=${t('camera.onDemand.hint')} checked=${!!c.onDemand} onValue=${(/** @type {boolean} */ v) => set({ onDemand: v })} name="onDemand" />
        <${Check} label=${t('camera.mute')} checked=${!!c.mute} onValue=${(/** @type {boolean} */ v) => set({ mute: v })} name="mute" />
        <${Check} label=${t('camera.recordSub')} checked=${!!c.recordSub} onValue=${(/** @type {boolean} */ v) => set({ recordSub: v })} name="recordSub" />
        <${Field} label="ONVIF" hint=${t('camera.onvif.hint')} ...${text('onvif')} placeholder="http://192.168.1.64/onvif/device_service" />
        <${Field} label=${t('camera.fingerprint')} hint=${t('camera.fingerprint.hint')} ...${text('fingerprint')} />
      </details>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${findings && html`<${Findings} list=${findings} />`}
    <//>
  <//>`;
}
