// @ts-check
// Recorders: one machine, one account, and the cameras behind it.
import { html, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { newKey, post, Problem, put, request } from '../state/api.js';
import { cameras, loadAll } from '../state/store.js';
import { Dialog } from '../ui/dialog.js';
import { Check, Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';
import { secretMask } from './camera-dialog.js';

/** @typedef {import('../records.js').Recorder} Recorder */
/** @typedef {{channel: string, name?: string, url: string, sub?: string, profile?: string, subProfile?: string, camera?: string}} Channel */

const kinds = /** @type {const} */ (['onvif', 'hikvision', 'dahua', 'uniview', 'other']);

export function Recorders() {
  const { data, problem, again } = useLoad('/recorders');
  const [editing, setEditing] = useState(/** @type {Recorder|null} */ (null));
  const [open, setOpen] = useState(/** @type {Recorder|null} */ (null));
  /** @type {Recorder[]} */
  const list = data?.recorders ?? [];
  const behind = (/** @type {string} */ id) => [...cameras.value.values()].filter((r) => r.camera.recorder === id).length;
  return html`<p class="lead">${t('recorders.lead')}</p>
    <p class="row"><button type="button" class="btn go" data-testid="recorder-add" onClick=${() => setEditing({ id: '', name: '', kind: 'onvif', host: '' })}>${t('recorders.add')}</button></p>
    <${LoadProblem} problem=${problem} again=${again} />
    ${list.length > 0 && html`<table class="list card below"><thead><tr><th>${t('camera.name')}</th><th>${t('recorder.kind')}</th><th>${t('recorder.host')}</th><th>${t('recorder.cameras')}</th><th></th></tr></thead><tbody>${list.map((r) => html`<tr key=${r.id} data-testid="recorder-row"><td><b>${r.name}</b><small>${r.place}</small></td><td>${wordFor(`recorder.kind.${r.kind}`)}</td><td class="typed">${r.host}</td><td>${behind(r.id)}</td>
      <td class="end"><button type="button" class="btn quiet" data-testid="recorder-channels" onClick=${() => setOpen(r)}>${t('recorder.channels')}</button><button type="button" class="btn quiet" onClick=${() => setEditing(r)}>${t('change')}</button></td></tr>`)}</tbody></table>`}
    ${editing && html`<${RecorderDialog} recorder=${editing} onClose=${(/** @type {Recorder|undefined} */ kept) => {
      setEditing(null);
      again();
      if (kept && !editing.id) setOpen(kept);
    }} />`}
    ${open && html`<${Channels} recorder=${open} onClose=${() => setOpen(null)} />`}`;
}

/** @param {{recorder: Recorder, onClose: (kept?: Recorder) => void}} props */
function RecorderDialog({ recorder, onClose }) {
  const [r, setR] = useState(recorder);
  const [password, setPassword] = useState('');
  /** @param {keyof Recorder} key */
  const text = (key) => ({ value: /** @type {string} */ (r[key] ?? ''), onValue: (/** @type {string} */ v) => setR({ ...r, [key]: v }), name: key, spellcheck: false });
  const send = async () => {
    const id = r.id || `nvr-${newKey().slice(0, 6)}`;
    const body = { ...r, id, password: password || (recorder.hasPassword ? secretMask : '') };
    if (r.kind === 'onvif' && !body.onvif) body.onvif = `http://${r.host.replace(/:\d+$/, '')}/onvif/device_service`;
    onClose(await put(`/recorders/${encodeURIComponent(id)}`, body));
  };
  const drop = async () => {
    await request('DELETE', `/recorders/${encodeURIComponent(r.id)}?cameras=true`);
    await loadAll();
    onClose();
  };
  return html`<${Dialog} title=${recorder.id ? t('cameras.edit', { name: recorder.name }) : t('recorders.add')} testid="recorder-dialog" onClose=${() => onClose()}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${() => onClose()} extra=${recorder.id && html`<${RemoveButton} onRemove=${drop} what=${t('recorder.remove')} sure=${t('recorder.remove.sure')} /><span class="grow"></span>`}>
      <${Field} label=${t('camera.name')} ...${text('name')} required maxlength="60" autofocus />
      <div class="two"><${Field} label=${t('recorder.kind')} value=${r.kind} onValue=${(/** @type {any} */ v) => setR({ ...r, kind: v, channels: v === 'onvif' ? undefined : r.channels || 8 })} name="kind" options=${kinds.map((k) => [k, wordFor(`recorder.kind.${k}`)])} />
        <${Field} label=${t('recorder.host')} hint=${t('recorder.host.hint')} ...${text('host')} required placeholder="192.168.1.20" /></div>
      <div class="two"><${Field} label=${t('camera.username')} ...${text('username')} autocomplete="off" />
        <${Field} label=${t('camera.password')} hint=${t('recorder.password.hint')} type="password" value=${password} onValue=${setPassword} name="password" autocomplete="new-password" placeholder=${recorder.hasPassword ? t('secret.kept') : ''} /></div>
      ${r.kind !== 'onvif' && html`<${Field} label=${t('recorder.count')} type="number" min="1" max="128" value=${String(r.channels ?? 8)} onValue=${(/** @type {string} */ v) => setR({ ...r, channels: Number(v) })} name="channels" />`}
      ${r.kind === 'other' && html`<div class="two"><${Field} label=${t('recorder.main')} ...${text('main')} required placeholder="/live/{ch}/main" /><${Field} label=${t('recorder.sub')} ...${text('sub')} placeholder="/live/{ch}/sub" /></div>`}
      <${Field} label="ONVIF" hint=${t('recorder.onvif.hint')} ...${text('onvif')} placeholder="http://192.168.1.20/onvif/device_service" />
    <//>
  <//>`;
}

/** @param {{recorder: Recorder, onClose: () => void}} props */
function Channels({ recorder, onClose }) {
  const [list, setList] = useState(/** @type {Channel[]|null} */ (null));
  const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
  const [record, setRecord] = useState(false);
  const [said, setSaid] = useState('');
  const path = `/recorders/${encodeURIComponent(recorder.id)}`;
  const look = async () => {
    setSaid('');
    const got = /** @type {Channel[]} */ ((await post(`${path}/channels`)).channels);
    setList(got);
    setChosen(new Set(got.filter((c) => !c.camera).map((c) => c.channel)));
  };
  const take = async () => {
    const done = await post(`${path}/import`, { channels: (list ?? []).filter((c) => chosen.has(c.channel)).map(({ camera, ...c }) => c), record });
    await loadAll();
    setSaid(t('recorder.imported', { added: done.added, kept: done.kept, missing: done.missing.length }));
    await look().catch((err) => setSaid(err instanceof Problem ? err.message : String(err)));
  };
  return html`<${Dialog} wide title=${t('recorder.channels.of', { name: recorder.name })} testid="channels-dialog" onClose=${onClose}>
    <${Form} submit=${list ? t('recorder.take', { n: chosen.size }) : t('recorder.look')} onSubmit=${list ? take : look} onCancel=${onClose} disabled=${!!list && chosen.size === 0}>
      ${said && html`<p role="status" class="big">${said}</p>`}
      ${list && html`<table class="list"><tbody>${list.map((c) => html`<tr key=${c.channel} data-testid="channel-row"><td><label class="chip"><input type="checkbox" checked=${chosen.has(c.channel)} onChange=${() => {
        const next = new Set(chosen);
        if (!next.delete(c.channel)) next.add(c.channel);
        setChosen(next);
      }} /><span>${c.name || c.channel}</span></label></td><td class="typed"><small>${c.url}</small></td><td>${c.camera && html`<i class="tag">${t('find.known')}</i>`}</td></tr>`)}</tbody></table>
        <${Check} label=${t('recorder.record')} hint=${t('recorder.record.hint')} checked=${record} onValue=${setRecord} />`}
    <//>
  <//>`;
}
