// Reads every instance with the official client's getStatusAll, and counts them as the others do;
// prints the processor seconds and the instances.
//
// Arguments: the port, the task hub, and the folder of the client's package.

"use strict";

const path = require("path");

const [port, taskHub, folder] = process.argv.slice(2);
process.env.WEBSITE_HOSTNAME = `127.0.0.1:${port}`;
const { DurableClient } = require(path.join(folder, "lib/src/durableClient/DurableClient.js"));

const base = `http://127.0.0.1:${port}/runtime/webhooks/durabletask`;
const instance = `${base}/instances/INSTANCEID`;
const query = `taskHub=${taskHub}&connection=Storage&code=key`;
const client = new DurableClient({
  taskHubName: taskHub,
  creationUrls: { createNewInstancePostUri: `${base}/orchestrators/{functionName}?code=key` },
  managementUrls: { id: "INSTANCEID", statusQueryGetUri: `${instance}?${query}` },
  baseUrl: base,
  requiredQueryStringParameters: "code=key",
});

async function main() {
  const begin = process.cpuUsage();
  const counts = new Map();
  const all = await client.getStatusAll();
  for (const { name, runtimeStatus } of all) {
    const key = `${name}/${runtimeStatus}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const { user, system } = process.cpuUsage(begin);
  const instances = [...counts.values()].reduce((sum, count) => sum + count, 0);
  console.log((user + system) / 1e6, instances);
}

main();
