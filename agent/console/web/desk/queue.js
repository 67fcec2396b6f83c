// @ts-check
// The list on the left: what happens now, what waits for me, what was today.
import { html, signal } from '../html.js';
import { answerWord, kindWord, t } from '../words/words.js';
import { age, hm, span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { choose, chosenId, pick } from '../state/choice.js';
import { standing, verdict } from '../state/answering.js';
import { centre, may } from '../state/session.js';
import { answerMany } from '../state/deeds.js';
import { served } from '../state/served.js';
import { flooded, happening, isForeign, loaded, nodeName, pending, recent, shelved } from '../state/store.js';
import { marksOf } from './marks.js';
import { ShiftNotes } from './shift.js';
import { Keys } from './tools.js';

/** @typedef {import('../records.js').Alarm} Alarm */

const justNow = 8_000; // a younger alarm comes in moving
const recentMost = 30;

/** Which alarms are ticked for one answer; null while nobody ticks. */
export const picking = signal(/** @type {Set<string>|null} */ (null));
/** What the list is narrowed to: words, and one kind of line. */
const find = signal('');
const only = signal(/** @type {'all'|'new'|'mine'|'shelved'} */ ('all'));

const filterFrom = 5; // a shorter list needs no filter

/** @param {Alarm} a */
const fits = (a) => {
  const word = find.value.trim().toLowerCase();
  return !word || `${kindWord(a.kind)} ${a.name} ${a.place ?? ''} ${nodeName(a.node)}`.toLowerCase().includes(word);
};

export function Queue() {
  const raised = happening.value.filter(fits);
  const waiting = pending.value.filter(fits);
  const away = shelved.value.filter(fits);
  const flood = flooded.value.filter(fits);
  const many = happening.value.length + pending.value.length + shelved.value.length + flooded.value.length >= filterFrom || find.value !== '' || only.value !== 'all';
  const show = only.value;
  return html`<section class="queue" aria-label=${t('queue')}>
    <${Keys} />
    ${many && html`<${Filter} away=${away.length} />`}
    ${picking.value && html`<${Bulk} list=${[...raised, ...waiting]} />`}
    ${(show === 'all' || show === 'new') && html`<h2>${t('queue.happening')}</h2>
      ${raised.map((a) => html`<${Live} key=${a.id} alarm=${a} />`)}
      ${[...new Set(flood.map((a) => a.node))].map((node) => html`<${Flood} key=${node} list=${flood.filter((a) => a.node === node)} />`)}
      ${!raised.length && !flood.length && html`<p class="none">${t(!loaded.value ? 'loading' : find.value ? 'queue.noneFound' : 'queue.none')}</p>`}`}
    ${(show === 'all' || show === 'mine') && waiting.length > 0 && html`<h2>${t(centre.value ? 'queue.pending.centre' : 'queue.pending')}</h2>`}
    ${(show === 'all' || show === 'mine') && waiting.map((a) => html`<${Waiting} key=${a.id} alarm=${a} />`)}
    ${(show === 'all' || show === 'shelved') && away.length > 0 && html`<h2>${t('queue.shelved')}</h2>`}
    ${(show === 'all' || show === 'shelved') && away.map((a) => html`<${Shelved} key=${a.id} alarm=${a} />`)}
    ${show === 'all' && html`<${ShiftNotes} /><${Over} />`}
  </section>`;
}

/** @param {{away: number}} props */
function Filter({ away }) {
  /** @type {['all'|'new'|'mine'|'shelved', string][]} */
  const list = [['all', t('filter.all')], ['new', t('filter.new')], ['mine', t('filter.mine')]];
  if (away || only.value === 'shelved') list.push(['shelved', t('filter.shelved')]);
  return html`<div class="filter">
    <input type="search" value=${find.value} placeholder=${t('find')} aria-label=${t('find')} onInput=${(/** @type {any} */ e) => (find.value = e.currentTarget.value)}
      onKeyDown=${(/** @type {KeyboardEvent} */ e) => {
        if (e.key !== 'Escape') return;
        e.stopPropagation();
        find.value = '';
        /** @type {HTMLElement} */ (e.currentTarget).blur();
      }} />
    <div class="segments" role="radiogroup" aria-label=${t('filter')}>${list.map(([name, word]) => html`<button type="button" role="radio" key=${name} aria-checked=${only.value === name} data-testid=${`filter-${name}`} onClick=${() => (only.value = name)}>${word}</button>`)}</div>
    ${may('answer') && served('/alarms/answers') && [...happening.value, ...pending.value].some((a) => !isForeign(a.node)) && html`<button type="button" class="btn quiet pick" data-testid="pick" aria-pressed=${!!picking.value} onClick=${() => (picking.value = picking.value ? null : new Set())}>${t('pick')}</button>`}
  </div>`;
}

/** One answer for all that are ticked. @param {{list: Alarm[]}} props */
function Bulk({ list }) {
  const ours = list.filter((a) => !isForeign(a.node)).map((a) => a.id);
  const ids = [...(picking.value ?? [])].filter((id) => ours.includes(id));
  const send = async (/** @type {string} */ kind) => {
    await answerMany(ids, kind);
    picking.value = null;
  };
  return html`<div class="bulk card" role="group" aria-label=${t('pick')} data-testid="bulk">
    <p>${t('pick.count', { n: ids.length })} <button type="button" class="btn quiet" data-testid="pick-all" onClick=${() => (picking.value = new Set(ids.length === ours.length ? [] : ours))}>${t(ids.length === ours.length ? 'pick.none' : 'pick.all')}</button></p>
    <div>${/** @type {const} */ (['received', 'false', 'test']).map((kind) => html`<button type="button" class="btn ${kind === 'received' ? 'go' : ''}" key=${kind} disabled=${!ids.length} data-testid=${`bulk-${kind}`} onClick=${() => send(kind)}>${answerWord(kind)}</button>`)}</div>
  </div>`;
}

/** A tick before a line while ticking. @param {{alarm: Alarm}} props */
function Tick({ alarm }) {
  const set = picking.value;
  if (!set || isForeign(alarm.node)) return null;
  const on = set.has(alarm.id);
  return html`<i class="tick ${on ? 'on' : ''}" aria-hidden="true">${on ? '✓' : ''}</i>`;
}

/** What a press on a line does: ticks it while ticking, else shows it. @param {Alarm} alarm */
function press(alarm) {
  const set = picking.peek();
  if (!set) return choose(alarm.id);
  const next = new Set(set);
  if (!next.delete(alarm.id)) next.add(alarm.id);
  picking.value = next;
}

/** Many at once are one line for each station; what endangers people is never in it. @param {{list: Alarm[]}} props */
function Flood({ list }) {
  const places = [...new Set(list.map((a) => a.place || a.name))];
  const station = nodeName(list[0].node);
  return html`<details class="flood" data-testid="flood"><summary class="item">
      <strong>${t('flood', { n: list.length })}</strong><em>${age(now.value - Math.min(...list.map((a) => Date.parse(a.raisedAt))))}</em>
      <span>${station && `${station} · `}${places.slice(0, 2).join(t('comma'))}${places.length > 2 ? t('flood.more', { n: places.length - 2 }) : ''}</span><span></span></summary>
    ${list.slice(0, 50).map((a) => html`<${Waiting} key=${a.id} alarm=${a} />`)}</details>`;
}

/** @param {{alarm: Alarm}} props */
function Shelved({ alarm }) {
  const here = chosenId.value === alarm.id;
  return html`<button type="button" class="item ${here ? 'here' : ''} away" data-testid="queue-shelved" aria-current=${here ? 'true' : undefined} onClick=${() => choose(alarm.id)}>
    <strong>${kindWord(alarm.kind)}</strong><em>${t('shelf.until', { time: when(alarm.shelf?.until, now.value) })}</em>
    <span>${where(alarm)}</span><span title=${alarm.shelf?.why}>${[alarm.shelf?.name, alarm.shelf?.why].filter(Boolean).join(' · ')}</span></button>`;
}

/** What is over: today's with its sum, then the days before, as far as there is room. */
function Over() {
  const start = new Date(now.value).setHours(0, 0, 0, 0);
  const today = recent.value.filter((a) => Date.parse(a.raisedAt) >= start);
  const earlier = recent.value.slice(today.length, recentMost);
  /** @param {string} kind */
  const judged = (kind) => today.filter((a) => verdict(a) === kind).length;
  const other = [...happening.value, ...pending.value].some((a) => Date.parse(a.raisedAt) >= start);
  const heading = today.length > 0 || (!other && loaded.value);
  return html`${heading && html`<h2>${today.length ? t('queue.today.count', { n: today.length, real: judged('real'), false: judged('false') }) : t('queue.today')}</h2>`}
    ${heading && !today.length && html`<p class="none">${t('today.none')}</p>`}
    <div class="fit">
      ${today.slice(0, recentMost).map((a) => html`<${Past} key=${a.id} alarm=${a} />`)}
      ${earlier.length > 0 && html`<h2 key="earlier">${t('queue.earlier')}</h2>`}
      ${earlier.map((a) => html`<${Past} key=${a.id} alarm=${a} />`)}
    </div>`;
}

/** @param {Alarm} a */
const where = (a) => [nodeName(a.node), a.place || a.name].filter(Boolean).join(' · ');

/** @param {{alarm: Alarm}} props */
function Live({ alarm }) {
  const here = chosenId.value === alarm.id;
  const fresh = now.value - Date.parse(alarm.raisedAt) < justNow;
  const since = age(now.value - Date.parse(alarm.raisedAt));
  return html`<button type="button" class="item live ${alarm.severity} ${here ? 'here' : ''} ${fresh ? 'fresh' : ''} ${alarm.test ? 'test' : ''}" data-testid="queue-item" data-alarm=${alarm.id}
      aria-current=${here ? 'true' : undefined} onClick=${() => press(alarm)}>
    <strong><${Tick} alarm=${alarm} />${kindWord(alarm.kind)}</strong><em>${since}</em>
    <span>${where(alarm)}</span><span>${marksOf(alarm)[0]?.[1] ?? (alarm.takenBy ? t('queue.taken', { name: alarm.takenBy.name || alarm.takenBy.by }) : alarm.returnedAt ? t('alarm.returned') : alarm.count > 1 ? t('alarm.count', { n: alarm.count }) : '')}</span>
  </button>`;
}

/** @param {{alarm: Alarm}} props */
function Waiting({ alarm }) {
  const here = chosenId.value === alarm.id;
  const list = standing(alarm);
  const last = list[list.length - 1];
  return html`<button type="button" class="item ${here ? 'here' : ''}" data-testid="queue-item" data-alarm=${alarm.id}
      aria-current=${here ? 'true' : undefined} onClick=${() => press(alarm)}>
    <strong><${Tick} alarm=${alarm} />${kindWord(alarm.kind)}</strong><em>${span(now.value - Date.parse(alarm.raisedAt))}</em>
    <span>${where(alarm)}</span><span>${last ? `${answerWord(last.kind)} · ${last.name || last.by}` : ''}</span>
  </button>`;
}

/** @param {{alarm: Alarm}} props */
function Past({ alarm }) {
  const here = chosenId.value === alarm.id;
  const today = new Date(alarm.raisedAt).toDateString() === new Date(now.value).toDateString();
  return html`<button type="button" class="item past ${here ? 'here' : ''}" data-testid="queue-past" aria-current=${here ? 'true' : undefined} onClick=${() => pick(alarm.id)}>
    <span class="k">${kindWord(alarm.kind)}</span><em>${today ? hm(alarm.raisedAt) : when(alarm.raisedAt, now.value)}</em>
    <span>${where(alarm)}</span><span>${answerWord(verdict(alarm)) || t('alarm.over')}</span>
  </button>`;
}
