// What every part of the page uses: making elements, asking the server, JSON without loss, and saying what happened.

/** An element with its attributes, listeners (`onclick`) and children. Text is text, never markup. */
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

/** An id that nothing else on the page has. */
export function freshId(name) {
  lastId += 1;
  return `${name}-${lastId}`;
}

/** Lets a screen reader say it. */
export function announce(sentence) {
  document.getElementById("status").textContent = sentence;
}

/** Shows what went wrong, or nothing. */
export function trouble(sentence = "") {
  const place = document.getElementById("trouble");
  place.textContent = sentence;
  place.hidden = sentence === "";
}

const token = document.querySelector('meta[name="console-token"]').content;

/** Asks the server; throws a sentence where it does not answer as hoped. */
export async function ask(path, body) {
  let response;
  try {
    response = await fetch(`/console/${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { Authorization: `Bearer ${token}`, ...(body !== undefined && { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error("The server does not answer. Is `dev` still running?");
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Error(`The server answered with the status ${response.status} and without JSON: load the page again.`);
  }
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

/** Parses JSON; numbers keep the digits that they were written with, where the browser can do that. */
export function parse(text) {
  if (!JSON.rawJSON) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) => (typeof value === "number" ? JSON.rawJSON(context.source) : value));
}

/** Whether a parsed value is a number, with its digits. */
export function numberText(value) {
  if (typeof value === "number") return String(value);
  if (JSON.rawJSON && JSON.isRawJSON(value)) return value.rawJSON;
  return undefined;
}

/** What kind of JSON a parsed value is. */
export function kindOf(value) {
  if (numberText(value) !== undefined) return "number";
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

/** The same text for the same value, however its names are ordered. */
export function canonical(value) {
  const kind = kindOf(value);
  if (kind === "array") return `[${value.map(canonical).join(",")}]`;
  if (kind !== "object") return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}
