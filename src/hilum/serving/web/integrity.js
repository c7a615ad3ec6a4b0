/** Is this the answer to the film that was sent? The service names the SHA-256 of the bytes that it read. */

import { Problem } from "./api.js";

/**
 * Does nothing where the browser has no digests (a page without TLS on another host than this one).
 *
 * @param {import("./types.js").Answer} answer
 * @param {Blob} file
 * @throws {Problem} when the answer belongs to other bytes
 */
export async function matchesFile(answer, file) {
  if (!globalThis.crypto?.subtle) return;
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex === answer.image_sha256) return;
  throw new Problem(-1, {
    code: "answer_of_another_film",
    detail: "The answer does not belong to this film and is not shown.",
    fix: "Try again, and tell your administrator the request id.",
    request_id: answer.request_id,
  });
}

/**
 * A version 4 UUID, also where the page is not served over TLS.
 *
 * @returns {string}
 */
export function makeUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40; // version and variant: RFC 9562 5.4
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
