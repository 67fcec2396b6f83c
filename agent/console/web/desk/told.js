// @ts-check
// Who knows: who was told and who answered, what was said and done, in order;
// who is next, and in how long; and how far the centre is.
import { html } from '../html.js';
import { answerWord, t, wordFor } from '../words/words.js';
import { age, hm, hms } from '../words/times.js';
import { now } from '../state/clock.js';
import { centre as atCentre } from '../state/session.js';
import { nodeName, status } from '../state/store.js';

/** @typedef {import('../records.js').Alarm} Alarm */
/** @typedef {import('../records.js').AlarmDetail} AlarmDetail */
/** @typedef {import('../records.js').Response} Response */
/** @typedef {{at: string, what: string, word: string, look?: string, weight: number}} Line */

/** @param {import('../records.js').Telling} x */
function tellingWho(x) {
  if (x.kind === 'parent') return t('told.next.parent');
  const way = wordFor(`way.${x.kind}`);
  return x.name && x.name !== way ? [x.name, way].filter(Boolean).join(' ') : way || x.name;
}

/** @param {string} state of a telling */
const tellingLook = (state) => (state === 'answered' || state === 'delivered' ? 'y' : state === 'failed' ? 'bad' : '');

/** @param {Alarm} alarm @param {Response|null|undefined} response @returns {Line[]} */
function lines(alarm, response) {
  /** @type {Line[]} */
  const list = [{ at: alarm.raisedAt, what: nodeName(alarm.node) || alarm.name, word: t('told.raised'), weight: 3 }];
  for (const x of response?.tellings ?? []) {
    const word = x.kind === 'sound' && (x.state === 'sent' || x.state === 'delivered') ? t('telling.rings') : wordFor(`telling.${x.state}`);
    list.push({ at: x.at, what: tellingWho(x), word: x.tries && x.tries > 1 && x.state !== 'answered' ? `${word} ${t('telling.tries', { n: x.tries })}` : word, look: tellingLook(x.state), weight: 2 });
  }
  for (const c of response?.calls ?? []) {
    list.push({ at: c.at, what: [t('told.call', { to: c.to }), c.note && `“${c.note}”`].filter(Boolean).join(' '), word: t(c.reached ? 'call.reached' : 'call.missed'), look: c.reached ? 'y' : '', weight: 2 });
  }
  for (const a of alarm.answers ?? []) {
    if (a.kind === 'undo') continue;
    list.push({ at: a.at, what: a.note ? `${a.name || a.by} “${a.note}”` : a.name || a.by, word: answerWord(a.kind), look: a.undone ? 'undone' : 'y', weight: a.undone ? 0 : 3 });
  }
  for (const n of alarm.notes ?? []) list.push({ at: n.at, what: `${n.name || n.by} “${n.text}”`, word: t('told.note'), weight: 1 });
  if (alarm.takenBy) list.push({ at: alarm.takenBy.at, what: [alarm.takenBy.name || alarm.takenBy.by, alarm.takenBy.seat].filter(Boolean).join(' · '), word: t('told.taken'), weight: 1 });
  if (alarm.centreTakenAt) list.push({ at: alarm.centreTakenAt, what: alarm.centreTakenBy || t('told.next.parent'), word: t('told.centre.takes'), look: 'y', weight: 2 });
  if (alarm.centreLapsedAt) list.push({ at: alarm.centreLapsedAt, what: alarm.centreLapsedBy || t('told.next.parent'), word: t('told.centre.lapsed'), look: 'bad', weight: 3 });
  if (alarm.returnedAt) list.push({ at: alarm.returnedAt, what: alarm.name, word: t('told.returned'), weight: 1 });
  if (alarm.clearedAt && alarm.state === 'cleared') list.push({ at: alarm.clearedAt, what: t('told.alarm'), word: t('alarm.over'), weight: 3 });
  return list.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/** Which lines stay where there is no room for all: the weightiest, the newest of them; in their order. @param {Line[]} all @param {number} most */
function chosenLines(all, most) {
  if (all.length <= most) return all;
  const keep = new Set([...all].sort((a, b) => b.weight - a.weight || Date.parse(b.at) - Date.parse(a.at)).slice(0, most));
  return all.filter((l) => keep.has(l));
}

/** @param {{alarm: Alarm, detail: AlarmDetail|null, most?: number}} props */
export function Told({ alarm, detail, most = 6 }) {
  const response = detail?.response;
  const all = lines(alarm, response);
  const next = alarm.state === 'raised' && response?.nextAt && Date.parse(response.nextAt) > 0 ? response : null;
  const until = alarm.state === 'raised' && response?.taken && response.takenUntil && Date.parse(response.takenUntil) > 0 ? response.takenUntil : '';
  const clock = next || until ? 1 : 0; // and where the centre has looked, its ticks take two rows
  const shown = chosenLines(all, most - clock - (clock && alarm.centreSeenAt ? 1 : 0));
  return html`<section class="card told"><h2>${t('told')}${all.length > shown.length ? html`<span class="more-lines">${t('told.more', { n: all.length - shown.length })}</span>` : ''}</h2>
    <dl>${shown.map((l) => html`<div key=${l.at + l.what + l.word} class=${l.look}><dt>${hms(l.at)}</dt><dd title=${l.what}>${l.what}</dd><dd class="w">${l.word}</dd></div>`)}
      ${next && html`<div class="next" data-testid="next-contact"><dt>${hms(next.nextAt ?? '')}</dt><dd>${t('told.next', { name: nextName(next.next) })}</dd><dd class="w" data-testid="countdown">${countdown(next.nextAt ?? '')}</dd></div>`}
      ${until && html`<div class="next" data-testid="taken-until"><dt>${hms(until)}</dt><dd>${t('told.centre.until')}</dd><dd class="w">${countdown(until)}</dd></div>`}
    </dl>
    <${Centre} alarm=${alarm} detail=${detail} />
  </section>`;
}

/** The parent is called by one name in every record; here by the page's language. @param {string|undefined} name */
const nextName = (name) => (!name || name === '上级中心' ? t('told.next.parent') : name);

/** @param {string} at */
function countdown(at) {
  const left = Date.parse(at) - now.value;
  return left > 0 ? age(left + 999) : t('told.next.now');
}

/** How far the centre is: has it, saw it, takes it over. None of the three silences anything here. @param {{alarm: Alarm, detail: AlarmDetail|null}} props */
function Centre({ alarm, detail }) {
  const up = detail?.centre;
  if (atCentre.value || !up) return null;
  if (!up.configured) return html`<p class="note">${t('told.centre.none')}</p>`;
  const received = alarm.centreAt || up.receivedAt;
  const line = status.value?.uplink;
  const down = !received && line && !line.connected;
  /** @type {[string, string|null|undefined, string, string][]} */
  const ticks = [
    ['received', received, t('told.centre.has'), t('told.centre.wait', { n: Math.max(0, Math.round((now.value - Date.parse(alarm.raisedAt)) / 1000)) })],
    ['seen', alarm.centreSeenAt, t('told.centre.saw'), t('told.centre.saw')],
    ['taken', alarm.centreTakenAt, t('told.centre.takes'), t('told.centre.takes')],
  ];
  if (down) return html`<div class="ticks"><div class="off" data-testid="centre-received" data-received="false">${t('told.centre.down')}</div></div>`;
  return html`<div class="ticks">${ticks.map(([name, at, yes, no]) => html`<div key=${name} class=${at ? 'on' : ''} data-testid=${`centre-${name}`} data-received=${at ? 'true' : 'false'}>
    ${at ? `✓ ${yes} ${hm(at)}` : no}</div>`)}</div>`;
}
