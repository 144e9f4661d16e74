// The page at work: which view is shown, and the calls that were made.

import { ask, element, trouble } from "./page.js";
import { checkView } from "./check.js";
import { EndpointView } from "./endpoint.js";
import { clockTime, isReplay, kindOfOutcome, methodTag, outcomeOf } from "./show.js";

const KEPT_CALLS = 50;
/** The address of the view that is no endpoint; no endpoint's name holds a hyphen. */
const CHECK = "check-a-signature";

const recent = [];
let endpoints = [];
/** A call that the next view is to show. */
let pending;

function remember(call) {
  recent.unshift(call);
  recent.length = Math.min(recent.length, KEPT_CALLS);
  document.getElementById("no-recent").hidden = true;
  document.getElementById("recent").replaceChildren(...recent.map((one) => {
    const outcome = isReplay(one.answer) ? `${one.answer.status} replayed` : outcomeOf(one.answer);
    return element("li", {}, element("button", { type: "button", class: "recent", onclick: () => open(one) },
      element("time", { datetime: one.at.toISOString() }, clockTime(one.at)), " ",
      element("span", { class: "recent-name" }, one.wanted.endpoint), " ",
      element("span", { class: `recent-outcome ${kindOfOutcome(one.answer)}` }, outcome)));
  }));
}

/** Goes to a call's endpoint and shows it there. */
function open(call) {
  const target = `#/${call.wanted.endpoint}`;
  pending = call;
  if (location.hash === target) route();
  else location.hash = target;
}

/** The name in the address, or else the first endpoint's, which then stands in the address. */
function named() {
  const name = location.hash.slice(2);
  if (name === CHECK || endpoints.some((endpoint) => endpoint.name === name)) return name;
  history.replaceState(null, "", `#/${endpoints[0].name}`);
  return endpoints[0].name;
}

/** Shows what the address names; a page just loaded is read from its top. */
function route({ loaded = false } = {}) {
  const name = named();
  trouble();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const place = document.getElementById("view");
  const endpoint = endpoints.find((one) => one.name === name);
  document.title = `${endpoint?.name ?? "Check a signature"} – Operator console`;
  if (endpoint) {
    const view = new EndpointView(endpoint, remember);
    place.replaceChildren(...view.nodes);
    if (pending) view.reopen(pending);
    else view.preview();
  } else {
    place.replaceChildren(...checkView());
  }
  pending = undefined;
  // With the keyboard, one goes on from the heading, unless a mistake has the focus.
  if (!loaded && !place.contains(document.activeElement)) place.querySelector("h1").focus();
}

async function start() {
  document.querySelector(".skip").addEventListener("click", (event) => {
    // The address names what is shown, so the link moves the focus only.
    event.preventDefault();
    document.getElementById("main").focus();
  });
  try {
    endpoints = await ask("endpoints");
  } catch (error) {
    trouble(error.message);
    return;
  }
  document.getElementById("endpoints").append(...endpoints.map((endpoint) => element("li", {},
    element("a", { href: `#/${endpoint.name}` }, methodTag(endpoint), " ", element("span", {}, endpoint.name)))));
  document.getElementById("signed-as").textContent = `Signs for ${new URL(endpoints[0].url).origin}, on this machine only`;
  addEventListener("hashchange", () => route());
  route({ loaded: true });
}

start();
