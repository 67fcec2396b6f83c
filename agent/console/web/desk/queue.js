// @ts-check
// The list on the left: what happens now, what waits for me, what was today.
import { html } from '../html.js';
import { answerWord, kindWord, t } from '../words/words.js';
import { age, hm, span, when } from '../words/times.js';
import { now } from '../state/clock.js';
import { choose, chosenId, pick } from '../state/choice.js';
import { standing, verdict } from '../state/answering.js';
import { centre } from '../state/session.js';
import { happening, loaded, nodeName, pending, recent } from '../state/store.js';

/** @typedef {import('../records.js').Alarm} Alarm */

const justNow = 8_000; // a younger alarm comes in moving
const recentMost = 30;

export function Queue() {
  return html`<section class="queue" aria-label=${t('queue')}>
    <h2>${t('queue.happening')}</h2>
    ${happening.value.map((a) => html`<${Live} key=${a.id} alarm=${a} />`)}
    ${!happening.value.length && html`<p class="none">${t(loaded.value ? 'queue.none' : 'loading')}</p>`}
    ${pending.value.length > 0 && html`<h2>${t(centre.value ? 'queue.pending.centre' : 'queue.pending')}</h2>`}
    ${pending.value.map((a) => html`<${Waiting} key=${a.id} alarm=${a} />`)}
    <${Over} />
  </section>`;
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
  return html`<button type="button" class="item live ${alarm.severity} ${here ? 'here' : ''} ${fresh ? 'fresh' : ''}" data-testid="queue-item" data-alarm=${alarm.id}
      aria-current=${here ? 'true' : undefined} onClick=${() => choose(alarm.id)}>
    <strong>${kindWord(alarm.kind)}</strong><em>${since}</em>
    <span>${where(alarm)}</span><span>${alarm.returnedAt ? t('alarm.returned') : alarm.count > 1 ? t('alarm.count', { n: alarm.count }) : ''}</span>
  </button>`;
}

/** @param {{alarm: Alarm}} props */
function Waiting({ alarm }) {
  const here = chosenId.value === alarm.id;
  const list = standing(alarm);
  const last = list[list.length - 1];
  return html`<button type="button" class="item ${here ? 'here' : ''}" data-testid="queue-item" data-alarm=${alarm.id}
      aria-current=${here ? 'true' : undefined} onClick=${() => choose(alarm.id)}>
    <strong>${kindWord(alarm.kind)}</strong><em>${span(now.value - Date.parse(alarm.raisedAt))}</em>
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
