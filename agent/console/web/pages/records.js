// @ts-check
// The record of all alarms, page by page; one can be opened with its film and
// everything that was done.
import { html, useEffect, useRef, useState } from '../html.js';
import { answerWord, kindWord, t } from '../words/words.js';
import { span, stamp } from '../words/times.js';
import { get, Problem } from '../state/api.js';
import { choose } from '../state/choice.js';
import { standing, verdict } from '../state/answering.js';
import { go, href, route } from '../state/route.js';
import { may } from '../state/session.js';
import { served } from '../state/served.js';
import { alarms, details, loadDetail, nodeName } from '../state/store.js';
import { ClipView } from '../live/clip.js';
import { PlaybackLink } from './playback.js';
import { Before } from '../desk/before.js';
import { Facts } from '../desk/facts.js';
import { Measured } from '../desk/measured.js';
import { Title } from '../desk/title.js';
import { Told } from '../desk/told.js';

/** @typedef {import('../records.js').Alarm} Alarm */

const perPage = 50;
const kinds = ['smoke', 'gas', 'water', 'sos', 'manhole', 'door', 'motion', 'temperature', 'level', 'tamper', 'battery', 'offline', 'camera'];
const spans = /** @type {const} */ ([['all', 0], ['day', 1], ['week', 7], ['month', 30]]);
const typing = 350; // milliseconds without a key before it is looked for

export function Records() {
  return route.value.id ? html`<${OneRecord} key=${route.value.id} id=${route.value.id} />` : html`<${List} />`;
}

