// Starts the page, chooses the view to show, and keeps the list of recent calls.

import { ask, element, trouble } from "./page.js";
import { checkView } from "./check.js";
import { EndpointView } from "./endpoint.js";
import { clockTime, isReplay, kindOfOutcome, methodTag, outcomeOf } from "./show.js";

const KEPT_CALLS = 50;
/** The address of the view that checks a signature. It cannot equal an endpoint's name, because names contain no hyphen. */
const CHECK = "check-a-signature";

const recent = [];
let endpoints = [];
/** The call that the next view shows. */
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

/** Opens the view of a call's endpoint and shows the call there. */
function open(call) {
  const target = `#/${call.wanted.endpoint}`;
  pending = call;
  if (location.hash === target) route();
  else location.hash = target;
}

/** The view's name in the address. If it is missing or unknown, the first endpoint's name is put into the address. */
function named() {
  const name = location.hash.slice(2);
  if (name === CHECK || endpoints.some((endpoint) => endpoint.name === name)) return name;
  history.replaceState(null, "", `#/${endpoints[0].name}`);
  return endpoints[0].name;
}

/** Shows the view that the address names. `loaded` means that the page was just loaded, so the focus stays at the top. */
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
  // Keyboard users continue from the heading, unless a field with a mistake has the focus.
  if (!loaded && !place.contains(document.activeElement)) place.querySelector("h1").focus();
}

async function start() {
  document.querySelector(".skip").addEventListener("click", (event) => {
    // The address names the view, so the link must not change the address. It only moves the focus.
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
  document.getElementById("signed-as").textContent = `Signs calls for ${new URL(endpoints[0].url).origin}, on this machine only`;
  addEventListener("hashchange", () => route());
  route({ loaded: true });
}

start();
