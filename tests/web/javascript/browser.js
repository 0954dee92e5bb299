// Looks at pages in a headless Chromium, for test_browser.py.
//
// Reads one job as JSON per line: {url, width, height, dark, screenshot, keys, steps, texts}: steps are
// [action, selector, value], texts selectors of what is to be read after them. Answers each with a
// line: what the accessibility checker, the console and the layout tell of the page.

'use strict';

const fs = require('node:fs');
const readline = require('node:readline');
const { chromium } = require('playwright-core');

const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const ARGUMENTS = [
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--proxy-server=direct://',
];

// Everything that reaches beyond the card that it stands in, or whose text is wider than itself.
function tooWide() {
  return [...document.querySelectorAll('main *')]
    .filter((each) => {
      const card = each.parentElement.closest('.card, main');
      const beyond = each.getBoundingClientRect().right > card.getBoundingClientRect().right + 1;
      const isText = each.matches('td, th, dt, dd, p, code');
      return !each.closest('.unseen, thead') && (beyond || (isText && each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0));
    })
    .map((each) => each.outerHTML.slice(0, 160));
}

async function look(browser, job) {
  const context = await browser.newContext({
    viewport: { width: job.width, height: job.height ?? 900 },
    colorScheme: job.dark ? 'dark' : 'light',
    // The page's policy forbids scripts, and so the checker's too: it alone is let past.
    bypassCSP: Boolean(job.axe),
    ...(job.noScript ? { javaScriptEnabled: false } : {}),
    ...(job.clipboard ? { permissions: ['clipboard-read', 'clipboard-write'] } : {}),
    ...(job.timezone ? { timezoneId: job.timezone, locale: 'en-GB' } : {}),
  });
  const page = await context.newPage();
  const problems = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('dialog', (dialog) => { problems.push(`dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on('requestfailed', (request) => problems.push(`failed ${request.url()}`));
  const answer = await page.goto(job.url);
  const result = { status: answer.status(), title: await page.title() };
  if (!job.noScript) {
    result.scripts = await page.evaluate(() => document.scripts.length);
    result.inlineStyles = await page.evaluate(() => document.querySelectorAll('[style],style').length);
    result.scrolls = await page.evaluate(() =>
      document.documentElement.scrollWidth > document.documentElement.clientWidth);
    result.tooWide = await page.evaluate(tooWide);
    result.background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    result.titles = await page.evaluate(() => [...document.querySelectorAll('time')].map((time) => time.title));
    result.links = await page.evaluate(() => [...document.links].map((link) => link.href));
  }
  for (const [action, selector, ...values] of job.steps ?? []) await page.locator(selector).first()[action](...values);
  if (job.reload) await page.reload();
  if (job.within) {
    result.bottom = await page.locator(job.within).evaluate((each) => each.getBoundingClientRect().bottom);
  }
  result.texts = {};
  for (const selector of job.texts ?? []) {
    result.texts[selector] = await page.locator(selector).filter({ visible: true }).allInnerTexts();
  }
  if (job.clipboard) result.clipboard = await page.evaluate(() => navigator.clipboard.readText());
  result.focused = [];
  for (const key of job.keys ?? []) {
    await page.keyboard.press(key);
    result.focused.push(await page.evaluate(() => document.activeElement.textContent.trim()));
  }
  if (job.screenshot) await page.screenshot({ path: job.screenshot, fullPage: true });
  if (job.axe) {
    await page.evaluate(AXE);
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    result.violations = found.violations.map((each) =>
      `${each.id}: ${each.help}: ${each.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(' | ')}`);
    result.checked = found.passes.length;
  }
  result.problems = problems;
  await context.close();
  return result;
}

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM, chromiumSandbox: false, args: ARGUMENTS,
  });
  try {
    for await (const line of readline.createInterface({ input: process.stdin })) {
      let answer;
      try {
        answer = await look(browser, JSON.parse(line));
      } catch (error) {
        answer = { error: String(error) };
      }
      process.stdout.write(`${JSON.stringify(answer)}\n`);
    }
  } finally {
    await browser.close();
  }
}

main();
