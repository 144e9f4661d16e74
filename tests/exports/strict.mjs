// Compiles every schema of a document with Ajv in its strict mode: `strict.mjs FILE`. Prints the number of schemas.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const document = JSON.parse(readFileSync(process.argv[1]));
let schemas = 0;
for (const one of document.tools ?? document.endpoints) {
  for (const schema of [one.inputSchema ?? one.inputs, one.outputSchema ?? one.outputs]) {
    // A decimal number is a text or a number.
    const ajv = new Ajv({ strict: true, allowUnionTypes: true });
    addFormats.default ? addFormats.default(ajv) : addFormats(ajv);
    assert.ok(ajv.compile(schema), one.name);
    schemas += 1;
  }
}
console.log(schemas);
