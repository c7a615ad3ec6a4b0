/** Alerts: how urgent, since when, what the signal said; opening one shows what is behind it. */

import { announce, make, say } from "./element.js";
import { makeEvidence } from "./evidence.js";
import { utc } from "./format.js";
import { nameOf } from "./signals.js";

/** Who hears of it, and a shape of its own: report 9.4. */
const SEVERITIES = {
  page: ["▲ Page", "the engineer on call is told at once"],
  ticket: ["◆ Ticket", "for the team, in working hours"],
  security: ["■ Security", "the security officer is told as well"],
};

/**
 * @param {import("./types.js").Alert} alert
 * @param {import("./session.js").Session} session
 * @param {() => void} onChange
 * @returns {HTMLElement}
 */
export function makeAlert(alert, { api, identity }, onChange) {
  const id = `alert-${alert.id}`;
  const error = make("p", { class: "fault", role: "alert", hidden: true });
  const evidence = make("div", { id: `${id}-evidence`, hidden: true });
  const isOpen = alert.closed_at === null;
  const toggle = make("button", {
    type: "button",
    text: "Evidence",
    "aria-expanded": "false",
    "aria-controls": evidence.id,
    "aria-describedby": `${id}-title`,
    click: async () => {
      say(error, null);
      try {
        if (!evidence.hasChildNodes()) {
          evidence.replaceChildren(makeEvidence((await api.get(`monitoring/alerts/${alert.id}`)).evidence));
        }
        evidence.hidden = !evidence.hidden;
        toggle.setAttribute("aria-expanded", String(!evidence.hidden));
        toggle.textContent = evidence.hidden ? "Evidence" : "Hide the evidence";
      } catch (problem) {
        say(error, /** @type {Error} */ (problem).message);
      }
    },
  });
  const take = async () => {
    say(error, null);
    try {
      await api.call("POST", `monitoring/alerts/${alert.id}/acknowledge`);
      announce(`You take care of “${alert.title}”.`);
      onChange();
    } catch (problem) {
      say(error, /** @type {Error} */ (problem).message);
    }
  };
  const canTake = isOpen && alert.acknowledged_at === null && identity.role === "admin";
  return make(
    "li",
    { class: isOpen ? `alert is-${alert.severity}` : "alert is-ended" },
    make("h3", { id: `${id}-title` }, make("span", { class: "severity", text: SEVERITIES[alert.severity][0] }), ` ${alert.title}`),
    make("p", { text: `${capital(alert.sentence)}` }),
    make("p", { class: "hint", text: describeCourse(alert, identity.user_id) }),
    make(
      "p",
      { class: "actions" },
      toggle,
      canTake ? make("button", { type: "button", text: "Acknowledge", "aria-describedby": `${id}-title`, click: () => void take() }) : null,
    ),
    error,
    evidence,
  );
}

/**
 * @param {import("./types.js").Alert} alert
 * @param {string} user
 */
function describeCourse({ signal, severity, opened_at: opened, closed_at: closed, acknowledged_at: taken, acknowledged_by: by, runbook }, user) {
  const who = by === null ? "somebody" : by === user ? "you" : `key ${by}`;
  return [
    `${nameOf(signal)}.`,
    closed ? `From ${utc(opened)} to ${utc(closed)} UTC.` : `Open since ${utc(opened)} UTC; ${SEVERITIES[severity][1]}.`,
    taken ? `Taken by ${who}, ${utc(taken)} UTC.` : closed ? "" : "Nobody has taken it yet.",
    runbook ? `What to do: docs/runbooks/${runbook}` : "",
  ].filter(Boolean).join(" ");
}

/** @param {string} sentence */
function capital(sentence) {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
