/** What is known against the model that answers, and against the service, before any answer is read. */

import { readHealth } from "./api.js";
import { make } from "./element.js";
import { makeEvaluations } from "./evaluations.js";
import { counted } from "./format.js";

/**
 * @param {HTMLElement} place
 * @param {import("./session.js").Session} session
 */
export async function showBanners(place, { api }) {
  const [info, health] = await Promise.all([api.get("model/info").catch(() => null), readHealth()]);
  /** The reader may have folded the list. */
  const isOpen = place.querySelector("details")?.open ?? true;
  const banners = [];
  if (health?.lockdown) {
    banners.push(warn("The service is locked down: no film is answered until an administrator releases it."));
  }
  if (info?.fallback || health?.fallback) {
    const name = info ? ` (${info.name})` : "";
    const why = info?.reason ?? health?.reason;
    banners.push(warn(`The production model failed. The version before it${name} answers.${why ? ` Reason: ${why}.` : ""}`));
  }
  if (health?.status === "unavailable" && !health.lockdown) {
    banners.push(warn("The service cannot answer films at the moment."));
  }
  if (info?.known_failures?.length) banners.push(listFailures(info, isOpen));
  place.replaceChildren(...banners);
}

/** @param {string} sentence */
function warn(sentence) {
  return make("p", { class: "banner attend", role: "status", text: sentence });
}

/**
 * @param {import("./types.js").ModelInfo} info
 * @param {boolean} isOpen
 */
function listFailures(info, isOpen) {
  const summary = make(
    "summary",
    {},
    make("strong", { text: `This model is known to fail: ${counted(info.known_failures.length, "finding")}` }),
    make("span", { class: "model-name", text: info.name }),
  );
  const items = info.known_failures.map((text) => make("li", { text }));
  return make("details", { class: "banner attend failures", open: isOpen }, summary, make("ul", {}, ...items), makeEvaluations(info));
}
