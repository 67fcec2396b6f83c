// @ts-check
// A camera is looked for on the network, asked what it is, and taken over: the large
// picture, a smaller one for walls, its ONVIF address. The account is typed once.
import { html, useEffect, useState } from '../html.js';
import { t } from '../words/words.js';
import { post, Problem } from '../state/api.js';
import { cameras } from '../state/store.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';

/** @typedef {{address: string, name?: string, model?: string, place?: string, recorder?: boolean}} Found */
/** @typedef {{token: string, name?: string, source?: string, encoding?: string, width?: number, height?: number, frameRate?: number, url?: string}} Profile */
/** @typedef {{maker?: string, model?: string, address: string, clockOffset?: number, profiles: Profile[], channels: {source: string, name?: string, main: string, sub?: string}[]}} Description */

/** @param {{onClose: () => void, onChosen: (camera: import('../records.js').Camera, password: string) => void, onRecorder: (address: string) => void}} props */
export function CameraFind({ onClose, onChosen, onRecorder }) {
  const [found, setFound] = useState(/** @type {Found[]|null} */ (null));
  const [problem, setProblem] = useState('');
  const [one, setOne] = useState(/** @type {Found|null} */ (null));
  const look = () => {
    setFound(null);
    setProblem('');
    post('/onvif/discover').then((r) => setFound(r.devices), (err) => {
      setFound([]);
      setProblem(err instanceof Problem ? `${err.message} ${err.hint}` : String(err));
    });
  };
  useEffect(look, []);
  const known = new Set([...cameras.value.values()].map((r) => r.camera.onvif).filter(Boolean));
  return html`<${Dialog} wide title=${t('find.title')} testid="find-dialog" onClose=${onClose}>
    ${one ? html`<${Ask} device=${one} back=${() => setOne(null)} onChosen=${onChosen} />` : html`
      ${!found && html`<p class="big" role="status">${t('find.looking')}</p>`}
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${found && html`<p class="lead">${found.length ? t('find.found', { n: found.length }) : t('find.none')}</p>
        <table class="list card" data-testid="found"><tbody>${found.map((d) => html`<tr key=${d.address} data-testid="found-row"><td><b>${d.name || d.model || d.address}</b><small>${[d.model, d.place].filter(Boolean).join(' · ')}</small></td><td class="typed">${host(d.address)}</td>
          <td>${d.recorder && html`<i class="tag">${t('recorder')}</i>`}${known.has(d.address) && html`<i class="tag">${t('find.known')}</i>`}</td>
          <td class="end"><button type="button" class="btn go" data-testid="found-choose" onClick=${() => (d.recorder ? onRecorder(d.address) : setOne(d))}>${t(d.recorder ? 'find.recorder' : 'find.choose')}</button></td></tr>`)}</tbody></table>
        <div class="row end"><button type="button" class="btn" onClick=${() => setOne({ address: '' })}>${t('find.byAddress')}</button><button type="button" class="btn" onClick=${look}>${t('find.again')}</button></div>`}`}
  <//>`;
}

/** @param {string} address */
const host = (address) => address.replace(/^https?:\/\//, '').replace(/\/.*$/, '');

/** @param {{device: Found, back: () => void, onChosen: (camera: import('../records.js').Camera, password: string) => void}} props */
function Ask({ device, back, onChosen }) {
  const [address, setAddress] = useState(device.address);
  const [username, setUsername] = useState('admin');
  const [password, setPassword] = useState('');
  const [told, setTold] = useState(/** @type {Description|null} */ (null));
  const [main, setMain] = useState('');
  const [sub, setSub] = useState('');
  const ask = async () => {
    const d = /** @type {Description} */ (await post('/onvif/describe', { onvif: address, username, password }));
    const first = d.channels[0];
    if (!first) throw new Problem(502, 'onvif.profiles', t('problem.onvif.profiles'), t('problem.onvif.profiles.hint'));
    setTold(d);
    setMain(first.main);
    setSub(first.sub ?? '');
  };
  const take = async () => {
    if (!told) return;
    const by = new Map(told.profiles.map((p) => [p.token, p]));
    onChosen({
      id: '', name: device.name || told.model || '', place: device.place ?? '', url: by.get(main)?.url ?? '', sub: by.get(sub)?.url, username, record: true,
      onvif: told.address, profile: main, subProfile: sub || undefined,
    }, password);
  };
  /** @type {[string, string][]} */
  const list = (told?.profiles ?? []).filter((p) => p.url).map((p) => [p.token, `${p.name || p.token} · ${p.encoding ?? ''} ${p.width ?? '?'}×${p.height ?? '?'}${p.frameRate ? ` · ${p.frameRate} fps` : ''}`]);
  if (!told) {
    return html`<${Form} submit=${t('find.ask')} onSubmit=${ask} onCancel=${back} testid="find-login">
      <${Field} label=${t('find.address')} value=${address} onValue=${setAddress} name="onvif" required spellcheck=${false} placeholder="192.168.1.64" />
      <div class="two"><${Field} label=${t('camera.username')} value=${username} onValue=${setUsername} name="username" autocomplete="off" spellcheck=${false} />
        <${Field} label=${t('camera.password')} hint=${t('find.password.hint')} type="password" value=${password} onValue=${setPassword} name="password" autocomplete="new-password" autofocus /></div><//>`;
  }
  return html`<${Form} submit=${t('find.take')} onSubmit=${take} onCancel=${() => setTold(null)} testid="find-profiles">
    <p class="big">${[told.maker, told.model].filter(Boolean).join(' ')}</p>
    ${told.clockOffset !== undefined && Math.abs(told.clockOffset) > 3e9 && html`<p class="note warn">${t('find.clock')}</p>`}
    <${Field} label=${t('find.main')} hint=${t('find.main.hint')} value=${main} onValue=${setMain} name="main" options=${list} />
    <${Field} label=${t('find.sub')} hint=${t('find.sub.hint')} value=${sub} onValue=${setSub} name="sub" options=${/** @type {[string, string][]} */ ([['', t('find.noSub')], ...list.filter(([v]) => v !== main)])} /><//>`;
}
