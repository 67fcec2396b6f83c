// @ts-check
// Accounts that let gateways into the station's own message service. A password
// is shown once, when it is made.
import { html, useState } from '../html.js';
import { t } from '../words/words.js';
import { Problem, put, remove } from '../state/api.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';

/** @typedef {import('../records.js').DeviceAccount} DeviceAccount */
/** @typedef {{username: string, password: string}} Credential */

export function Devices() {
  const { data, problem, again } = useLoad('/devices');
  const [adding, setAdding] = useState(false);
  /** @type {DeviceAccount[]} */
  const rows = data?.devices ?? [];
  return html`<section class="card"><h2>${t('devices')}</h2>
    <p class="note">${t('devices.hint')}</p>
    <${LoadProblem} problem=${problem} again=${again} />
    <ul class="rows">${rows.map((d) => html`<li key=${d.username}><div><b>${d.username}</b><p>${d.topics?.length ? d.topics.join('  ') : t('devices.allTopics')}</p></div>
      <${RemoveButton} onRemove=${async () => {
        await remove(`/devices/${encodeURIComponent(d.username)}`);
        again();
      }} /></li>`)}</ul>
    <button type="button" class="btn" data-testid="device-add" onClick=${() => setAdding(true)}>＋ ${t('devices.add')}</button>
    ${adding && html`<${DeviceDialog} onClose=${() => {
      setAdding(false);
      again();
    }} />`}
  </section>`;
}

/** @param {{onClose: () => void}} props */
function DeviceDialog({ onClose }) {
  const [username, setUsername] = useState('');
  const [topics, setTopics] = useState('');
  const [made, setMade] = useState(/** @type {Credential|null} */ (null));
  const send = async () => {
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(username)) throw new Problem(400, 'device.username', t('device.username.rule'));
    setMade(await put(`/devices/${encodeURIComponent(username)}`, { username, topics: topics.split('\n').map((x) => x.trim()).filter(Boolean) }));
  };
  if (made) {
    return html`<${Dialog} title=${t('device.made')} testid="device-credential" firm onClose=${onClose}>
      <p class="lead">${t('device.made.hint')}</p>
      <dl class="credential"><div><dt>${t('camera.username')}</dt><dd><code>${made.username}</code></dd></div><div><dt>${t('camera.password')}</dt><dd><code data-testid="device-password">${made.password}</code></dd></div></dl>
      <div class="row end">
        ${navigator.clipboard && html`<button type="button" class="btn" onClick=${() => navigator.clipboard.writeText(made.password).catch(() => {})}>${t('copy')}</button>`}
        <button type="button" class="btn go" onClick=${onClose}>${t('device.noted')}</button></div>
    <//>`;
  }
  return html`<${Dialog} title=${t('devices.add')} testid="device-dialog" onClose=${onClose}>
    <${Form} submit=${t('device.make')} onSubmit=${send} onCancel=${onClose}>
      <${Field} label=${t('camera.username')} hint=${t('device.username.rule')} value=${username} onValue=${(/** @type {string} */ v) => setUsername(v.trim())} name="username" required autofocus spellcheck=${false} autocomplete="off" />
      <${Field} label=${t('device.topics')} hint=${t('device.topics.hint')} rows=${2} value=${topics} onValue=${setTopics} name="topics" spellcheck=${false} />
    <//>
  <//>`;
}
