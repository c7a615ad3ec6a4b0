/** The model in use, watched: open alerts, what the signals say together, and each signal over the days. */

import { makeAlert } from "./alerts.js";
import { describeCurve, makeCurve, makeDayTable } from "./curve.js";
import { makeHistogram, makeReliability } from "./diagrams.js";
import { announce, keepFocus, make, say } from "./element.js";
import { listDetail, makeFactList } from "./evidence.js";
import { counted, utc } from "./format.js";
import { makeWeeks } from "./reliability.js";
import { describeBasis, describeState, nameOf, writeLimit, writeValue, writeWindow } from "./signals.js";

const DAYS_SHOWN = 90;
const SMALL = { width: 200, height: 40 };
const LARGE = { width: 680, height: 190, isLarge: true };
const LEAST_SPAN_DAYS = 13; // of an axis: two weeks
const DAY_MS = 86_400_000;

/** The categories of report Table 22, each with its question. */
const GROUPS = {
  drift: ["Drift", "Are the films, and what the network makes of them, as they were?"],
  performance: ["Performance", "Are answers still right?"],
  calibration: ["Calibration", "Do probabilities mean what they say?"],
  operation: ["Operation", "Does the service do its work?"],
};

/** @typedef {{curves: Record<string, import("./types.js").Point[]>, days: import("./curve.js").Days}} History */

/**
 * @param {import("./session.js").Session} session
 * @param {HTMLElement} place
 */
export function showMonitoring(session, place) {
  const { api } = session;
  const part = (/** @type {string} */ id) => /** @type {any} */ (place.querySelector(`#${id}`));
  /** Signals whose details are open, by name: they stay open when the page is read again. */
  const unfolded = new Set();

  const load = async () => {
    say(part("monitoring-error"), null);
    part("monitoring-again").disabled = true;
    try {
      const now = await api.get("monitoring");
      const [past, all, kept] = await Promise.all([
        api.get("monitoring/curves", { days: DAYS_SHOWN }),
        api.get("monitoring/alerts"),
        api.get("monitoring/reliability"),
      ]);
      showLook(now);
      const ended = all.filter((/** @type {import("./types.js").Alert} */ alert) => alert.closed_at !== null);
      showAlerts(now.alerts, ended);
      const history = { curves: past.curves, days: findDays(past) };
      const groups = Object.entries(GROUPS).map(([id, words]) => makeGroup(id, words, now.signals, history, unfolded));
      part("monitoring-groups").replaceChildren(...groups);
      part("monitoring-groups").querySelector('[aria-labelledby="group-calibration"]').append(makeWeeks(kept.weeks));
    } catch (problem) {
      const { message, fix } = /** @type {import("./api.js").Problem} */ (problem);
      say(part("monitoring-error"), fix ? `${message} ${fix}` : message);
    } finally {
      part("monitoring-again").disabled = false;
      keepFocus(place);
    }
  };
  const showLook = (/** @type {any} */ now) => {
    const against = now.reference === null ? "nothing, so drift is not judged" : now.reference;
    part("monitoring-look").replaceChildren(
      makeFactList([
        ["Model", make("span", { class: "mono", text: now.model_version })],
        ["Held against", against],
        ["Looked last (UTC)", utc(now.at)],
      ]),
    );
    part("conclusions").replaceChildren(...now.conclusions.map((/** @type {string} */ text) => make("li", { text })));
    part("conclusions-block").hidden = now.conclusions.length === 0;
  };
  const showAlerts = (/** @type {import("./types.js").Alert[]} */ open, /** @type {import("./types.js").Alert[]} */ ended) => {
    const again = () => void load();
    part("alerts").replaceChildren(...open.map((alert) => makeAlert(alert, session, again)));
    part("alerts").hidden = open.length === 0;
    say(part("no-alerts"), open.length ? null : "● None: no signal is beyond its limit by more than chance explains.");
    part("ended").replaceChildren(...ended.map((alert) => makeAlert(alert, session, again)));
    part("ended-block").hidden = ended.length === 0;
    part("ended-count").textContent = `Ended: ${counted(ended.length, "alert")}`;
    announce(open.length ? `${counted(open.length, "open alert")}.` : "No open alert.");
  };
  part("monitoring-again").addEventListener("click", () => void load());
  void load();
}

