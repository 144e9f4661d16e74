// Shows a request part by part as it is signed, an answer, and JSON with a colour for each type.

import { element, kindOf, numberText, parse } from "./page.js";

/** JSON on several lines. Text that is not JSON is returned unchanged. */
export function prettyJson(text) {
  try {
    return [...pretty(parse(text), "")];
  } catch {
    return [text];
  }
}

function* pretty(value, indent) {
  const kind = kindOf(value);
  const inner = `${indent}  `;
  const entries = kind === "array" ? value.map((item) => [undefined, item]) : kind === "object" ? Object.entries(value) : [];
  const [open, close] = kind === "array" ? "[]" : "{}";
  if (kind !== "array" && kind !== "object") {
    yield element("span", { class: `json-${kind}` }, numberText(value) ?? JSON.stringify(value));
  } else if (entries.length === 0) {
    yield open + close;
  } else {
    yield `${open}\n`;
    for (const [at, [name, item]] of entries.entries()) {
      yield inner;
      if (name !== undefined) yield* [element("span", { class: "json-name" }, JSON.stringify(name)), ": "];
      yield* pretty(item, inner);
      yield at + 1 < entries.length ? ",\n" : "\n";
    }
    yield indent + close;
  }
}

/** A block of code that can be scrolled with the keyboard. */
export function code(label, ...content) {
  return element("pre", { tabindex: "0", role: "region", "aria-label": label }, element("code", {}, content));
}

/** A time of day, to the second. */
export function clockTime(date) {
  return date.toLocaleTimeString("en-GB");
}

/** The text as one word of a shell command. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The request as a curl command. */
export function curlOf(request) {
  const headers = request.headers.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  const words = [`curl -X ${request.method} ${quoted(request.url)}`, ...headers];
  if (request.method === "POST") words.push(`--data-raw ${quoted(request.body)}`);
  return words.join(" \\\n  ");
}

/** The signed parts, the payload and its signature, and the request as it is sent. */
export function requestParts(request) {
  const { payload } = request;
  const parts = [
    ["url", "URL", payload.url, "the endpoint's public URL, without the query"],
    ["key", "X-Idempotency-Key", payload.idempotency_key, "the same on each retry"],
    ["time", "X-Timestamp", String(payload.timestamp), `${clockTime(new Date(payload.timestamp * 1000))}, accepted for 30 s`],
    ["content", "content", payload.content, request.method === "GET" ? "the parameters as JSON, written as Python's json.dumps does" : "the body, byte for byte"],
  ];
  const signature = request.headers.find(([name]) => name === "X-Signature")[1];
  const joined = parts.flatMap(([kind, , text], at) => [
    at > 0 ? element("span", { class: "colon" }, ":") : "",
    element("span", { class: `part part-${kind}` }, text),
  ]);
  const sent = request.headers.flatMap(([name, value]) => ["\n", element("span", { class: "header-name" }, name), `: ${value}`]);
  return [
    element("h3", {}, "What is signed"),
    element("dl", { class: "parts" }, parts.map(([kind, name, text, note]) => element("div", {},
      element("dt", {}, element("span", { class: `swatch part-${kind}`, "aria-hidden": "true" }), name),
      element("dd", {}, element("code", {}, text), element("span", { class: "note" }, note))))),
    element("p", { class: "note" }, "These parts, joined by colons, are the payload:"),
    code("Payload", joined),
    element("p", { class: "note" }, "The payload's HMAC-SHA256 with the signing key ", element("code", {}, request.key_id), " is X-Signature:"),
    code("Signature", signature),
    element("h3", {}, "What is sent"),
    code("Request", element("b", {}, request.method), ` ${request.url}`, sent, request.method === "POST" ? `\n\n${request.body}` : ""),
  ];
}

/** The answer's status in a few words. */
export function outcomeOf(answer) {
  return `${answer.status} ${answer.reason}`;
}

/** Whether the answer is the stored answer of an earlier call. */
export function isReplay(answer) {
  return answer.headers.some(([name, value]) => name === "idempotent-replayed" && value === "true");
}

/** The CSS class for an answer's status: good, refused or failed. */
export function kindOfOutcome(answer) {
  if (answer.status < 300) return "good";
  return answer.status < 500 ? "refused" : "failed";
}

/** An endpoint's method, as a tag. */
export function methodTag(endpoint) {
  return element("span", { class: `method ${endpoint.method.toLowerCase()}` }, endpoint.method);
}

/** The answer: status, duration, headers and body. */
export function answerParts(answer, repeats, isRecorded) {
  const replay = isReplay(answer);
  const verdict = element("p", { class: "verdict" },
    element("strong", { class: `badge ${kindOfOutcome(answer)}` }, outcomeOf(answer)), " ",
    replay && element("strong", { class: "badge replayed" }, "Replayed"), " ",
    element("span", { class: "note" }, `${answer.duration_ms.toFixed(1)} ms`));
  const remark = replay
    ? "An earlier call used the same key: this is the stored answer of that call, byte for byte. The endpoint did not run again."
    : repeats && !isRecorded && "The endpoint is read-only, so no record is kept: the call with the same key ran again.";
  return [
    verdict,
    remark && element("p", { class: "remark" }, remark),
    element("dl", { class: "headers" }, answer.headers.map(([name, value]) => element("div", {},
      element("dt", {}, name), element("dd", {}, element("code", {}, value))))),
    code("Answer's body", prettyJson(answer.body)),
  ].filter(Boolean);
}
