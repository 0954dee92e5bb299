// Prints the errors of one manifest, as a JSON list of texts: `node custom_kinds.mjs MODELS SCHEMA < manifest.json`.
// MODELS is the folder of @kubernetes-models, SCHEMA a file in it, generated from an operator's published definitions.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [models, schema] = process.argv.slice(2);
const { validate } = await import(pathToFileURL(join(models, schema)));
const manifest = JSON.parse(readFileSync(0, "utf8"));

// The API server drops or refuses a field that the definition lacks; the validator only never reads it.
const fieldsRead = new Map();
function watched(value) {
  if (value === null || typeof value !== "object") return value;
  const read = new Set();
  fieldsRead.set(value, read);
  const copy = Array.isArray(value) ? [] : {};
  for (const key of Object.keys(value)) copy[key] = watched(value[key]);
  return new Proxy(copy, {
    get(target, key) {
      read.add(key);
      return target[key];
    },
  });
}
function unknownFields(value, path) {
  if (value === null || typeof value !== "object") return [];
  const read = fieldsRead.get(value);
  return Object.keys(value).flatMap((key) =>
    read.has(key) || read.size === 0
      ? unknownFields(value[key], `${path}/${key}`)
      : [`${path}/${key}: unknown field`],
  );
}

validate(watched(manifest));
const errors = (validate.errors ?? []).map(
  ({ instancePath, keyword, params }) => `${instancePath}: ${keyword} ${JSON.stringify(params)}`,
);
console.log(JSON.stringify([...errors, ...unknownFields(manifest, "")]));
