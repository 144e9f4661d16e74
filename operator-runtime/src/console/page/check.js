// The view "Check a signature": finds out which part of a pasted request does not match its signature.

import { announce, ask, element, trouble } from "./page.js";

const STATES = { same: "as expected", differs: "differs", unknown: "unknown" };
const VERDICTS = { holds: "Valid", differs: "Differs", unknown: "Unknown", refused: "Refused" };
const KINDS = { holds: "good", differs: "refused", unknown: "refused", refused: "failed" };

/** The view's heading and content. */
export function checkView() {
  const answer = element("div", {});
  const request = element("textarea", { id: "pasted-request", class: "code", rows: "10", spellcheck: "false", "aria-describedby": "pasted-request-hint" });
  const payload = element("textarea", { id: "pasted-payload", class: "code", rows: "4", spellcheck: "false", "aria-describedby": "pasted-payload-hint" });
  const check = async (event) => {
    event.preventDefault();
    trouble();
    try {
      const found = await ask("compare", { request: request.value, payload: payload.value });
      answer.replaceChildren(...findings(found));
      announce(`${VERDICTS[found.verdict]}. ${found.summary}`);
    } catch (error) {
      trouble(error.message);
    }
  };
  const form = element("form", { novalidate: true, onsubmit: check },
    element("label", { for: "pasted-request" }, element("span", { class: "name" }, "The request")),
    element("p", { class: "hint", id: "pasted-request-hint" }, "A curl command, or the request as it was sent: first line, headers, an empty line, body. The request stays on this machine, and no endpoint is called."),
    request,
    element("label", { for: "pasted-payload" }, element("span", { class: "name" }, "The payload that was signed"), " ", element("span", { class: "need" }, "optional")),
    element("p", { class: "hint", id: "pasted-payload-hint" }, "Have the caller print the text that it passes to HMAC. With that text, the console knows for certain which part differs; a signature alone does not reveal what was signed."),
    payload,
    element("div", { class: "actions" }, element("button", { type: "submit", class: "primary" }, "Check")));
  return [
    element("div", { class: "call" },
      element("h1", { tabindex: "-1" }, "Check a signature"),
      element("p", { class: "description" }, "For a caller that gets 401: paste the request that it sends, and see which of the signed parts differs from what this server signs."),
      form),
    element("section", { class: "outcome", "aria-label": "Finding" }, answer),
  ];
}

function findings({ verdict, summary, stale, parts }) {
  const cell = (row) => (row.signed === null ? element("span", { class: "note" }, "unknown") : element("code", {}, row.signed));
  const rows = parts.map((row) => element("tr", { class: `row-${row.state}` },
    element("th", { scope: "row" }, row.part),
    element("td", {}, STATES[row.state]),
    element("td", {}, row.state === "same" ? element("code", {}, row.expected) : element("dl", { class: "both" },
      element("div", {}, element("dt", {}, "signed"), element("dd", {}, cell(row))),
      element("div", {}, element("dt", {}, "expected"), element("dd", {}, element("code", {}, row.expected)))))));
  return [
    element("p", { class: "verdict" }, element("strong", { class: `badge ${KINDS[verdict]}` }, VERDICTS[verdict])),
    element("p", { class: "remark" }, summary),
    stale ? element("p", { class: "remark" }, stale) : "",
    rows.length > 0 ? element("table", {},
      element("caption", { class: "visually-hidden" }, "Part by part"),
      element("thead", {}, element("tr", {}, ["Part", "Finding", "Text"].map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, rows)) : "",
  ];
}