function List() {
  const [list, setList] = useState(/** @type {Alarm[]} */ ([]));
  const [more, setMore] = useState(false);
  const [busy, setBusy] = useState(true);
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  const [kind, setKind] = useState('');
  const [days, setDays] = useState('all');
  const [text, setText] = useState('');
  const next = useRef('');
  const turn = useRef(0);
  const narrow = kind !== '' || days !== 'all' || text.trim() !== '';
  /** @param {Alarm[]} before */
  const load = async (before) => {
    const mine = ++turn.current;
    setBusy(true);
    try {
      const last = before[before.length - 1];
      const query = new URLSearchParams({ limit: String(perPage) });
      if (last) query.set('before', next.current || last.id);
      if (kind) query.set('kind', kind);
      if (text.trim()) query.set('text', text.trim());
      const back = spans.find(([n]) => n === days)?.[1] ?? 0;
      if (back) query.set('from', new Date(Date.now() - back * 86_400_000).toISOString());
      const page = await get(`/alarms?${query}`);
      if (mine !== turn.current) return; // another question was asked meanwhile
      next.current = page.next ?? '';
      setList([...before, ...(page.alarms ?? [])]);
      setMore(!!page.more);
      setProblem(null);
    } catch (err) {
      if (err instanceof Problem) setProblem(err);
      else throw err;
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => {
    const timer = setTimeout(() => load([]), text ? typing : 0);
    return () => clearTimeout(timer);
  }, [kind, days, text]);
  // What has changed since the page was fetched is shown as it is now.
  const seen = new Set(list.map((a) => a.id));
  const newer = narrow ? [] : [...alarms.value.values()].filter((a) => !seen.has(a.id) && (!list[0] || a.raisedAt > list[0].raisedAt)).sort((a, b) => (a.raisedAt < b.raisedAt ? 1 : -1));
  const rows = [...newer, ...list.map((a) => alarms.value.get(a.id) ?? a)];
  return html`<main class="page">
    <div class="head"><h1>${t('nav.records')}</h1><div class="grow"></div>
      <input type="search" data-testid="records-find" placeholder=${t('records.find')} aria-label=${t('records.find')} value=${text} onInput=${(/** @type {any} */ e) => setText(e.currentTarget.value)} />
      <select aria-label=${t('record.kind')} value=${kind} data-testid="records-kind" onChange=${(/** @type {any} */ e) => setKind(e.currentTarget.value)}><option value="">${t('records.allKinds')}</option>${kinds.map((k) => html`<option value=${k} selected=${k === kind}>${kindWord(k)}</option>`)}</select>
      <div class="segments" role="radiogroup" aria-label=${t('record.time')}>${spans.map(([n]) => html`<button type="button" role="radio" key=${n} aria-checked=${n === days} onClick=${() => setDays(n)}>${t(n === 'all' ? 'filter.all' : `history.${n}`)}</button>`)}</div>
      ${served('/performance') && html`<a class="btn" href=${href('performance')} data-testid="nav-performance">${t('nav.performance')}</a>`}</div>
    ${problem && html`<p class="problem" role="alert"><strong>${problem.message}</strong> ${problem.hint}</p>`}
    ${!busy && !rows.length && !problem && html`<div class="empty"><p>${t(narrow ? 'queue.noneFound' : 'records.none')}</p></div>`}
    ${rows.length > 0 && html`<table class="list card links"><thead><tr><th>${t('record.time')}</th><th>${t('record.kind')}</th><th>${t('sensor.place')}</th><th>${t('record.answer')}</th><th>${t('record.who')}</th><th>${t('record.length')}</th></tr></thead>
      <tbody>${rows.map((a) => html`<${Row} key=${a.id} alarm=${a} />`)}</tbody></table>`}
    ${more && html`<p class="more"><button type="button" class="btn" disabled=${busy} onClick=${() => load(list)}>${t(busy ? 'busy' : 'records.more')}</button></p>`}
  </main>`;
}

/** @param {{alarm: Alarm}} props */
function Row({ alarm }) {
  const answers = standing(alarm);
  const last = answers[answers.length - 1];
  const live = alarm.state !== 'cleared';
  const word = answerWord(verdict(alarm)) || (last ? answerWord(last.kind) : '');
  return html`<tr data-testid="record-row" onClick=${() => go('records', alarm.id)}>
    <td><a href=${href('records', alarm.id)} onClick=${(/** @type {Event} */ e) => e.stopPropagation()}><time>${stamp(alarm.raisedAt)}</time></a></td>
    <td><b class=${alarm.state === 'raised' ? 'red' : ''}>${kindWord(alarm.kind)}</b>${alarm.test && html`<i class="tag">${t('mark.test')}</i>`}${alarm.clip && html` <small class="inline film-mark" title=${t('clip.title')}>▶</small>`}${alarm.count > 1 && html` <small class="inline">× ${alarm.count}</small>`}</td>
    <td>${nodeName(alarm.node) && html`<small>${nodeName(alarm.node)}</small>`}${alarm.place || alarm.name}</td>
    <td class=${word || live ? '' : 'none'}>${word || (live ? t('record.open') : '–')}</td><td class=${last ? '' : 'none'}>${last ? last.name || last.by : '–'}</td>
    <td data-label=${live ? '' : t('record.length')}>${live ? t('alarm.goesOn') : span(Date.parse(alarm.clearedAt || alarm.lastAt) - Date.parse(alarm.raisedAt))}</td>
  </tr>`;
}

/** @param {{id: string}} props */
function OneRecord({ id }) {
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  useEffect(() => {
    loadDetail(id).catch((err) => setProblem(err instanceof Problem ? err : null));
  }, [id]);
  const detail = details.value.get(id) ?? null;
  const alarm = alarms.value.get(id) ?? detail?.alarm;
  const top = html`<div class="head"><a class="btn quiet" href=${href('records')}>‹ ${t('back')}</a><div class="grow"></div>
    ${alarm && alarm.state !== 'cleared' && html`<button type="button" class="btn go" onClick=${() => {
      choose(alarm.id);
      go('desk');
    }}>${t('record.toDesk')}</button>`}
    ${alarm && html`<${PlaybackLink} cameras=${alarm.cameras ?? []} at=${alarm.raisedAt} />`}
    ${detail?.clip?.status === 'ready' && may('video') && html`<a class="btn" href=${`/api/v1/clips/${encodeURIComponent(detail.clip.id)}/video.mp4`} download=${`${id}.mp4`}>${t('record.save')}</a>`}</div>`;
  if (!alarm) return html`<main class="page">${top}<div class="empty"><p>${problem ? problem.message : t('loading')}</p></div></main>`;
  return html`<main class="page record">${top}
    <${Title} alarm=${alarm} detail=${detail} />
    <div class="cols"><div>
        ${alarm.clip && may('video') && html`<div class="film"><${ClipView} clip=${detail?.clip ?? null} alarm=${alarm} /></div>`}
        <${Measured} alarm=${alarm} detail=${detail} /><${Before} alarm=${alarm} />
      </div><div>
        <${Told} alarm=${alarm} detail=${detail} most=${40} />
        <${Facts} alarm=${alarm} detail=${detail} />
      </div></div>
  </main>`;
}

