/** The audit trail, page by page, the newest records first; and whether its chain holds. Read only. */

import { make, say } from "./element.js";
import { counted, percent, short, utc } from "./format.js";

const PAGE_RECORDS = 50;
const NEWEST = Number.MAX_SAFE_INTEGER;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * @param {import("./session.js").Session} session
 * @param {HTMLElement} place
 */
export function showTrail({ api }, place) {
  const part = (/** @type {string} */ id) => /** @type {any} */ (place.querySelector(`#${id}`));
  let request = "";
  /** @type {"before" | "after"} */
  let way = "before";
  /** Where the pages before this one began, and this one. */
  let starts = [NEWEST];
  /** @type {number | null} */
  let next = null;
  let loads = 0;

  const load = async () => {
    const own = (loads += 1);
    const start = /** @type {number} */ (starts.at(-1));
    say(part("trail-error"), null);
    try {
      const query = { [way]: start, limit: PAGE_RECORDS, ...(request && { request_id: request }) };
      const { records, ...following } = await api.get("audit", query);
      if (own !== loads) return; // a later question is under way
      next = records.length ? following[`next_${way}`] : null;
      part("trail-rows").replaceChildren(...records.map((/** @type {import("./types.js").AuditRecord} */ one) => makeRow(one, showRequest)));
      const which = records.length ? `: ${records[0].seq} to ${records.at(-1).seq}` : "";
      part("trail-caption").textContent = `${counted(records.length, "record")}${which}${request ? " of one request" : ""}`;
    } catch (problem) {
      say(part("trail-error"), /** @type {Error} */ (problem).message);
    }
    part("trail-back").disabled = starts.length < 2;
    part("trail-next").disabled = next === null;
  };
  const begin = (/** @type {SubmitEvent | Event | null} */ event = null) => {
    event?.preventDefault();
    request = part("trail-request").value.trim();
    const after = part("trail-after").value.trim();
    // what happened to one request is read from its beginning
    way = after || request ? "after" : "before";
    starts = [way === "before" ? NEWEST : Math.max(0, Math.trunc(Number(after)) || 0)];
    void load();
  };
  const showRequest = (/** @type {string} */ id) => {
    part("trail-request").value = id;
    part("trail-after").value = "";
    begin();
    part("trail-request").focus();
  };
  part("trail-filter").addEventListener("submit", begin);
  part("trail-filter").addEventListener("reset", () => window.setTimeout(begin));
  part("trail-next").addEventListener("click", () => {
    starts.push(/** @type {number} */ (next));
    void load();
  });
  part("trail-back").addEventListener("click", () => {
    starts.pop();
    void load();
  });
  part("verify").addEventListener("click", () => void verify(api, part("verify"), part("verdict")));
  place.addEventListener("detail", (/** @type {any} */ { detail: id }) => UUID.test(id) && showRequest(id));
  void load();
}

/**
 * @param {import("./api.js").Api} api
 * @param {HTMLButtonElement} button
 * @param {HTMLElement} verdict
 */
async function verify(api, button, verdict) {
  button.disabled = true;
  verdict.className = "";
  verdict.textContent = "Reading every record …";
  try {
    const { ok, records, first_bad: firstBad, reason } = await api.get("audit/verify");
    verdict.className = ok ? "holds" : "broken";
    verdict.textContent = ok
      ? `✓ The chain holds over ${counted(records, "record")}.`
      : `✗ The chain is broken${firstBad === null ? "" : ` at record ${firstBad}`}: ${reason}`;
  } catch (problem) {
    verdict.className = "broken";
    verdict.textContent = `The chain could not be read. ${/** @type {Error} */ (problem).message}`;
  } finally {
    button.disabled = false;
  }
}

/**
 * @param {import("./types.js").AuditRecord} record
 * @param {(id: string) => void} onRequest
 */
function makeRow(record, onRequest) {
  const id = record.request_id;
  const filter = make("button", { type: "button", class: "link mono", text: id, "aria-label": `Show request ${id} only`, click: () => onRequest(id) });
  const model = record.model_version ? make("span", { class: "under mono", text: record.model_version }) : null;
  const cell = (/** @type {string} */ text, /** @type {string | null} */ kind = null) => make("td", { class: kind, text });
  const hasNumber = record.confidence !== null && record.confidence !== undefined;
  const hasTime = record.inference_time_ms !== null && record.inference_time_ms !== undefined;
  return make(
    "tr",
    {},
    make("th", { scope: "row", class: "number", text: record.seq }),
    make("td", {}, utc(record.timestamp), filter),
    cell(record.kind),
    cell(record.endpoint, "mono"),
    cell([record.status || "", record.code].filter(Boolean).join(" "), "number"),
    make("td", { class: "mono" }, record.user_id ?? "none", make("span", { class: "under", text: record.ip_address ?? "none" })),
    make("td", {}, record.prediction ?? "", model),
    cell(hasNumber ? percent(record.confidence) : "", "number"),
    cell(hasTime ? short(record.inference_time_ms) : "", "number"),
  );
}
