/**
 * Talk to the service that this page came from. Knows the key and nothing about the page: the key travels in
 * the Authorization header only, never in a URL, and no name of a file is sent.
 */

const DEFAULT_RETRY_S = 5;
const LONGEST_RETRY_S = 300;
const UPLOAD_TIMEOUT_MS = 120_000;
const NEUTRAL_NAME = "film";

/** What the service refused, as RFC 9457 problem details; `status` is 0 when it could not be reached. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{code?: string, title?: string, detail?: string, fix?: string, request_id?: string, may_overrule?: boolean, film_png?: string}} body
   * @param {number | null} retryAfterS
   */
  constructor(status, body, retryAfterS = null) {
    const sentence = body.detail || body.title || `The service answered with status ${status}.`;
    super(status === 429 && retryAfterS ? `${sentence} Try again in ${retryAfterS} s.` : sentence);
    this.status = status;
    this.code = body.code ?? "";
    this.fix = body.fix ?? "";
    this.requestId = body.request_id ?? "";
    /** Whether a reader who has looked at the film may ask for an answer all the same. */
    this.mayOverrule = body.may_overrule ?? false;
    /** @type {string | null} base64, the rejected film as displayed */
    this.filmPng = body.film_png ?? null;
    this.retryAfterS = retryAfterS;
  }
}

const UNREACHABLE = {
  code: "unreachable",
  detail: "The service could not be reached.",
  fix: "Check the network of this workstation and try again.",
};
const CANCELLED = { code: "cancelled", detail: "Cancelled." };

export class Api {
  #key;
  #onUnknownKey;

  /**
   * @param {string} key
   * @param {(problem: Problem) => void} onUnknownKey  called at every 401
   */
  constructor(key, onUnknownKey) {
    this.#key = key;
    this.#onUnknownKey = onUnknownKey;
  }

  /** Forget the key: every later call fails with 401 by itself. */
  close() {
    this.#key = "";
  }

  /**
   * @param {string} path
   * @param {Record<string, string | number>} [query]
   */
  get(path, query = {}) {
    return this.call("GET", path, { query });
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{query?: Record<string, string | number>, body?: unknown, headers?: Record<string, string>}} [what]
   * @returns {Promise<any>} the JSON of the answer, or null without a body
   */
  async call(method, path, { query = {}, body, headers = {} } = {}) {
    const request = {
      method,
      headers: { ...this.#authorization(), Accept: "application/json", ...headers },
      cache: /** @type {RequestCache} */ ("no-store"),
      credentials: /** @type {RequestCredentials} */ ("omit"),
      redirect: /** @type {RequestRedirect} */ ("error"),
    };
    if (body !== undefined) {
      request.headers["Content-Type"] = "application/json";
      Object.assign(request, { body: JSON.stringify(body) });
    }
    let response;
    try {
      response = await fetch(resolve(path, query), request);
    } catch {
      throw new Problem(0, UNREACHABLE);
    }
    return this.#read(response.status, await response.text(), (name) => response.headers.get(name));
  }

  /**
   * Send one film. XMLHttpRequest, because fetch cannot say how much of a body is sent.
   *
   * @param {Blob} film
   * @param {{signal: AbortSignal, onSent: (share: number) => void, overrule: boolean}} watch
   * @returns {Promise<import("./types.js").Answer>}
   */
  explain(film, { signal, onSent, overrule }) {
    return new Promise((succeed, fail) => {
      const form = new FormData();
      // A slice has neither name nor path, and no type that the browser guessed from the name.
      form.append("file", film.slice(0, film.size, "application/octet-stream"), NEUTRAL_NAME);
      const request = new XMLHttpRequest();
      request.open("POST", resolve("predict/explain", { film: "true", overrule: String(overrule) }));
      for (const [name, value] of Object.entries(this.#authorization())) request.setRequestHeader(name, value);
      request.timeout = UPLOAD_TIMEOUT_MS;
      request.upload.addEventListener("progress", (event) => onSent(event.loaded / (event.total || 1)));
      request.upload.addEventListener("load", () => onSent(1));
      request.addEventListener("load", () => {
        try {
          const header = (/** @type {string} */ name) => request.getResponseHeader(name);
          succeed(this.#read(request.status, request.responseText, header));
        } catch (problem) {
          fail(problem);
        }
      });
      request.addEventListener("error", () => fail(new Problem(0, UNREACHABLE)));
      request.addEventListener("timeout", () => fail(new Problem(0, UNREACHABLE)));
      request.addEventListener("abort", () => fail(new Problem(0, CANCELLED)));
      signal.addEventListener("abort", () => request.abort(), { once: true });
      if (signal.aborted) fail(new Problem(0, CANCELLED));
      else request.send(form);
    });
  }

  #authorization() {
    return { Authorization: `Bearer ${this.#key}` };
  }

  /**
   * @param {number} status
   * @param {string} text
   * @param {(name: string) => string | null} header
   */
  #read(status, text, header) {
    const body = parse(text);
    if (status >= 200 && status < 300 && (body !== undefined || text === "")) return body ?? null;
    const problem = new Problem(status, body ?? {}, readRetryAfter(header("Retry-After")));
    if (status === 401) this.#onUnknownKey(problem);
    throw problem;
  }
}

/**
 * GET /health needs no key.
 *
 * @returns {Promise<any | null>} null when the service cannot be reached
 */
export async function readHealth() {
  try {
    const response = await fetch(resolve("health", {}), { cache: "no-store", credentials: "omit" });
    return parse(await response.text()) ?? null;
  } catch {
    return null;
  }
}

/**
 * @param {string | null} value  seconds or an HTTP date
 * @returns {number | null}
 */
export function readRetryAfter(value) {
  if (value === null) return null;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  if (Number.isNaN(seconds)) return DEFAULT_RETRY_S;
  return Math.min(LONGEST_RETRY_S, Math.max(1, Math.ceil(seconds)));
}

/**
 * @param {string} path
 * @param {Record<string, string | number>} query
 */
function resolve(path, query) {
  const url = new URL(path, document.baseURI.split("#")[0]);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  return url.href;
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
