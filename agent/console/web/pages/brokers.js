// @ts-check
// Message services outside the station that sensors publish to: how they are, and
// whether they would keep alarms while the station is down.
import { html, useEffect, useState } from '../html.js';
import { t, wordFor } from '../words/words.js';
import { when } from '../words/times.js';
import { newKey, Problem, put, remove } from '../state/api.js';
import { now } from '../state/clock.js';
import { lang } from '../state/prefs.js';
import { Dialog } from '../ui/dialog.js';
import { Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { RemoveButton } from '../ui/remove.js';
import { secretMask } from './camera-dialog.js';

/** @typedef {import('../records.js').Broker} Broker */
/** @typedef {import('../records.js').BrokerHealth} BrokerHealth */
/** @typedef {import('../records.js').BrokerProblem} BrokerProblem */

const lookEvery = 10_000; // ms between two looks at how they are

export function Brokers() {
  const { data, problem, again } = useLoad('/brokers');
  const [editing, setEditing] = useState(/** @type {Broker|null} */ (null));
  /** @type {Broker[]} */
  const rows = data?.brokers ?? [];
  const turn = Math.floor(now.value / lookEvery);
  useEffect(() => again(), [turn]);
  return html`<section class="card"><h2>${t('brokers')}</h2>
    <p class="note">${t('brokers.hint')}</p>
    <${LoadProblem} problem=${problem} again=${again} />
    <ul class="rows brokers">${rows.map((broker) => html`<li key=${broker.id} data-testid="broker">
      <i class="light ${look(broker.health)}"></i>
      <div><b class="typed">${broker.url}</b><p class="typed">${(broker.topics ?? []).join('  ')}</p><${How} health=${broker.health} /></div>
      <button type="button" class="btn quiet" onClick=${() => setEditing(broker)}>${t('change')}</button></li>`)}</ul>
    <button type="button" class="btn" data-testid="broker-add" onClick=${() => setEditing({ id: '', url: '', topics: [] })}>＋ ${t('brokers.add')}</button>
    ${editing && html`<${BrokerDialog} broker=${editing} onClose=${() => {
      setEditing(null);
      again();
    }} />`}
  </section>`;
}

/** @param {BrokerHealth|undefined} h */
const look = (h) => (!h ? 'off' : !h.connected || h.warnings?.length ? 'warn' : 'ok');

/** What it is called here, and what to do; the server's own words where there are none. @param {BrokerProblem} p */
const words = (p) => ({ what: (lang.value !== 'en' && wordFor(`problem.${p.code}`)) || p.message, remedy: (lang.value !== 'en' && wordFor(`problem.${p.code}.hint`)) || p.hint });

/** How it is, and why it would lose alarms. @param {{health?: BrokerHealth}} props */
function How({ health: h }) {
  if (!h) return null;
  return html`<p>${t(h.connected ? 'broker.up' : 'broker.down', { time: when(h.since, now.value) })}${h.version && html` · <span class="typed">${h.version}</span>`} · ${t('broker.received', { n: h.received.toLocaleString() })}${h.dropped > 0 && html` · <b class="warn">${t('broker.dropped', { n: h.dropped.toLocaleString() })}</b>`}</p>
    ${[...(h.problem && !h.connected ? [h.problem] : []), ...(h.warnings ?? [])].map((p) => {
      const { what, remedy } = words(p);
      return html`<p key=${p.code} class="warning" data-testid="broker-warning"><b class="warn">${what}</b>${remedy && html`<small>${t('fact.remedy')}：${remedy}</small>`}</p>`;
    })}`;
}

/** @param {{broker: Broker, onClose: () => void}} props */
function BrokerDialog({ broker, onClose }) {
  const fresh = broker.id === '';
  const [url, setUrl] = useState(broker.url);
  const [username, setUsername] = useState(broker.username ?? '');
  const [password, setPassword] = useState('');
  const [topics, setTopics] = useState((broker.topics ?? []).join('\n'));
  const send = async () => {
    if (!/^(mqtts?):\/\/[^/\s]+/.test(url.trim())) throw new Problem(400, 'broker.url', t('broker.url.rule'));
    const list = topics.split('\n').map((x) => x.trim()).filter(Boolean);
    if (!list.length) throw new Problem(400, 'broker.topics', t('broker.topics.rule'));
    const id = fresh ? `mq-${newKey().slice(0, 8)}` : broker.id;
    await put(`/brokers/${encodeURIComponent(id)}`, {
      ...broker, health: undefined, id, url: url.trim(), username: username.trim(), topics: list, password: password || (broker.hasPassword ? secretMask : ''),
    });
    onClose();
  };
  const drop = async () => {
    await remove(`/brokers/${encodeURIComponent(broker.id)}`);
    onClose();
  };
  return html`<${Dialog} title=${t(fresh ? 'brokers.add' : 'brokers.edit')} testid="broker-dialog" onClose=${onClose}>
    <${Form} submit=${t('save')} onSubmit=${send} onCancel=${onClose} extra=${!fresh && html`<${RemoveButton} onRemove=${drop} /><span class="grow"></span>`}>
      <${Field} label=${t('broker.url')} value=${url} onValue=${setUrl} name="url" required autofocus placeholder="mqtt://192.168.1.10:1883" spellcheck=${false} />
      <div class="two">
        <${Field} label=${t('camera.username')} value=${username} onValue=${setUsername} name="username" autocomplete="off" spellcheck=${false} />
        <${Field} label=${t('camera.password')} type="password" value=${password} onValue=${setPassword} name="password" autocomplete="new-password" placeholder=${broker.hasPassword ? t('secret.kept') : ''} />
      </div>
      <${Field} label=${t('broker.topics')} hint=${t('broker.topics.hint')} rows=${3} value=${topics} onValue=${setTopics} name="topics" spellcheck=${false} placeholder="zigbee2mqtt/#" />
    <//>
  <//>`;
}
