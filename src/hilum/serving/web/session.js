/**
 * Who works with this page. The key stays in memory; only where the user ticked it does this tab keep it
 * (sessionStorage), never longer than the tab lives and never in a URL.
 */

import { Api } from "./api.js";

const STORED_AS = "hilum-key";

/**
 * @typedef {object} Session
 * @property {Api} api
 * @property {import("./types.js").Identity} identity
 * @property {() => Promise<void>} refresh  read again what the banners say
 */

/**
 * @param {string} key
 * @param {{keep: boolean, onEnd: (problem: import("./api.js").Problem) => void}} how
 * @returns {Promise<Session>}
 * @throws {import("./api.js").Problem} when the service does not know the key or cannot be reached
 */
export async function openSession(key, { keep, onEnd }) {
  const api = new Api(key, onEnd);
  const identity = await api.get("whoami");
  if (keep) sessionStorage.setItem(STORED_AS, key);
  return { api, identity, refresh: async () => {} };
}

/** @returns {string | null} */
export function restoreKey() {
  return sessionStorage.getItem(STORED_AS);
}

export function forgetKey() {
  sessionStorage.removeItem(STORED_AS);
}
