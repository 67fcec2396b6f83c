// @ts-check
// The payload workbench: what arrives, what each family makes of it, and a
// mapping of one's own for a format that nobody knows yet.
import { html, useEffect, useState } from '../html.js';
import { classWord, t, valueWord, wordFor } from '../words/words.js';
import { hms, span } from '../words/times.js';
import { get, post, Problem } from '../state/api.js';
import { now } from '../state/clock.js';
import { served } from '../state/served.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { Mapping } from './mapping.js';

/** @typedef {{broker: string, topic: string, count: number, malformed: number, last: string, outcome: string, cause?: string, families: string[], sensors: string[]}} Topic */
/** @typedef {{at: string, broker: string, topic: string, client: string, payload: string, base64?: boolean, size: number, retained?: boolean, duplicate?: boolean, outcome: string, cause?: string}} Message */
/** @typedef {{family: string, readings: any[], class?: string, ignored?: boolean, error?: string}} Result */

const every = 3_000;

export function Workbench() {
  const [text, setText] = useState('');
  const [list, setList] = useState(/** @type {{topics: Topic[], faults: Message[]}|null} */ (null));
  const [topic, setTopic] = useState(/** @type {Topic|null} */ (null));
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  useEffect(() => {
    let gone = false;
    const look = () =>
      document.hidden ||
      get(`/workbench/topics${text.trim() ? `?text=${encodeURIComponent(text.trim())}` : ''}`).then(
        (body) => {
          if (gone) return;
          setList(body);
          setProblem(null);
        },
        (err) => gone || setProblem(err),
      );
    look();
    const timer = setInterval(look, every);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [text]);
  const topics = list?.topics ?? [];
  return html`${problem && html`<p class="problem" role="alert">${problem.message} ${problem.hint}</p>`}
    <div class="bench">
      <section class="card topics"><input type="search" value=${text} placeholder=${t('bench.find')} aria-label=${t('bench.find')} onInput=${(/** @type {any} */ e) => setText(e.currentTarget.value)} />
        ${list && !topics.length && html`<p class="note">${t(text ? 'queue.noneFound' : 'bench.none')}</p>`}
        <ul class="things">${topics.map((x) => html`<li key=${x.broker + x.topic}><button type="button" data-testid="bench-topic" aria-pressed=${topic?.topic === x.topic && topic.broker === x.broker} onClick=${() => setTopic(x)}>
          <b class="typed">${x.topic}</b><span><i class="light ${look(x.outcome)}"></i>${outcome(x.outcome)} · ${x.count} · ${t('ago', { span: span(now.value - Date.parse(x.last)) })}</span></button></li>`)}</ul></section>
      <div class="benchmain">${topic ? html`<${OneTopic} key=${topic.broker + topic.topic} topic=${topic} />` : html`<section class="card empty"><p>${t('bench.choose')}</p></section><${FamilyList} />`}</div>
    </div>`;
}

/** @param {string} o */
const outcome = (o) => wordFor(`outcome.${o}`) || o;
/** @param {string} o */
const look = (o) => (o === 'read' ? 'ok' : o === 'malformed' ? 'warn' : 'off');

/** @param {{topic: Topic}} props */
function OneTopic({ topic }) {
  const [messages, setMessages] = useState(/** @type {Message[]} */ ([]));
  const [picked, setPicked] = useState(/** @type {Message|null} */ (null));
  useEffect(() => {
    let gone = false;
    const load = () => get(`/workbench/messages?broker=${encodeURIComponent(topic.broker)}&topic=${encodeURIComponent(topic.topic)}`).then((body) => gone || setMessages(body?.messages ?? []), () => {});
    load();
    const timer = setInterval(load, every);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, []);
  const m = picked ?? messages[0] ?? null;
  return html`<section class="card"><h2 class="typed">${topic.topic}</h2>
      <ul class="msgs">${messages.map((x) => html`<li key=${x.at + x.size}><button type="button" aria-pressed=${m === x || m?.at === x.at} onClick=${() => setPicked(x)}><time>${hms(x.at)}</time><span>${outcome(x.outcome)}${x.retained ? ` · ${t('bench.retained')}` : ''}${x.duplicate ? ` · ${t('bench.duplicate')}` : ''}</span><code>${x.base64 ? t('bench.binary', { n: x.size }) : x.payload.slice(0, 120)}</code></button></li>`)}</ul></section>
    ${m && html`<${Raw} message=${m} /><${Families} key=${`f${m.at}`} message=${m} />${!m.base64 && html`<${Mapping} key=${`m${topic.topic}`} topic=${topic} message=${m} />`}`}`;
}

/** The payload as it came, laid out where it is JSON. @param {{message: Message}} props */
function Raw({ message }) {
  let text = message.payload;
  try {
    text = JSON.stringify(JSON.parse(message.payload), null, 2);
  } catch {
    // No JSON: as it is.
  }
  return html`<section class="card"><h2>${t('bench.raw')} · ${t('bench.bytes', { n: message.size })}</h2>${message.cause && html`<p class="note typed">${message.cause}</p>`}<pre class="typed" tabindex="0">${text}</pre></section>`;
}

/** What each family makes of it. @param {{message: Message}} props */
function Families({ message }) {
  const [results, setResults] = useState(/** @type {Result[]|null} */ (null));
  useEffect(() => {
    post('/workbench/try', { topic: message.topic, payload: message.payload, base64: message.base64 || undefined, retained: message.retained || undefined, broker: message.broker }).then((body) => setResults(body?.results ?? []), () => setResults([]));
  }, []);
  if (!results) return null;
  return html`<section class="card" data-testid="bench-families"><h2>${t('bench.families')}</h2>
    ${results.length === 0 && html`<p class="note">${t('bench.families.none')}</p>`}
    <ul class="rows">${results.map((r) => html`<li key=${r.family}><i class="light ${r.error ? 'warn' : r.ignored ? 'off' : 'ok'}"></i><div><b class="typed">${r.family}</b>${r.class && html`<i class="tag">${classWord(r.class)}</i>`}
      ${r.error && html`<p class="typed">${r.error}</p>`}${r.ignored && html`<p>${t('bench.ignored')}</p>`}
      ${r.readings.map((reading, i) => html`<p key=${i}>${reading.device && html`<span class="typed">${reading.device}</span> `}${Object.entries(reading.values ?? {}).map(([f, v]) => {
        const w = valueWord(f, /** @type {any} */ (v));
        return html`<span class="pair ${wordFor(`field.${f}`) ? '' : 'typed'}" key=${f}>${w.label} <b>${w.text}</b></span>`;
      })}</p>`)}</div></li>`)}</ul></section>`;
}

/** The formats that the station knows, those of dropped files among them, and what is wrong with such a file. */
function FamilyList() {
  const { data, problem, again } = useLoad(served('/families') ? '/families' : '');
  const [busy, setBusy] = useState(false);
  const reload = async () => {
    setBusy(true);
    await post('/families/reload').catch(() => {});
    setBusy(false);
    again();
  };
  if (!data) return html`<${LoadProblem} problem=${problem} again=${again} />`;
  return html`<section class="card" data-testid="families"><h2>${t('families')}</h2>
    ${(data.problems ?? []).map((/** @type {any} */ p, /** @type {number} */ i) => html`<p class="problem typed" key=${i}><strong>${[p.file, p.line].filter(Boolean).join(' : ')}</strong> ${p.message} ${p.hint}</p>`)}
    <ul class="families">${(data.families ?? []).map((/** @type {any} */ f) => html`<li key=${f.name}><b class="typed">${f.title || f.name}</b><span class="typed">${(f.filters ?? []).join('  ')}</span>${f.origin === 'dropped' && html`<i class="tag">${t('families.dropped')}</i>`}</li>`)}</ul>
    <button type="button" class="btn" disabled=${busy} data-testid="families-reload" onClick=${reload}>${t(busy ? 'busy' : 'families.reload')}</button></section>`;
}
