// @ts-check
// Adding or changing a camera. Its password is never shown: the field is empty
// and leaving it empty keeps the one that is kept.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { newKey, Problem, put, remove } from '../state/api.js';
import { loadAll } from '../state/store.js';
import { Dialog } from '../ui/dialog.js';
import { Check, Field, Form } from '../ui/form.js';
import { RemoveButton } from '../ui/remove.js';

/** What a form sends back for a secret that was not changed. */
export const secretMask = '••••••';

/** @param {{camera: import('../records.js').Camera, onClose: () => void}} props */
export function CameraDialog({ camera, onClose }) {
  const fresh = camera.id === '';
  const [name, setName] = useState(camera.name);
  const [place, setPlace] = useState(camera.place ?? '');
  const [url, setUrl] = useState(camera.url ?? '');
  const [username, setUsername] = useState(camera.username ?? '');
  const [password, setPassword] = useState('');
  const [record, setRecord] = useState(camera.record);
  const send = async () => {
    if (!/^rtsp:\/\/[^/\s]+/.test(url.trim())) throw new Problem(400, 'camera.url', t('camera.url.rule'));
    const id = fresh ? `cam-${newKey().slice(0, 8)}` : camera.id;
    await put(`/cameras/${encodeURIComponent(id)}`, {
      ...camera, id, name: name.trim(), place: place.trim(), url: url.trim(), username: username.trim(), record,
      password: password || (camera.hasPassword ? secretMask : ''),
    });
    await loadAll();
    onClose();
  };
  const drop = async () => {
    await remove(`/cameras/${encodeURIComponent(camera.id)}`);
    await loadAll();
    onClose();
  };
  return html`<${Dialog} title=${fresh ? t('cameras.add') : t('cameras.edit', { name: camera.name })} testid="camera-dialog" onClose=${onClose}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${onClose} extra=${!fresh && html`<${RemoveButton} onRemove=${drop} testid="camera-remove" /><span class="grow"></span>`}>
      <${Field} label=${t('camera.name')} hint=${t('camera.name.hint')} value=${name} onValue=${setName} name="name" required autofocus maxlength="80" />
      <${Field} label=${t('camera.place')} hint=${t('camera.place.hint')} value=${place} onValue=${setPlace} name="place" maxlength="120" />
      <${Field} label=${t('camera.url')} hint=${t('camera.url.hint')} value=${url} onValue=${setUrl} name="url" required placeholder="rtsp://192.168.1.64/…" spellcheck=${false} />
      <div class="two">
        <${Field} label=${t('camera.username')} value=${username} onValue=${setUsername} name="username" autocomplete="off" spellcheck=${false} />
        <${Field} label=${t('camera.password')} type="password" value=${password} onValue=${setPassword} name="password" autocomplete="new-password"
          placeholder=${camera.hasPassword ? t('secret.kept') : ''} />
      </div>
      <${Check} label=${t('camera.record')} hint=${t('camera.record.hint')} checked=${record} onValue=${setRecord} name="record" />
    <//>
  <//>`;
}
