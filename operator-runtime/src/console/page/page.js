// Helpers for every part of the page: elements, requests to the server, lossless JSON, and announcements.

/** Makes an element with attributes, listeners (`onclick`) and children. Strings become text, never markup. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== false));
  return made;
}

let lastId = 0;

/** An id that no other element on the page has. */
export function freshId(name) {
  lastId += 1;
  return `${name}-${lastId}`;
}

/** Makes a screen reader say a sentence. */
export function announce(sentence) {
  document.getElementById("status").textContent = sentence;
}

/** Shows a sentence that says what went wrong. Without a sentence, hides the last sentence. */
export function trouble(sentence = "") {
  const place = document.getElementById("trouble");
  place.textContent = sentence;
  place.hidden = sentence === "";
}

/** The path of the page, before the paths of its data. */
const base = document.querySelector('meta[name="base"]').content;
/** The console's page has its token; on the admin page, a person types one. */
let token = document.querySelector('meta[name="console-token"]')?.content ?? "";

/** Sends this token with each request from now on. */
export function useToken(given) {
  token = given;
}

/** Sends a request to the server and returns the answer's JSON. Throws an error with a sentence if that fails. */
export async function ask(path, body) {
  let response;
  try {
    response = await fetch(`${base}/${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { Authorization: `Bearer ${token}`, ...(body !== undefined && { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Error(`The server answered with status ${response.status} but without JSON: load the page again.`);
  }
  if (!response.ok) throw Object.assign(new Error(answer.detail), { status: response.status });
  return answer;
}

/** Parses JSON. Numbers keep their exact digits if the browser supports `JSON.rawJSON`. */
export function parse(text) {
  if (!JSON.rawJSON) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) => (typeof value === "number" ? JSON.rawJSON(context.source) : value));
}

/** The digits of a parsed number; undefined for any other value. */
export function numberText(value) {
  if (typeof value === "number") return String(value);
  if (JSON.rawJSON && JSON.isRawJSON(value)) return value.rawJSON;
  return undefined;
}

/** The JSON type of a parsed value. */
export function kindOf(value) {
  if (numberText(value) !== undefined) return "number";
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

/** JSON text that is the same for equal values, even if their names are in a different order. */
export function canonical(value) {
  const kind = kindOf(value);
  if (kind === "array") return `[${value.map(canonical).join(",")}]`;
  if (kind !== "object") return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}