/**
 * The days that every curve is drawn over: from the first that was kept, two weeks at least.
 *
 * @param {{until: string, curves: Record<string, import("./types.js").Point[]>}} past
 */
function findDays({ until, curves }) {
  const least = new Date(Date.parse(until) - LEAST_SPAN_DAYS * DAY_MS).toISOString().slice(0, 10);
  const first = Object.values(curves).reduce((known, [point]) => (point && point.day < known ? point.day : known), least);
  return { first, last: until };
}

/**
 * @param {string} id
 * @param {string[]} words
 * @param {import("./types.js").Signal[]} signals  of all groups
 * @param {History} history
 * @param {Set<string>} unfolded
 */
function makeGroup(id, [title, question], signals, history, unfolded) {
  const own = signals.filter((signal) => signal.group === id);
  const head = ["Signal", "State", "Value and limit", "Rests on", `${history.days.first} to ${history.days.last}`, "Details"];
  const rows = own.flatMap((signal) => makeRows(signal, history, unfolded));
  return make(
    "section",
    { "aria-labelledby": `group-${id}` },
    make("h2", { id: `group-${id}`, text: title }),
    make("p", { class: "lead", text: question }),
    make(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": `group-${id}` },
      make(
        "table",
        { class: "signals" },
        make("caption", { class: "unseen", text: `${title}: ${counted(own.length, "signal")}` }),
        make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col", text })))),
        make("tbody", {}, ...rows),
      ),
    ),
    makeReliability(own.find((signal) => signal.name === "ece")?.detail.bins),
  );
}

/**
 * The row of a signal, and the one that opens below it.
 *
 * @param {import("./types.js").Signal} signal
 * @param {History} history
 * @param {Set<string>} unfolded
 */
function makeRows(signal, { curves, days }, unfolded) {
  const points = curves[signal.name] ?? [];
  const id = `signal-${signal.name.replace(/\W/g, "-")}`;
  const cell = make("td", { colspan: "6" });
  const more = make("tr", { id, class: "more", hidden: true }, cell);
  const toggle = make("button", { type: "button", class: "small", "aria-controls": id, "aria-label": `Details of ${nameOf(signal.name)}` });
  const fold = (/** @type {boolean} */ isOpen) => {
    if (isOpen && !cell.hasChildNodes()) cell.append(makeDetails(signal, points, days));
    more.hidden = !isOpen;
    toggle.setAttribute("aria-expanded", String(isOpen));
    toggle.textContent = isOpen ? "Less" : "More";
    if (isOpen) unfolded.add(signal.name);
    else unfolded.delete(signal.name);
  };
  toggle.addEventListener("click", () => fold(more.hidden));
  fold(unfolded.has(signal.name));
  const row = make(
    "tr",
    { class: `is-${signal.state}` },
    make("th", { scope: "row", text: nameOf(signal.name) }),
    make("td", { class: "state", text: describeState(signal) }),
    make("td", {}, writeValue(signal), make("span", { class: "under", text: writeLimit(signal) })),
    make("td", { text: describeBasis(signal) }),
    make("td", {}, makeCurve(signal, points, days, SMALL) ?? make("span", { class: "under", text: "no day judged yet" })),
    make("td", {}, toggle),
  );
  return [row, more];
}

/**
 * @param {import("./types.js").Signal} signal
 * @param {import("./types.js").Point[]} points
 * @param {import("./curve.js").Days} days
 */
function makeDetails(signal, points, days) {
  const curve = makeCurve(signal, points, days, LARGE);
  const key = "Line: the value at the end of each day. Band: its interval. Dashed: the limit. Diamonds: days beyond it. Gaps: days that were not judged.";
  const window = writeWindow(signal.since, signal.until);
  const facts = [...(window ? [/** @type {[string, string]} */ (["Window", window])] : []), ...listDetail(signal.detail)];
  return make(
    "div",
    { class: "evidence" },
    make("p", { class: "says", text: signal.sentence.charAt(0).toUpperCase() + signal.sentence.slice(1) }),
    curve ? make("figure", { class: "diagram" }, make("figcaption", { text: key }), curve, make("p", { class: "hint", text: describeCurve(signal, points) }), makeDayTable(signal, points)) : null,
    makeHistogram(signal.detail),
    facts.length ? makeFactList(facts) : null,
  );
}
