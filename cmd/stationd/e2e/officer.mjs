// What every script does: it goes step by step and says so, checks what it sees,
// and moves about the console as a person does.

/** Steps that say how long they took. */
export function steps() {
  const began = Date.now();
  return async (name, work) => {
    const from = Date.now();
    const said = await work();
    console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${name}${said ? `: ${said}` : ''} (${((Date.now() - from) / 1000).toFixed(1)} s)`);
  };
}

export function check(holds, what) {
  if (!holds) throw new Error(what);
}

/** Opens a page of the bar. */
export async function go(p, name) {
  await p.getByTestId(`nav-${name}`).click();
  await p.waitForFunction((n) => location.hash.startsWith(`#/${n}`), name);
}

/** Opens a part of the set-up. */
export async function setUp(p, name) {
  await go(p, 'setup');
  await p.getByTestId(`setup-${name}`).click();
  await p.getByTestId(`part-${name}`).waitFor();
}

/** Opens the link that a station prints and makes its first account. */
export async function claim(p, link, who) {
  await p.goto(link);
  const form = p.getByTestId('claim-form');
  for (const field of ['account', 'name', 'password']) await form.locator(`[name=${field}]`).fill(who[field]);
  await form.locator('[name=again]').fill(who.password);
  await form.locator('button[type=submit]').click();
  await p.locator('.desk').waitFor();
}

/** Logs in by password. */
export async function logIn(p, url, who) {
  await p.goto(url);
  const form = p.getByTestId('login-form');
  await form.locator('[name=account]').fill(who.account);
  await form.locator('[name=password]').fill(who.password);
  await form.locator('button[type=submit]').click();
  await p.locator('.desk').waitFor();
}
