// An administrator of a centre and an installer at a station, as TestBrowserEnrol
// plays it: a code is made at the one and typed at the other; the station is shut
// out again; somebody elsewhere is let report alarms.
import { openBrowser, openPage, until } from './browser.mjs';
import { check, claim, setUp, steps } from './officer.mjs';
import { openAlbum } from './pictures.mjs';
import * as rig from './rig.mjs';

const facts = await rig.facts();
const faults = [];
const album = await openAlbum(faults);
album.typed = ['示范村工作站', '示范镇城运中心', '示范村', '王主任', '张三', 'village-7', '某厂家云', 'vendor', '电脑被偷', 'admin'];
const browser = await openBrowser();
const step = steps();
const chief = { account: 'wang', name: '王主任', password: '南门 雨伞 四十二 米' };
const installer = { account: 'zhangsan', name: '张三', password: '北门 雨伞 四十三 米' };
const above = await openPage(browser, 'centre', faults);
const below = await openPage(browser, 'station', faults);

try {
  await step('the centre makes a code, shown once', async () => {
    await claim(above, facts.centre.claim, chief);
    await setUp(above, 'enrolment');
    await album.take(above, 'enrolment-empty', { few: true });
    const form = above.getByTestId('enrol-form');
    await form.locator('[name=node]').fill('village-7');
    await form.locator('[name=name]').fill('示范村');
    await form.locator('button[type=submit]').click();
    await above.getByTestId('enrol-ticket').waitFor();
    await album.take(above, 'enrolment-code');
  });
  const line = await above.getByTestId('enrol-line').first().textContent();

  await step('a slip of the pen is told at the station, before anything goes out', async () => {
    await claim(below, facts.station.claim, installer);
    await setUp(below, 'parent');
    await album.take(below, 'parent-none', { few: true });
    const form = below.getByTestId('parent-form');
    const slip = line.slice(0, -1) + (line.endsWith('0') ? '2' : '0');
    await form.locator('[name=code]').fill(slip);
    await form.locator('button[type=submit]').click();
    await form.getByRole('alert').filter({ hasText: '接入码抄错了一处' }).waitFor();
    await album.one(below, 'parent-slip', 'zh', { width: 1366, height: 768 });
    await album.one(below, 'parent-slip', 'zh', { width: 390, height: 844 });
    await below.setViewportSize({ width: 1920, height: 1080 });
    faults.splice(0, faults.length, ...faults.filter((f) => !/400 POST .*uplink\/enrolment|status of 400/.test(f)));
  });

  await step('with the code the station is below the centre, under its name', async () => {
    const form = below.getByTestId('parent-form');
    await form.locator('[name=code]').fill(line);
    await form.locator('button[type=submit]').click();
    await below.getByTestId('parent-done').waitFor();
    await below.close(); // its program starts its rooms anew
    await above.getByTestId('enrol-noted').click();
    const centre = rig.api(above, facts.centre.url);
    await until('the centre sees it', 30, async () => (await centre.get('/nodes')).nodes.some((n) => n.id === 'village-7' && n.online));
    await above.reload();
    await setUp(above, 'enrolment');
    await above.locator('[data-testid=enrolment][data-node=village-7][data-state=used]').waitFor();
    await album.take(above, 'enrolment-used');
  });

  await step('shut out with a reason, it is gone', async () => {
    await above.getByTestId('enrol-revoke').click();
    const form = above.getByTestId('revoke-form');
    await form.locator('[name=why]').fill('电脑被偷');
    await album.take(above, 'enrolment-revoking', { few: true });
    await form.locator('button[type=submit]').click();
    await above.getByText('已吊销').waitFor();
    const centre = rig.api(above, facts.centre.url);
    await until('the centre has cut it off', 30, async () => (await centre.get('/nodes')).nodes.every((n) => !n.online));
    await album.take(above, 'enrolment-closed', { few: true });
  });

  await step('somebody elsewhere may report alarms', async () => {
    await setUp(above, 'sources');
    const form = above.getByTestId('source-form');
    await form.locator('[name=id]').fill('vendor');
    await form.locator('[name=name]').fill('某厂家云');
    await form.locator('button[type=submit]').click();
    await above.getByTestId('source-token').waitFor();
    await album.take(above, 'sources');
  });
  check(!faults.length, faults.join('\n'));
  console.log(`${album.taken} pictures in ${album.folder}`);
} finally {
  await browser.close();
}
