// The admin page: signing in, and the two lists of operations. settle.js shows one operation.

import { announce, ask, element, trouble, useToken } from "./page.js";
import { operationView } from "./settle.js";

/** How long after an answer the lists are asked for again, in milliseconds. */
const PAUSE = 500;

const place = document.getElementById("view");
/** What the person typed, until the window is closed or the person signs out. */
const kept = window.sessionStorage;
/** What is shown: each change of the view gets a number, so that late answers are recognized. */
let shown = 0;

function signInView(sentence = "") {
  document.getElementById("signed-in").textContent = "";
  document.getElementById("sign-out").hidden = true;
  trouble(sentence);
  const token = element("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const name = element("input", { id: "name", type: "text", autocomplete: "name", required: true, maxlength: "100", "aria-describedby": "name-hint", value: kept.getItem("name") ?? "" });
  const submit = (event) => {
    event.preventDefault();
    if (!token.value || !name.value.trim()) {
      trouble("Type your token and your name.");
      return;
    }
    kept.setItem("token", token.value);
    kept.setItem("name", name.value.trim());
    trouble();
    start();
  };
  place.replaceChildren(element("form", { class: "call sign-in", novalidate: true, onsubmit: submit },
    element("h1", { tabindex: "-1" }, "Sign in"),
    element("p", { class: "description" }, "This page shows what the agent did, and lets you say what became of an operation whose outcome is unknown."),
    element("div", { class: "field" }, element("label", { for: "token" }, element("span", { class: "name" }, "Token")), token),
    element("div", { class: "field" },
      element("label", { for: "name" }, element("span", { class: "name" }, "Your name")),
      element("p", { class: "hint", id: "name-hint" }, "It is stored with each operation that you settle."), name),
    element("div", { class: "actions" }, element("button", { type: "submit", class: "primary" }, "Sign in"))));
  token.focus();
}

/** Shows the sentence of an error. A token that is not accepted is asked for again. */
function failed(error) {
  if (error.status === 401) {
    kept.removeItem("token");
    signInView(error.message);
  } else {
    trouble(error.message);
  }
}

function when(text) {
  const time = new Date(text);
  return element("time", { datetime: text }, `${time.toLocaleDateString("en-CA")} ${time.toLocaleTimeString("en-GB")}`);
}

function kindOf(operation) {
  if (operation.needs_a_person) return "failed";
  return operation.outcome === "done" ? "good" : "refused";
}

function table(label, { all, shown: rows }, none) {
  const title = element("h2", {}, label, all > rows.length && element("span", { class: "note" }, ` the newest ${rows.length} of ${all}`));
  if (rows.length === 0) return [title, element("p", { class: "quiet" }, none)];
  const row = (operation) => element("tr", {},
    element("td", {}, when(operation.first_seen)),
    element("td", {}, element("a", { href: `#/${operation.operation}`, "aria-label": `${operation.endpoint || "unknown endpoint"}, operation ${operation.operation.slice(0, 12)}` },
      operation.endpoint || "(not recorded)")),
    element("td", { class: kindOf(operation) }, operation.needs_a_person ? `${operation.outcome}: needs a decision` : operation.outcome,
      operation.settled_by && element("span", { class: "note" }, ` settled by ${operation.settled_by}`)),
    element("td", { class: "key-cell" }, element("code", {}, operation.idempotency_key)));
  return [title, element("table", { "aria-label": label },
    element("thead", {}, element("tr", {}, ["First seen", "Endpoint", "Outcome", "Idempotency key"].map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, rows.map(row)))];
}

/** The lists, which are asked for again and again while they are shown. */
class ListView {
  constructor() {
    shown += 1;
    this.number = shown;
    this.endpoint = this.choice("endpoint", "Endpoint");
    this.outcome = this.choice("outcome", "Outcome");
    this.input = this.text();
    this.lists = element("div", { "aria-busy": "true" }, element("p", { class: "quiet" }, "Reading the operations."));
    place.replaceChildren(element("div", { class: "call" },
      element("h1", { tabindex: "-1" }, "Operations"),
      element("div", { class: "filters" }, this.endpoint.node, this.outcome.node, this.input.node),
      this.lists));
    this.last = "";
    this.again();
  }

  choice(id, label) {
    const select = element("select", { id, onchange: () => { this.filter(); } }, element("option", { value: "" }, "all"));
    const node = element("div", { class: "field" }, element("label", { for: id }, element("span", { class: "name" }, label)), select);
    return { node, select };
  }

  /** The filter by input, which is shown where the audit is on. */
  text() {
    const box = element("input", { id: "input", type: "text", autocomplete: "off", spellcheck: "false", placeholder: "order_id=1004", "aria-describedby": "input-hint", onchange: () => { this.filter(); } });
    const hint = element("p", { class: "hint", id: "input-hint" });
    const node = element("div", { class: "field", hidden: true }, element("label", { for: "input" }, element("span", { class: "name" }, "Input")), box, hint);
    return { node, box, hint };
  }

  /** Puts the names into a choice once. */
  offer({ select }, names) {
    if (select.options.length === 1) select.append(...names.map((name) => element("option", { value: name }, name)));
  }

  filter() {
    this.last = "";
    clearTimeout(this.timer);
    this.again();
  }

  query() {
    const input = this.input.box.value.trim();
    return String(new URLSearchParams({ endpoint: this.endpoint.select.value, outcome: this.outcome.select.value, input }));
  }

  async again() {
    const query = this.query();
    try {
      const listing = await ask(`operations?${query}`);
      if (shown !== this.number) return;
      if (query === this.query()) this.show(listing);
      trouble();
    } catch (error) {
      if (shown !== this.number) return;
      failed(error);
      if (error.status === 401) return;
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (shown === this.number) this.again();
    }, document.visibilityState === "visible" ? PAUSE : 20 * PAUSE);
  }

  show(listing) {
    this.offer(this.endpoint, listing.endpoints);
    this.offer(this.outcome, listing.outcomes);
    this.input.node.hidden = !listing.has_audit;
    this.input.hint.textContent = `Among the newest ${listing.searched} rows of the audit.`;
    const text = JSON.stringify(listing);
    if (text === this.last) return;
    this.last = text;
    const focused = this.lists.contains(document.activeElement) ? document.activeElement.getAttribute("href") : undefined;
    const waiting = listing.waiting.all;
    if (this.waiting !== undefined && waiting > this.waiting) announce(`${waiting} ${waiting === 1 ? "operation waits" : "operations wait"} for a decision.`);
    this.waiting = waiting;
    this.lists.setAttribute("aria-busy", "false");
    this.lists.replaceChildren(
      element("section", {}, table("Waiting for a decision", listing.waiting, "Nothing waits for a decision.")),
      element("section", {}, table("Lately", listing.lately, `There are no such operations in ${listing.store}.`)),
      ...(listing.unreadable > 0
        ? [element("p", { class: "note" }, `${listing.unreadable} records cannot be read: the command “operations list” shows them.`)]
        : []));
    if (focused) this.lists.querySelector(`a[href="${focused}"]`)?.focus();
  }
}

async function route() {
  trouble();
  const id = location.hash.slice(2);
  if (!id) {
    document.title = "Operations";
    new ListView();
    place.querySelector("h1").focus();
    return;
  }
  shown += 1;
  const mine = shown;
  try {
    const operation = await ask(`operations/${encodeURIComponent(id)}`);
    if (mine !== shown) return;
    document.title = `${operation.endpoint || "Operation"} – Operations`;
    place.replaceChildren(...operationView(operation, kept.getItem("name"), { again: route, failed }));
    place.querySelector("h1").focus();
  } catch (error) {
    if (mine === shown) failed(error);
  }
}

function start() {
  const token = kept.getItem("token");
  if (!token || !kept.getItem("name")) {
    signInView();
    return;
  }
  useToken(token);
  document.getElementById("signed-in").textContent = `Signed in as ${kept.getItem("name")}`;
  document.getElementById("sign-out").hidden = false;
  route();
}

document.querySelector(".skip").addEventListener("click", (event) => {
  // The address names the view, so the link must not change the address. It only moves the focus.
  event.preventDefault();
  document.getElementById("main").focus();
});
document.getElementById("sign-out").addEventListener("click", () => {
  shown += 1;
  kept.removeItem("token");
  signInView();
});
addEventListener("hashchange", () => {
  if (kept.getItem("token")) route();
});
start();
