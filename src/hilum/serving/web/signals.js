/** Signals of monitoring in plain words: what each is called, its numbers, and its state by shape and word. */

import { counted, percent, short } from "./format.js";

const SPACE = "\u00a0";
const STATISTICS = {
  mean_grey: "Mean grey level of films",
  deviation_grey: "Spread of grey levels",
  contrast_grey: "Contrast of films",
  sharpness: "Sharpness of films",
  aspect: "Aspect ratio of films",
  short_side_px: "Resolution of films",
  confidence: "Confidence of answers",
};

const asPoints = (/** @type {number} */ value) => `${(100 * value).toFixed(1)}${SPACE}points`;
const asFilms = (/** @type {number} */ value) => counted(value, "film");
const asMs = (/** @type {number} */ value) => `${short(value)}${SPACE}ms`;
const asPsi = (/** @type {number} */ value) => `PSI${SPACE}${value.toFixed(2)}`;
const asChance = (/** @type {number} */ value) => `p${SPACE}${value >= 0.01 ? value.toFixed(2) : value.toPrecision(1)}`;

/**
 * By kind: the name, how its numbers are written, and whether it is a chance that nothing moved (drawn by its
 * logarithm, upside down, so that worse is higher as for the others).
 *
 * @type {Record<string, {name: (of: string) => string, write: (value: number) => string, isChance?: boolean}>}
 */
const KINDS = {
  psi: { name: (of) => STATISTICS[/** @type {keyof typeof STATISTICS} */ (of)] ?? of, write: asPsi },
  embedding: { name: () => "What the network sees in films", write: asChance, isChance: true },
  resolution: { name: () => "Films of an unusual resolution", write: percent },
  calls: { name: (of) => `Share of films called ${of}, change`, write: asPoints },
  refused: { name: () => "Films that the input gate refuses", write: percent },
  repeated: { name: () => "Films sent again and again", write: percent },
  confidence: { name: () => "Mean confidence", write: percent },
  accuracy: { name: () => "Accuracy on labelled films, drop", write: asPoints },
  errors: { name: (of) => `${of} films called another class`, write: percent },
  critical: { name: (of) => `${of} films called Normal with confidence`, write: asFilms },
  ece: { name: () => "Expected calibration error", write: (value) => value.toFixed(3) },
  slope: { name: () => "Slope of the reliability diagram, distance from 1", write: (value) => value.toFixed(2) },
  latency: { name: () => "Time for one film, 95th percentile", write: asMs },
  "server-errors": { name: () => "Failed answers (HTTP 5xx)", write: percent },
  volume: { name: () => "Number of films a day", write: asChance, isChance: true },
};

/** What the count of a signal counts, where it is not films. */
const NOUNS = { "server-errors": "request", volume: "day" };

/** @param {string} signal  e.g. "psi:mean_grey" */
function look(signal) {
  const [kind, of = ""] = signal.split(":");
  return { kind, of, words: KINDS[kind] ?? { name: () => signal, write: short } };
}

/** @param {string} signal */
export function nameOf(signal) {
  const { of, words } = look(signal);
  return words.name(of);
}

/** @param {string} signal */
export function isChance(signal) {
  return look(signal).words.isChance === true;
}

/**
 * @param {string} signal
 * @param {number | null} value
 */
export function write(signal, value) {
  return value === null ? "not judged" : look(signal).words.write(value);
}

/**
 * The value with its interval.
 *
 * @param {{name: string, value: number | null, low: number | null, high: number | null}} one
 */
export function writeValue({ name, value, low, high }) {
  if (value === null) return "no number yet";
  if (low === null || high === null) return write(name, value);
  return `${write(name, value)} (${write(name, low)} to ${write(name, high)})`;
}

/** @param {{name: string, threshold: number, is_floor: boolean}} one */
export function writeLimit({ name, threshold, is_floor: isFloor }) {
  return `${isFloor ? "at least" : "at most"} ${write(name, threshold)}`;
}

/**
 * Shape and word of a state: never a colour alone.
 *
 * @param {{name: string, state: string, is_floor: boolean, films: number, needed: number}} one
 */
export function describeState({ name, state, is_floor: isFloor, films, needed }) {
  if (state === "over") return isFloor ? "▼ below its limit" : "▲ above its limit";
  if (state === "unsure") return `◇ ${isFloor ? "below" : "above"}, but chance explains it`;
  if (state === "ok") return "● within";
  if (state === "not-enough") return `○ not enough yet: ${films} of ${counted(needed, nounOf(name))}`;
  return "– not judged";
}

/**
 * What a signal rests on.
 *
 * @param {{name: string, state: string, films: number, since: string, until: string}} one
 */
export function describeBasis({ name, state, films, since, until }) {
  if (state === "not-judged") return "nothing to compare with";
  const noun = name === "volume" && state !== "not-enough" ? "film" : nounOf(name);
  return [counted(films, noun), writeWindow(since, until)].filter(Boolean).join(", ");
}

/**
 * @param {string} since  day, or "" where there is no window
 * @param {string} until
 */
export function writeWindow(since, until) {
  if (!since) return "";
  return since === until ? `on ${since}` : `${since} to ${until}`;
}

/** @param {string} signal */
function nounOf(signal) {
  return NOUNS[/** @type {keyof typeof NOUNS} */ (look(signal).kind)] ?? "film";
}
