/** Numbers and times as a reader sees them. */

const SPACE = "\u00a0";
const LEAST_SHOWN = 0.0005; // half of the last digit of one decimal per cent

/**
 * A probability or share with one decimal. What rounds to none or all without being it says so.
 *
 * @param {number | null | undefined} share  in [0, 1]
 * @returns {string}
 */
export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return "n/a";
  if (share > 0 && share < LEAST_SHOWN) return `<${SPACE}0.1${SPACE}%`;
  if (share < 1 && share > 1 - LEAST_SHOWN) return `>${SPACE}99.9${SPACE}%`;
  return `${(100 * share).toFixed(1)}${SPACE}%`;
}

/**
 * @param {number | null | undefined} value
 * @returns {string} three significant digits
 */
export function short(value) {
  return value === null || value === undefined ? "n/a" : String(Number(value.toPrecision(3)));
}

/**
 * @param {string | null | undefined} stamp  ISO 8601
 * @returns {string} UTC, to the second
 */
export function utc(stamp) {
  if (!stamp) return "n/a";
  const time = new Date(stamp);
  return Number.isNaN(time.getTime()) ? stamp : time.toISOString().replace("T", " ").slice(0, 19);
}

/**
 * @param {number} count
 * @param {string} noun  in the singular
 */
export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * "a", "a and b", "a, b and c".
 *
 * @param {string[]} words
 */
export function listed(words) {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
}

/**
 * What an answer says first, with its scores: "Tuberculosis 41.0 %", "Normal 97.1 %", "Unconfirmed (Pneumonia 60.0 %)".
 *
 * @param {import("./types.js").Answer} answer
 */
export function scored({ headline, called, prediction, probabilities }) {
  /** @param {string} name */
  const withScore = (name) => `${name} ${percent(probabilities[name])}`;
  if (called.length) return listed(called.map(withScore));
  return headline === prediction ? withScore(prediction) : `${headline} (${withScore(prediction)})`;
}
