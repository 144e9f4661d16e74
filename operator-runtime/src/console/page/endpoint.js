// The view of one endpoint: the form, the signed request, the call, and the answer.

import { announce, ask, canonical, element, kindOf, parse, trouble } from "./page.js";
import { objectField } from "./form.js";
import { answerParts, clockTime, code, curlOf, isReplay, methodTag, outcomeOf, requestParts } from "./show.js";

/** How long after the last keystroke the preview is signed again, in milliseconds. */
const REST = 150;

export class EndpointView {
  /** `remember` is called with each call that was made. */
  constructor(endpoint, remember) {
    this.endpoint = endpoint;
    this.remember = remember;
    this.isGet = endpoint.method === "GET";
    // The number of previews that were requested. Answers may arrive out of order, and only the last preview is shown.
    this.asked = 0;
    this.form = objectField(
      { schema: endpoint.inputs, root: endpoint.inputs, within: [], path: () => "", label: "", required: true }, endpoint.order);
    this.form.write(parse(endpoint.examples));
    this.json = element("textarea", { id: "json", class: "code", rows: "10", spellcheck: "false", "aria-describedby": "json-hint json-error" });
    this.jsonMistake = element("p", { class: "mistake", id: "json-error", hidden: true });
    this.jsonField = element("div", { class: "field", hidden: true },
      element("label", { for: "json" }, element("span", { class: "name" }, this.isGet ? "Parameters as JSON" : "Body")),
      element("p", { class: "hint", id: "json-hint" }, this.isGet ? "One object of names and values." : "Signed and sent byte for byte."),
      this.json, this.jsonMistake);
    this.key = element("input", { id: "key", type: "text", autocomplete: "off", spellcheck: "false", "aria-describedby": "key-hint" });
    this.renew();
    this.asJson = element("button", { type: "button", "aria-pressed": "false", onclick: () => this.toggle() }, "Edit as JSON");
    this.repeat = element("button", { type: "button", disabled: true, onclick: () => this.send(this.last.wanted) }, "Repeat with the same key");
    this.copy = element("button", { type: "button", class: "small", onclick: () => this.copyCurl() }, "Copy as curl");
    this.limits = element("ul", { class: "limits", "aria-label": "Limits", hidden: !endpoint.is_limited });
    this.requestTitle = element("p", { class: "note" });
    this.request = element("div");
    this.answer = element("div", {}, element("p", { class: "quiet" }, "No call yet."));
    this.nodes = [this.callPart(), this.outcomePart()];
  }

  callPart() {
    const { endpoint } = this;
    return element("div", { class: "call" },
      element("h1", { tabindex: "-1" }, endpoint.name),
      element("p", { class: "address" }, methodTag(endpoint), " ", element("code", {}, endpoint.url), " ", element("span", { class: "note" }, endpoint.effect)),
      endpoint.description.split(/\n\n+/).map((paragraph) => element("p", { class: "description" }, paragraph.replaceAll("\n", " "))),
      this.limits,
      this.formElement(),
      element("details", {}, element("summary", {}, "Schemas and source"),
        element("p", { class: "note" }, endpoint.source),
        element("h3", {}, "Inputs"), code("Schema of the inputs", JSON.stringify(endpoint.inputs, null, 2)),
        element("h3", {}, "Outputs"), code("Schema of the outputs", JSON.stringify(endpoint.outputs, null, 2))));
  }

  formElement() {
    const soon = () => this.previewSoon();
    const submit = (event) => { event.preventDefault(); this.send(); };
    const keydown = (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
    };
    return element("form", { novalidate: true, oninput: soon, onchange: soon, onsubmit: submit, onkeydown: keydown },
      Object.keys(this.endpoint.inputs.properties ?? {}).length === 0 && element("p", { class: "quiet" }, "This endpoint has no inputs."),
      this.form.node, this.jsonField,
      element("div", { class: "field key" },
        element("label", { for: "key" }, element("span", { class: "name" }, "Idempotency key")),
        element("p", { class: "hint", id: "key-hint" }, "A new key for each call. Type the key of an earlier call to see the answer to a retry, or to another request with the same key."),
        this.key),
      element("div", { class: "actions" }, element("button", { type: "submit", class: "primary" }, "Send"), this.repeat, this.asJson));
  }

  outcomePart() {
    return element("div", { class: "outcome" },
      element("section", { "aria-labelledby": "answer-title" }, element("h2", { id: "answer-title" }, "Answer"), this.answer),
      element("section", { "aria-labelledby": "request-title" },
        element("div", { class: "title-row" }, element("h2", { id: "request-title" }, "Request"), this.copy),
        this.requestTitle, this.request));
  }

  isJson() {
    return !this.jsonField.hidden;
  }

  inputs() {
    if (this.isJson()) return this.json.value;
    const text = this.form.read();
    return this.isGet ? JSON.stringify(asTexts(parsed(text))) : text;
  }

  wanted() {
    return { endpoint: this.endpoint.name, idempotency_key: this.key.value, inputs: this.inputs() };
  }

  show(signed, title) {
    this.shown = signed;
    this.requestTitle.textContent = title;
    this.request.replaceChildren(...requestParts(signed));
  }

  /** Shows the request as it would be signed now. */
  async preview() {
    this.asked += 1;
    const mine = this.asked;
    try {
      const signed = await ask("preview", this.wanted());
      if (mine !== this.asked) return;
      this.showLimits();
      this.show(signed, "Preview of the form as it is now. When you send the request, it is signed again with the time of sending.");
      trouble();
    } catch (error) {
      if (mine === this.asked) trouble(error.message);
    }
  }

