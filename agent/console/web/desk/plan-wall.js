// @ts-check
// The plans of the station with everything that stands on them: what alarms, what
// is silent, what is well. The plan with an alarm comes to the front by itself.
import { html, useEffect, useState } from '../html.js';
import { kindWord, t } from '../words/words.js';
import { choose } from '../state/choice.js';
import { planFirst } from '../state/prefs.js';
import { go } from '../state/route.js';
import { may } from '../state/session.js';
import { alarms, cameras, happening, plans, sensors } from '../state/store.js';
import { PlanPicture } from '../live/plan.js';

/** @typedef {import('../live/plan.js').Mark} Mark */
/** @typedef {import('../records.js').Alarm} Alarm */

/** The live alarm of a sensor that counts most. @param {string} sensor @returns {Alarm|null} */
function alarmOf(sensor) {
  let found = null;
  for (const a of alarms.value.values()) {
    if (a.sensor !== sensor || a.state === 'cleared' || a.suppressed || a.shelf) continue;
    if (!found || (a.state === 'raised' && found.state !== 'raised')) found = a;
  }
  return found;
}

/** How a sensor is, in one word for its dot. @param {import('../records.js').SensorRow} row */
export function sensorLook({ sensor, state }) {
  const alarm = alarmOf(sensor.id);
  if (alarm) return alarm.test ? 'test' : alarm.state === 'raised' ? 'live' : 'held';
  if (sensor.service) return 'service';
  return !state || state.offline ? 'silent' : 'ok';
}

/** Everything that stands on a plan. @param {string} plan @returns {Mark[]} */
export function marksOn(plan) {
  /** @type {Mark[]} */
  const list = [];
  for (const { camera, state } of cameras.value.values()) {
    if (camera.position?.plan === plan) list.push({ id: camera.id, kind: 'camera', x: camera.position.x, y: camera.position.y, state: state && state.status !== 'online' && state.status !== 'idle' ? 'silent' : 'ok', name: camera.name });
  }
  for (const row of sensors.value.values()) {
    const at = row.sensor.position;
    if (at?.plan !== plan) continue;
    const look = sensorLook(row);
    const alarm = look === 'live' || look === 'held' ? alarmOf(row.sensor.id) : null;
    list.push({ id: row.sensor.id, kind: 'sensor', x: at.x, y: at.y, state: look, name: [row.sensor.name, alarm ? kindWord(alarm.kind) : t(`look.${look}`)].join(' · '), here: look === 'live' });
  }
  return list.sort((a, b) => Number(a.state === 'live') - Number(b.state === 'live'));
}

export function PlanWall() {
  const [picked, setPicked] = useState('');
  const burning = happening.value.map((a) => sensors.value.get(a.sensor ?? '')?.sensor.position?.plan).find((id) => id && plans.value.has(id)) ?? '';
  useEffect(() => {
    if (burning) setPicked(burning);
  }, [burning]);
  const list = [...plans.value.values()];
  const plan = plans.value.get(picked) ?? list[0];
  if (!plan) return null;
  /** @param {string} id @param {Mark['kind']} kind */
  const open = (id, kind) => {
    const alarm = kind === 'sensor' ? alarmOf(id) : null;
    if (alarm) choose(alarm.id);
    else go(kind === 'camera' ? 'cameras' : 'sensors', id);
  };
  return html`<section class="planwall card" data-testid="plan-wall">
    <header><div class="segments" role="radiogroup" aria-label=${t('plans')}>${list.map((p) => html`<button type="button" role="radio" key=${p.id} aria-checked=${p.id === plan.id} onClick=${() => setPicked(p.id)}>${[p.name, p.floor].filter(Boolean).join(' · ')}</button>`)}</div>
      <span class="grow"></span><${Legend} />
      ${may('video') && html`<button type="button" class="btn quiet" data-testid="to-cameras" onClick=${() => (planFirst.value = false)}>${t('wall.cameras')}<kbd>M</kbd></button>`}</header>
    <${PlanPicture} plan=${plan.id} version=${plan.picture?.digest} name=${plan.name} marks=${marksOn(plan.id)} onPick=${open} testid="plan-live" />
  </section>`;
}

function Legend() {
  return html`<ul class="legend">${/** @type {const} */ (['live', 'held', 'silent', 'service', 'ok']).map((look) => html`<li key=${look}><i class=${look}></i>${t(`look.${look}`)}</li>`)}</ul>`;
}
