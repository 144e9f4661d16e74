// Showing: a request part by part as it is signed, an answer, and JSON with its kinds told apart.

import { element, kindOf, numberText, parse } from "./page.js";

/** JSON over several lines; anything else as it stands. */
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

/** A block of code that can be scrolled by keyboard. */
export function code(label, ...content) {
  return element("pre", { tabindex: "0", role: "region", "aria-label": label }, element("code", {}, content));
}

/** A time of day, to the second. */
export function clockTime(date) {
  return date.toLocaleTimeString("en-GB");
}

/** What goes between shell words. */
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

/** The parts that are signed, what they give together, and what is sent. */
export function requestParts(request) {
  const { payload } = request;
  const parts = [
    ["url", "URL", payload.url, "as published, without a query"],
    ["key", "X-Idempotency-Key", payload.idempotency_key, "the same for each retry"],
    ["time", "X-Timestamp", String(payload.timestamp), `${clockTime(new Date(payload.timestamp * 1000))}, accepted for 30 s`],
    ["content", "content", payload.content, request.method === "GET" ? "the parameters as Python prints them" : "the body, byte for byte"],
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
    element("p", { class: "note" }, "Joined by colons, this is the payload:"),
    code("Payload", joined),
    element("p", { class: "note" }, "Its HMAC-SHA256 with the signing key ", element("code", {}, request.key_id), " is X-Signature:"),
    code("Signature", signature),
    element("h3", {}, "What is sent"),
    code("Request", element("b", {}, request.method), ` ${request.url}`, sent, request.method === "POST" ? `\n\n${request.body}` : ""),
  ];
}

/** What an answer comes to, in a few words. */
export function outcomeOf(answer) {
  return `${answer.status} ${answer.reason}`;
}

/** Whether the answer was kept from an earlier call. */
export function isReplay(answer) {
  return answer.headers.some(([name, value]) => name === "idempotent-replayed" && value === "true");
}

/** The class of an outcome: good, refused or failed. */
export function kindOfOutcome(answer) {
  if (answer.status < 300) return "good";
  return answer.status < 500 ? "refused" : "failed";
}

/** An endpoint's method, as a tag. */
export function methodTag(endpoint) {
  return element("span", { class: `method ${endpoint.method.toLowerCase()}` }, endpoint.method);
}

/** The answer: what became of it, the headers that matter, and the body. */
export function answerParts(answer, repeats, isRecorded) {
  const replay = isReplay(answer);
  const verdict = element("p", { class: "verdict" },
    element("strong", { class: `badge ${kindOfOutcome(answer)}` }, outcomeOf(answer)), " ",
    replay && element("strong", { class: "badge replayed" }, "Replayed"), " ",
    element("span", { class: "note" }, `${answer.duration_ms.toFixed(1)} ms`));
  const remark = replay
    ? "The key had been used before: this is the kept answer, byte for byte. The endpoint did not run again."
    : repeats && !isRecorded && "The endpoint changes nothing, so nothing is recorded: with the same key it simply ran again.";
  return [
    verdict,
    remark && element("p", { class: "remark" }, remark),
    element("dl", { class: "headers" }, answer.headers.map(([name, value]) => element("div", {},
      element("dt", {}, name), element("dd", {}, element("code", {}, value))))),
    code("Answer's body", prettyJson(answer.body)),
  ].filter(Boolean);
}
