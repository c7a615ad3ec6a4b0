/**
 * The page: who is logged in, which view is shown. A view is a function that fills its template and returns a
 * function that leaves it.
 */

import { showBanners } from "./banners.js";
import { announce, find, make } from "./element.js";
import { showFilms } from "./films.js";
import { showKeys } from "./keys.js";
import { showLockdown } from "./lockdown.js";
import { showLogin } from "./login.js";
import { showMonitoring } from "./monitoring.js";
import { showReview } from "./review.js";
import { forgetKey, openSession, restoreKey } from "./session.js";
import { startTheme } from "./theme.js";
import { showTrail } from "./trail.js";
import { showVersions } from "./versions.js";

/** In the order of the navigation: what a role may not do has no entry and no view. */
const VIEWS = [
  { id: "films", name: "Films", roles: ["clinician", "admin"], show: showFilms },
  { id: "review", name: "Review", roles: ["clinician", "admin"], show: showReview },
  { id: "trail", name: "Audit trail", roles: ["auditor", "admin"], show: showTrail },
  { id: "monitoring", name: "Monitoring", roles: ["auditor", "admin"], show: showMonitoring },
  { id: "versions", name: "Model versions", roles: ["admin"], show: showVersions },
  { id: "keys", name: "Keys", roles: ["admin"], show: showKeys },
  { id: "lockdown", name: "Lockdown", roles: ["admin"], show: showLockdown },
];

/** @type {import("./session.js").Session | null} */
let session = null;
/** Views that were opened, by id: they stay as they are while another is shown. */
const opened = new Map();
/** The view that is shown, by id. */
let current = "";

/** @param {string | null} sentence  why the session ended, or null */
function endSession(sentence) {
  session?.api.close();
  session = null;
  forgetKey();
  for (const view of opened.values()) view.leave?.();
  opened.clear();
  current = "";
  if (find("dialog").open) find("dialog").close();
  announce("");
  announce("", { urgent: true });
  find("views").replaceChildren();
  find("banners").replaceChildren();
  for (const id of ["views", "who", "log-out"]) find(id).hidden = true;
  history.replaceState(null, "", location.pathname);
  showLogin(find("main"), { sentence, onKey: logIn });
}

/**
 * @param {string} key
 * @param {boolean} keep
 */
async function logIn(key, keep) {
  session = await openSession(key, {
    keep,
    onEnd: () => {
      if (session) endSession("Your session ended: the service no longer accepts the key. It expired or was revoked.");
    },
  });
  enter(session);
}

/** @param {import("./session.js").Session} entered */
function enter(entered) {
  const { role, label, user_id: user } = entered.identity;
  const allowed = VIEWS.filter((view) => view.roles.includes(role));
  const links = allowed.map((view) => make("a", { href: `#${view.id}`, text: view.name }));
  find("views").replaceChildren(...(links.length > 1 ? links : []));
  find("who").replaceChildren(label || user, " ", make("span", { class: "role", text: role }));
  find("views").hidden = allowed.length < 2;
  find("who").hidden = false;
  find("log-out").hidden = false;
  entered.refresh = () => showBanners(find("banners"), entered);
  void entered.refresh();
  announce(`Logged in as ${role}.`);
  showView();
}

function showView() {
  if (session === null) return;
  const role = session.identity.role;
  const allowed = VIEWS.filter((view) => view.roles.includes(role));
  const [wanted, detail] = location.hash.slice(1).split("/"); // "#trail/REQUEST" is one request of the trail
  const view = allowed.find((one) => one.id === wanted) ?? allowed.find((one) => one.id === current) ?? allowed[0];
  current = view.id;
  for (const link of find("views").children) {
    if (link.hash === `#${view.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (opened.size === 0) find("main").replaceChildren();
  for (const one of opened.values()) one.place.hidden = true;
  if (!opened.has(view.id)) open(view);
  const shown = opened.get(view.id);
  shown.place.hidden = false;
  document.title = `${view.name} · hilum`;
  shown.place.querySelector("h1").focus();
  if (detail && view.id === wanted) shown.place.dispatchEvent(new CustomEvent("detail", { detail }));
}

/** @param {typeof VIEWS[number]} view */
function open(view) {
  const place = make("div", { class: `view view-${view.id}` });
  place.append(find(`${view.id}-view`).content.cloneNode(true));
  find("main").append(place);
  opened.set(view.id, { place, leave: view.show(/** @type {any} */ (session), place) });
}

async function start() {
  startTheme(find("theme"));
  find("log-out").addEventListener("click", () => endSession("You are logged out. Films and answers are gone from this page."));
  window.addEventListener("hashchange", showView);
  find("skip").addEventListener("click", (/** @type {Event} */ event) => {
    event.preventDefault(); // the part behind # names a view
    find("main").focus();
  });
  // A page that the browser kept and brings back by its Back button is not left open for whoever comes next.
  window.addEventListener("pageshow", (event) => event.persisted && endSession("Log in again: the page was left."));
  window.addEventListener("beforeunload", (event) => {
    if (opened.get("films")?.place.querySelector("[data-open]")) event.preventDefault();
  });
  const kept = restoreKey();
  if (kept === null) {
    endSession(null);
    return;
  }
  try {
    await logIn(kept, true);
  } catch (problem) {
    endSession(/** @type {Error} */ (problem).message);
  }
}

void start();