  /** Shows how much of the endpoint's limits is used for the inputs in the form. */
  async showLimits() {
    if (!this.endpoint.is_limited) return;
    this.limitsAsked = (this.limitsAsked ?? 0) + 1;
    const mine = this.limitsAsked;
    try {
      const uses = await ask("limits", this.wanted());
      if (mine === this.limitsAsked) this.limits.replaceChildren(...uses.map(limitUse));
    } catch (error) {
      trouble(error.message);
    }
  }

  previewSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.preview(), REST);
  }

  /** Calls the endpoint with the form's inputs, or repeats the call `before`. */
  async send(before) {
    trouble();
    announce("Calling.");
    const call = { repeats: before !== undefined, at: new Date() };
    try {
      call.wanted = before ?? this.wanted();
      Object.assign(call, await ask("call", call.wanted));
    } catch (error) {
      trouble(error.message);
      return;
    }
    if (!call.repeats) this.renew();
    this.remember(call);
    this.display(call);
    announce(`${outcomeOf(call.answer)}${isReplay(call.answer) ? ", replayed: the endpoint did not run again" : ""}.`);
  }

  display(call) {
    this.last = call;
    // This discards previews that arrive later, because they would replace the request that was sent.
    this.asked += 1;
    clearTimeout(this.timer);
    this.repeat.disabled = false;
    this.show(call.request, `As it was sent at ${clockTime(call.at)}.`);
    this.answer.replaceChildren(...answerParts(call.answer, call.repeats, this.endpoint.is_recorded));
    this.markMistakes(mistakesIn(call.answer));
    this.showLimits();
  }

  /** Shows each field's mistake at the field, and moves the focus to the first field with a mistake. */
  markMistakes(mistakes) {
    const fields = this.form.fields();
    for (const field of fields) field.mark(mistakes.get(field.path()));
    if (!this.isJson()) fields.find((field) => mistakes.has(field.path()))?.focus();
  }

  /** Shows an earlier call with its inputs, request and answer. */
  reopen(call) {
    const obstacle = this.fill(call.wanted.inputs);
    this.setJson(Boolean(obstacle));
    if (obstacle) this.json.value = call.wanted.inputs;
    this.display(call);
  }

  setJson(on) {
    this.complain();
    this.jsonField.hidden = !on;
    this.form.node.hidden = on;
    this.asJson.setAttribute("aria-pressed", String(on));
  }

  complain(sentence = "") {
    this.jsonMistake.textContent = sentence;
    this.jsonMistake.hidden = !sentence;
  }

  toggle() {
    if (this.isJson()) {
      const obstacle = this.fill(this.json.value);
      if (obstacle) this.complain(obstacle);
      else this.setJson(false);
    } else {
      try {
        this.json.value = spread(this.inputs());
        this.setJson(true);
      } catch (error) {
        trouble(error.message);
        return;
      }
    }
    this.previewSoon();
  }

  /** Puts inputs into the form. Returns a sentence if the form cannot show all of them, and otherwise an empty text. */
  fill(text) {
    let value;
    try {
      value = parse(text);
    } catch (error) {
      return `The text is not valid JSON, so the form cannot show it: ${error.message}.`;
    }
    this.form.write(value);
    const same = this.isGet ? (one) => canonical(asTexts(one)) : canonical;
    try {
      if (same(parse(this.form.read())) === same(value)) return "";
    } catch {
      // A JSON field of the form does not contain JSON, so the form cannot show the inputs.
    }
    return "The form cannot show all of these inputs: edit them as JSON.";
  }

  /** Makes the next call a new operation, unless the person types an earlier key, or an earlier id of an event. */
  renew() {
    const unique = crypto.randomUUID();
    this.key.value = `console-${unique}`;
    if (this.endpoint.is_event) this.form.fields().find((field) => field.path() === "id")?.write(`ev_${unique}`);
  }

  async copyCurl() {
    try {
      await navigator.clipboard.writeText(curlOf(this.shown));
      announce("Copied.");
    } catch {
      trouble("The browser does not let this page write to the clipboard: select the request and copy it.");
    }
  }
}

/** One limit: its rule, and how much of it is used. */
function limitUse({ limit, max, used, why }) {
  const rule = limit.charAt(0).toUpperCase() + limit.slice(1).replaceAll("`", "");
  if (why) return element("li", {}, `${rule}. `, element("span", { class: "note" }, why.replaceAll("`", "")));
  const state = `${used} used, ${Math.max(0, max - used)} left`;
  return element("li", {}, `${rule}: `, element("strong", {}, state), " ", element("meter", { min: 0, max, value: Math.min(used, max), "aria-label": state }));
}

/** The mistakes in a problem document (RFC 9457), by input. */
function mistakesIn(answer) {
  if (answer.status !== 400) return new Map();
  try {
    return new Map((JSON.parse(answer.body).errors ?? []).map(({ input, detail }) => [input, detail]));
  } catch {
    return new Map();
  }
}

/** Parses the form's JSON. Throws an error with a sentence if a JSON field does not contain JSON. */
function parsed(text) {
  try {
    return parse(text);
  } catch (error) {
    throw new Error(`A field marked (JSON) does not contain valid JSON, so the request cannot be signed: ${error.message}.`);
  }
}

/** A GET's inputs, each as a string. */
function asTexts(object) {
  if (kindOf(object) !== "object") return object;
  const text = (value) => (kindOf(value) === "string" ? value : JSON.stringify(value));
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, text(value)]));
}

/** JSON on several lines, for editing. Text that is not JSON is returned unchanged. */
function spread(text) {
  try {
    return JSON.stringify(parse(text), null, 2);
  } catch {
    return text;
  }
}
