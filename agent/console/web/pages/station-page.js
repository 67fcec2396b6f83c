// @ts-check
// One station at its centre: how it stands, its alarms, devices and cameras, its line,
// what it was ordered to do, and what is written of it.
import { html, useEffect, useState } from '../html.js';
import { kindWord, t, wordFor } from '../words/words.js';
import { bytes, span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { nameOf, order, standing, stations } from '../state/below.js';
import { href } from '../state/route.js';
import { may } from '../state/session.js';
import { alarms, cameras, loaded, sensors } from '../state/store.js';
import { Field, Form } from '../ui/form.js';
import { LoadProblem, useLoad } from '../ui/load.js';
import { Standing } from './nodes.js';
import { Claim } from './station-alarms.js';
import { SiteDialog } from './station-dialog.js';

/** @typedef {import('../records.js').StationView} StationView */
/** @typedef {import('../records.js').Instruction} Instruction */

const lookAgain = 3_000; // ms

/** @param {{id: string}} props */
export function StationPage({ id }) {
  const [editing, setEditing] = useState(false);
  const v = stations.value.find((x) => x.node.id === id);
  if (!v) return html`<main class="page"><p><a href=${href('nodes')}>‹ ${t('st.back')}</a></p></main>`;
  const own = [...alarms.value.values()].filter((a) => a.node === id && a.state !== 'cleared').sort((a, b) => (a.raisedAt < b.raisedAt ? 1 : -1));
  const eyes = [...cameras.value.values()].filter((r) => r.camera.node === id);
  const things = [...sensors.value.values()].filter((r) => r.sensor.node === id);
  return html`<main class="page stations one" data-testid="station-page" data-node=${id}><div class="head"><a href=${href('nodes')}>‹ ${t('st.back')}</a><h1><i class="light ${standing(v).tone}"></i>${nameOf(v)}</h1><span class="sub"><${Standing} view=${v} /></span><div class="grow"></div>
      ${may('configure') && html`<button type="button" class="btn" data-testid="st-edit" onClick=${() => setEditing(true)}>${t('st.edit')}</button>`}</div>
    ${editing && html`<${SiteDialog} view=${v} close=${() => setEditing(false)} />`}
    <div class="columns">
      <div>
        <section class="card"><h2>${t('st.alarms')} <span class="tab">${own.length}</span></h2><ul class="rows">${own.slice(0, 20).map((a) => html`<li key=${a.id}><div><a href=${href('records', a.id)} class=${a.state === 'raised' ? 'red' : ''}>${kindWord(a.kind)} · ${a.place || a.name}</a><p>${when(a.raisedAt, now.value)}</p></div><${Claim} alarm=${a} /></li>`)}</ul>${loaded.value && !own.length && html`<p class="note">${t('st.alarms.none')}</p>`}</section>
        <${Orders} view=${v} />
      </div>
      <div><${Facts} view=${v} />
        <section class="card"><h2>${t('st.cameras')} <span class="tab">${eyes.length}</span></h2><ul class="rows">${eyes.map((r) => html`<li key=${r.camera.id}><div><a href=${href('cameras', r.camera.id)}><i class="light ${r.state?.status === 'online' ? 'ok' : 'warn'}"></i>${r.camera.name}</a></div></li>`)}</ul></section>
        <section class="card"><h2>${t('st.sensors')} <span class="tab">${things.length}</span></h2><ul class="rows">${things.slice(0, 30).map((r) => html`<li key=${r.sensor.id}><div><a href=${href('sensors', r.sensor.id)}><i class="light ${r.state?.offline ? 'warn' : r.state ? 'ok' : 'off'}"></i>${r.sensor.name}</a></div></li>`)}</ul></section>
      </div>
    </div></main>`;
}

/** @param {{view: StationView}} props */
function Facts({ view: v }) {
  const h = v.health;
  const offset = Math.abs(v.node.clockOffset ?? 0) / 1e6; // ms
  /** @type {[string, any][]} */
  const rows = [
    [t('st.contact'), [v.site?.contact, v.site?.phone && html`<a href=${`tel:${v.site.phone}`}>${v.site.phone}</a>`].filter(Boolean).map((x, i) => html`<span key=${i}>${i ? ' · ' : ''}${x}</span>`)],
    [t('st.address'), v.site?.address], [t('st.line'), v.site?.line], [t('st.version'), v.node.version],
    [t('st.clock'), v.node.version ? (offset < 2000 ? t('st.clock.ok') : html`<span class="warn">${(v.node.clockOffset ?? 0) > 0 ? '+' : '−'}${span(offset)}</span>`) : ''],
    [t('st.heard'), v.heard && when(v.heard, now.value)], [t('st.up'), h?.started && when(h.started, now.value)],
    [t('st.backlog'), h && t('st.backlog.n', { n: Object.values(h.backlog ?? {}).reduce((a, b) => a + b, 0) })],
    [t('st.disk'), h?.diskTotal ? `${bytes(h.diskFree ?? 0)} / ${bytes(h.diskTotal)}` : ''],
    [t('st.cameras'), h?.cameras?.total ? `${h.cameras.online} / ${h.cameras.total}` : ''], [t('st.sensors'), h?.sensors?.total ? `${h.sensors.online} / ${h.sensors.total}` : ''],
    [t('node.lastEvent'), v.node.lastEvent && when(v.node.lastEvent, now.value)],
  ];
  return html`<section class="card"><h2>${t('st.log')}</h2><dl class="facts">${rows.filter(([, x]) => x && x.length !== 0).map(([k, x]) => html`<div key=${k}><dt>${k}</dt><dd>${x}</dd></div>`)}</dl>
    ${(h?.lamps ?? []).map((l) => html`<p key=${l.id} class="warn">${wordFor(`lamp.${l.code}`, l.args ?? {}) || l.code}</p>`)}</section>`;
}

/** @param {Instruction} x */
function became(x) {
  if (x.state === 'waiting') return { text: t('st.order.waiting', { time: when(x.until, now.value) }), tone: '' };
  if (x.state === 'done') return { text: t('st.order.done', { time: when(x.stateAt, now.value) }), tone: 'good' };
  if (x.state === 'expired') return { text: t('st.order.expired'), tone: 'warn' };
  const why = x.problem ? wordFor(`problem.${x.problem.code}`, x.problem.args ?? {}) || x.problem.message : '';
  return { text: `${t('st.order.refused')}${why ? ` · ${why}` : ''}`, tone: 'warn' };
}

/** @param {{view: StationView}} props */
function Orders({ view: v }) {
  const [text, setText] = useState('');
  const [all, setAll] = useState(false);
  const { data, problem, again } = useLoad(may('answer') ? `/station-orders?node=${encodeURIComponent(v.node.id)}&limit=20` : '');
  const { data: read, again: readAgain } = useLoad('/broadcasts?below=1');
  /** @type {Instruction[]} */
  const rows = data?.orders ?? [];
  useEffect(() => {
    const timer = setInterval(() => {
      again();
      readAgain();
    }, lookAgain);
    return () => clearInterval(timer);
  }, []);
  if (!may('answer')) return null;
  const to = all ? { all: true } : { nodes: [v.node.id] };
  const send = async () => {
    await order({ ...to, type: 'broadcast.put', body: { text, until: new Date(now.value + 24 * 3600_000).toISOString() } });
    setText('');
    again();
  };
  const seenOf = (/** @type {Instruction} */ x) => (read?.broadcasts ?? []).find((/** @type {any} */ b) => b.node === v.node.id && b.id === `${v.node.id}.${x.subject}`);
  return html`<section class="card" data-testid="st-orders"><h2>${t('st.order')}</h2><${LoadProblem} problem=${problem} again=${again} />
    <${Form} submit=${t('st.order.send')} onSubmit=${send} disabled=${!text.trim()} testid="st-notice"><${Field} label=${t('st.order.notice')} value=${text} onValue=${setText} rows=${2} maxlength="500" name="notice" />
      <label class="check"><input type="checkbox" checked=${all} onChange=${(/** @type {any} */ e) => setAll(e.currentTarget.checked)} /> ${t('st.order.notice.all')}</label><//>
    ${data && !rows.length && html`<p class="note">${t('st.order.none')}</p>`}
    <ul class="rows">${rows.map((x) => {
      const b = became(x);
      const seen = x.type === 'broadcast.put' && x.state === 'done' ? seenOf(x) : null;
      return html`<li key=${x.id} data-testid="st-order" data-state=${x.state}><div><b>${wordFor(`st.order.${x.type}`) || x.type}</b> <span class="dim">${x.name} · ${when(x.at, now.value)}</span><p class=${b.tone}>${b.text}</p>
        ${x.type === 'broadcast.put' && html`<p>${x.body?.text}</p>`}${seen && html`<p class="dim" data-testid="st-read">${seen.seen?.length ? t('st.read', { names: seen.seen.map((/** @type {any} */ s) => s.name || s.by).join('、') }) : t('st.unread')}</p>`}</div></li>`;
    })}</ul></section>`;
}
