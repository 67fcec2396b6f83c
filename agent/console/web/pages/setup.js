// @ts-check
// Setting the station up: one page with a part for each thing, those alone that
// this node has and this account may change.
import { html } from '../html.js';
import { t } from '../words/words.js';
import { href, route } from '../state/route.js';
import { may } from '../state/session.js';
import { served } from '../state/served.js';
import { Cards } from './cards.js';
import { Channels } from './channels.js';
import { Contacts } from './contacts.js';
import { Duty, Sound } from './duty.js';
import { Enrolment } from './enrolment.js';
import { Displays } from './displays.js';
import { Import } from './import.js';
import { JoiningPart } from './joining.js';
import { Parent } from './parent.js';
import { Plans } from './plans.js';
import { Rules } from './rules.js';
import { Sources } from './sources.js';
import { Watch } from './watch.js';
import { CameraImport, CameraSetup } from './camera-setup.js';
import { Recorders } from './recorders.js';
import { Workbench } from './workbench.js';

/** @typedef {{name: string, path: string, need: string, part: any}} Part */

/** By group; a part is there when its route is. @type {{group: string, parts: Part[]}[]} */
const groups = [
  { group: 'cameras', parts: [{ name: 'cameras', path: '/cameras/probe', need: 'configure', part: CameraSetup }, { name: 'recorders', path: '/recorders', need: 'configure', part: Recorders }, { name: 'cameraimport', path: '/cameras.csv', need: 'configure', part: CameraImport }] },
  { group: 'place', parts: [{ name: 'joining', path: '/joining', need: 'configure', part: JoiningPart }, { name: 'import', path: '/sensors.csv', need: 'configure', part: Import }, { name: 'plans', path: '/plans', need: 'configure', part: Plans }] },
  { group: 'alarm', parts: [
    { name: 'watch', path: '/mode', need: 'answer', part: Watch }, { name: 'rules', path: '/rule-templates', need: 'configure', part: Rules }, { name: 'cards', path: '/cards', need: 'configure', part: Cards },
  ] },
  { group: 'people', parts: [
    { name: 'contacts', path: '/contacts', need: 'configure', part: Contacts }, { name: 'channels', path: '/channels', need: 'configure', part: Channels },
    { name: 'duty', path: '/hours', need: 'configure', part: Duty }, { name: 'sound', path: '/sound', need: 'answer', part: Sound },
  ] },
  { group: 'line', parts: [
    { name: 'enrolment', path: '/enrolments', need: 'accounts', part: Enrolment }, { name: 'parent', path: '/uplink/enrolment', need: 'configure', part: Parent },
    { name: 'sources', path: '/alarm-sources', need: 'accounts', part: Sources },
  ] },
  { group: 'tools', parts: [{ name: 'workbench', path: '/workbench/topics', need: 'configure', part: Workbench }, { name: 'displays', path: '/displays', need: 'accounts', part: Displays }] },
];

/** The parts that are open to who sits here. */
const open = () => groups.map((g) => ({ ...g, parts: g.parts.filter((p) => served(p.path) && may(p.need)) })).filter((g) => g.parts.length);

/** Whether there is anything to set up at all. */
export const hasSetup = () => open().length > 0;

export function Setup() {
  const list = open();
  const all = list.flatMap((g) => g.parts);
  const here = all.find((p) => p.name === route.value.id) ?? all[0];
  if (!here) return html`<main class="page"><div class="empty"><p>${t('loading')}</p></div></main>`;
  return html`<main class="page setup">
    <nav class="parts" aria-label=${t('nav.setup')}>${list.map((g) => html`<h2 key=${g.group}>${word('setup.group', g.group)}</h2>
      ${g.parts.map((p) => html`<a key=${p.name} href=${href('setup', p.name)} aria-current=${p === here ? 'page' : undefined} data-testid=${`setup-${p.name}`}>${word('setup', p.name)}</a>`)}`)}</nav>
    <div class="part" data-testid=${`part-${here.name}`}><div class="head"><h1>${word('setup', here.name)}</h1></div><${here.part} key=${here.name} /></div>
  </main>`;
}

/** @param {string} where @param {string} name */
const word = (where, name) => t(/** @type {any} */ (`${where}.${name}`));
