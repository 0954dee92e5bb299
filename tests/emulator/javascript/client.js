// Runs the official client through every method that it has, and prints what came of it as JSON.
//
// Arguments: the folder of the client's package, and the binding object as JSON.

"use strict";

const path = require("path");

const [packageFolder, binding] = process.argv.slice(2);
const { DurableClient } = require(path.join(packageFolder, "lib/src/durableClient/DurableClient.js"));
const { EntityId } = require(packageFolder);

const client = new DurableClient(JSON.parse(binding));
const PATIENCE_MS = 10_000;

// What an operation asks for comes about later; the client offers nothing but to look again.
async function eventually(look, isRight) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (isRight(seen) || Date.now() > end) return seen;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const status = (id, wanted) =>
  eventually(
    () => client.getStatus(id),
    (seen) => seen.runtimeStatus === wanted,
  );

const brief = ({ runtimeStatus, output }) => ({ runtimeStatus, output });

const refusal = (promise) =>
  promise.then(
    () => "accepted",
    (error) => error.message,
  );

async function start(name, instanceId, input) {
  return client.startNew(name, { instanceId, input });
}

const scenes = {
  async startsWithoutAnId() {
    const id = await client.startNew("HelloSequence");
    return { length: id.length, ...brief(await status(id, "Completed")) };
  },
  async showsHistoryAndInput() {
    await start("FanOut", "js-fan", 2);
    await status("js-fan", "Completed");
    const seen = await client.getStatus("js-fan", {
      showHistory: true,
      showHistoryOutput: true,
      showInput: true,
    });
    return { name: seen.name, input: seen.input, output: seen.output };
  },
  async leavesTheInputOut() {
    return { input: (await client.getStatus("js-fan", { showInput: false })).input };
  },
  async listsEverything() {
    const all = await client.getStatusAll();
    const waiting = all.filter(({ instanceId }) => instanceId.startsWith("wait-"));
    return { waiting: waiting.length, distinct: new Set(all.map((row) => row.instanceId)).size === all.length };
  },
  async listsByFilter() {
    await start("FailsItself", "js-fails");
    await status("js-fails", "Failed");
    const failed = await client.getStatusBy({ runtimeStatus: ["Failed"] });
    const future = await client.getStatusBy({ createdTimeFrom: new Date("2990-01-01T00:00:00Z") });
    const past = await client.getStatusBy({ createdTimeTo: new Date("2000-01-01T00:00:00Z") });
    return { failed: failed.map((row) => row.instanceId), future: future.length, past: past.length };
  },
  async raisesEvents() {
    await start("Approval", "js-approval");
    await status("js-approval", "Running");
    await client.raiseEvent("js-approval", "Approval", { approved: true });
    return brief(await status("js-approval", "Completed"));
  },
  async suspendsAndResumes() {
    await start("WaitsForever", "js-waits");
    await status("js-waits", "Running");
    await client.suspend("js-waits", "hold");
    const held = brief(await status("js-waits", "Suspended"));
    await client.resume("js-waits", "go on");
    return { held, resumed: brief(await status("js-waits", "Running")) };
  },
  async terminates() {
    await client.terminate("js-waits", "no longer needed");
    return brief(await status("js-waits", "Terminated"));
  },
  async rewinds() {
    await start("Refund", "js-refund", 5);
    await status("js-refund", "Failed");
    await client.rewind("js-refund", "open again");
    return brief(await status("js-refund", "Completed"));
  },
  async waitsForCompletion() {
    await start("HelloSequence", "js-hello");
    const response = await client.waitForCompletionOrCreateCheckStatusResponse(
      { url: "http://127.0.0.1/api/start" },
      "js-hello",
      { timeoutInMilliseconds: PATIENCE_MS, retryIntervalInMilliseconds: 5 },
    );
    return { status: response.status };
  },
  async purges() {
    const one = await client.purgeInstanceHistory("js-hello");
    const again = await client.purgeInstanceHistory("js-hello");
    const many = await client.purgeInstanceHistoryBy({
      createdTimeFrom: new Date("2000-01-01T00:00:00Z"),
      runtimeStatus: ["Terminated"],
    });
    return { one: one.instancesDeleted, again: again.instancesDeleted, many: many.instancesDeleted };
  },
  async usesEntities() {
    const counter = new EntityId("Counter", "js");
    const before = await client.readEntityState(counter);
    await client.signalEntity(counter, "add", 4);
    await eventually(
      () => client.readEntityState(counter),
      (seen) => seen.entityExists,
    );
    await client.signalEntity(counter, "add", 3);
    const after = await eventually(
      () => client.readEntityState(counter),
      (seen) => seen.entityState === 7,
    );
    return { before: before.entityExists, after: after.entityState };
  },
  async isRefused() {
    return {
      missing: await refusal(client.getStatus("nope")),
      terminate: await refusal(client.terminate("nope", "why")),
      suspend: await refusal(client.suspend("nope", "why")),
      resume: await refusal(client.resume("nope", "why")),
      rewind: await refusal(client.rewind("nope", "why")),
      raiseEvent: await refusal(client.raiseEvent("nope", "Any", 1)),
      active: await refusal(start("WaitsForever", "wait-0000")),
      ended: await refusal(client.terminate("js-refund", "why")),
    };
  },
  async linksToInstances() {
    const payload = client.createHttpManagementPayload("js-fan");
    const response = client.createCheckStatusResponse(undefined, "js-fan");
    return { id: payload.id, status: response.status };
  },
};

async function main() {
  const results = {};
  for (const [name, scene] of Object.entries(scenes)) results[name] = await scene();
  process.stdout.write(JSON.stringify(results));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
