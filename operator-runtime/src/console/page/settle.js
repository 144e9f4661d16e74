// One operation of the admin page: what is known about it, and what a person says about it.

import { announce, ask, element, freshId } from "./page.js";
import { fieldOf } from "./form.js";
import { code, prettyJson } from "./show.js";

/** The nodes of the view. `name` is the person's; `after.again()` shows the operation again, and `after.failed(error)` an error. */
export function operationView(operation, name, after) {
  const facts = [
    ["Operation", operation.operation],
    ["Endpoint", [operation.endpoint, operation.effect].filter(Boolean).join(", ") || "not recorded"],
    ["Outcome", operation.needs_a_person ? `${operation.outcome}: it may have taken effect, and only a person can find out` : operation.outcome],
    ["Tenant", operation.tenant],
    ["Idempotency key", operation.idempotency_key],
    ["Attempts", String(operation.attempt)],
    ["First seen", operation.first_seen],
    ["Last written", operation.last_written],
    operation.settled_by && ["Settled", `by ${operation.settled_by} at ${operation.settled_at}`],
  ].filter(Boolean);
  const answer = operation.answer;
  return [element("div", { class: "call" },
    element("p", {}, element("a", { href: "#/" }, "All operations")),
    element("h1", { tabindex: "-1" }, operation.endpoint || "Operation"),
    operation.description.split(/\n\n+/).filter(Boolean).slice(0, 1).map((text) => element("p", { class: "description" }, text.replaceAll("\n", " "))),
    element("dl", { class: "headers facts" }, facts.map(([term, text]) => element("div", {},
      element("dt", {}, term), element("dd", {}, text)))),
    inputsOf(operation)),
  element("div", { class: "outcome" },
    answer !== null && element("section", {}, element("h2", {}, "Answer"),
      element("p", { class: "note" }, `${answer.status} ${answer.content_type}`), code("Answer's body", prettyJson(answer.body))),
    operation.needs_a_person
      ? new Decision(operation, name, after).node
      : element("p", { class: "quiet" }, operation.nothing_to_settle ? `Nothing to decide: ${operation.nothing_to_settle}.` : ""),
    operation.may_free_again && freeAgain(operation, name, after))];
}

/** Frees what the operation has reserved of limits, in case that failed when it was settled. */
function freeAgain(operation, name, after) {
  return element("section", {},
    element("p", { class: "description" }, "If the store failed when this was recorded, the operation's part of the limits still counts. Freeing it again does no harm."),
    element("div", { class: "actions" },
      element("button", { type: "button", onclick: () => settle(operation, name, after) }, "Free its part of the limits again")));
}

/** Records what became of an operation: done with this answer, or not done without one. */
async function settle(operation, name, after, answer, complain = after.failed) {
  try {
    const { sentence } = await ask("settle", { operation: operation.operation, answer, by: name });
    await after.again();
    announce(sentence);
  } catch (error) {
    if (error.status === 409 && answer !== undefined) complain(error);
    else after.failed(error);
  }
}

function inputsOf(operation) {
  const title = element("h2", {}, "Inputs");
  if (!operation.has_audit) {
    return [title, element("p", { class: "quiet" }, "Inputs are kept only in the audit: set OPERATOR_AUDIT, for example to 90d, to see them here.")];
  }
  if (operation.inputs === null) {
    const why = operation.outcome === "lost"
      ? "its server stopped before it wrote them, and no retry has noticed that. The system that the endpoint changes may know the idempotency key."
      : "it has not ended, it was lost and settled before a retry noticed that, or it ended before the audit was turned on.";
    return [title, element("p", { class: "quiet" }, `The audit has no inputs of this operation: ${why}`)];
  }
  return [title, code("Inputs", prettyJson(operation.inputs))];
}

/** The choice between "It was done" and "It was not done". */
class Decision {
  constructor(operation, name, after) {
    Object.assign(this, { operation, name, after });
    const schema = operation.outputs;
    this.field = schema && fieldOf(schema, { root: schema, within: [], path: () => "answer", label: "Answer", required: true });
    this.mistake = element("p", { class: "mistake", role: "alert", hidden: true });
    this.form = element("form", { hidden: true, novalidate: true, onsubmit: (event) => { event.preventDefault(); this.offerDone(); } },
      element("p", { class: "description" }, "Retries of the agent get this answer. Write what the endpoint would have answered."),
      this.field?.node, this.mistake,
      element("div", { class: "actions" }, element("button", { type: "submit", class: "primary" }, "Record that it was done")));
    const done = element("button", { type: "button", "aria-expanded": "false", onclick: () => {
      this.form.hidden = !this.form.hidden;
      done.setAttribute("aria-expanded", String(!this.form.hidden));
    } }, "It was done");
    const notDone = element("button", { type: "button", onclick: () => this.confirm(
      "It was not done", "A retry of the agent runs the operation again.", undefined) }, "It was not done");
    this.dialog = element("dialog", { "aria-labelledby": "confirm-title" });
    this.node = element("section", { "aria-labelledby": "decision-title" },
      element("h2", { id: "decision-title" }, "What became of it?"),
      element("p", { class: "description" }, "Check in the system that the endpoint changes whether the operation was done; that system may know the idempotency key. Then say what you found."),
      element("div", { class: "actions" }, done, notDone),
      this.form, this.dialog);
  }

  complain(sentence = "") {
    this.mistake.textContent = sentence;
    this.mistake.hidden = !sentence;
  }

  offerDone() {
    this.complain();
    const answer = this.field?.read();
    if (answer === undefined) {
      this.complain("Write the answer that retries get.");
      return;
    }
    this.confirm("It was done", "Retries of the agent get the answer, and the operation does not run again.", answer);
  }

  /** Asks once more, because a settlement cannot be taken back. */
  confirm(title, consequence, answer) {
    const close = () => this.dialog.close();
    this.dialog.replaceChildren(
      element("h2", { id: "confirm-title" }, `${title}: record this?`),
      element("p", {}, `${this.operation.endpoint}, operation ${this.operation.operation.slice(0, 12)}. ${consequence} This cannot be undone.`),
      element("p", { class: "note" }, `It is recorded under the name ${this.name}.`),
      element("div", { class: "actions" },
        element("button", { type: "button", class: "primary", id: freshId("confirm"), onclick: () => { close(); settle(this.operation, this.name, this.after, answer, (error) => this.complain(error.message)); } }, `Yes, ${title.toLowerCase()}`),
        element("button", { type: "button", onclick: close }, "Cancel")));
    this.dialog.showModal();
  }
}
