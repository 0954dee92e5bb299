'use strict';

// Looks at one preview after another: a line of JSON with `url` and `screenshot` in, what is to be seen out.
const readline = require('node:readline');
const { chromium } = require('playwright-core');

const ARGUMENTS = [
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

async function look(browser, job) {
  const context = await browser.newContext({ viewport: { width: 1600, height: 900 } });
  const page = await context.newPage();
  const problems = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('requestfailed', (request) => problems.push(`failed ${request.url()}`));
  await page.goto(job.url);
  await page.waitForSelector('body[data-ready=yes], body[data-ready=failed]', { timeout: 60000 }).catch((error) => problems.push(String(error)));
  const panels = await page.evaluate(() => [...document.querySelectorAll('.panel')].map((panel) => ({
    title: panel.dataset.title,
    state: panel.dataset.state,
    marks: panel.querySelectorAll('.stat, .bar, td, svg rect, svg polyline, svg circle').length,
    broken: /NaN|undefined|Infinity/.test(panel.innerHTML),
  })));
  const [annotations, exemplars] = await Promise.all(['.annotation', 'a.exemplar'].map((each) => page.locator(each).count()));
  if (job.screenshot) await page.screenshot({ path: job.screenshot, fullPage: true });
  await context.close();
  return { panels, problems, annotations, exemplars };
}

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM, chromiumSandbox: false, args: ARGUMENTS,
  });
  try {
    for await (const line of readline.createInterface({ input: process.stdin })) {
      process.stdout.write(`${JSON.stringify(await look(browser, JSON.parse(line)))}\n`);
    }
  } finally {
    await browser.close();
  }
}

main();
