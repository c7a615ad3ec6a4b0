/** Make drawings out of data: SVG elements, coloured by the style sheet, since the page allows no inline style. */

const SPACE_OF_NAMES = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag
 * @param {Record<string, string | number | null>} attributes  `text` is set as text; `null` leaves one out
 * @param {...(Node | null)} children
 * @returns {SVGElement}
 */
export function draw(tag, attributes = {}, ...children) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SPACE_OF_NAMES, tag));
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null) continue;
    if (name === "text") element.textContent = String(value);
    else element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * A drawing that a screen reader reads as one sentence.
 *
 * @param {string} name  of the class
 * @param {number} width
 * @param {number} height
 * @param {string} sentence
 * @param {...(Node | null)} children
 */
export function makeDrawing(name, width, height, sentence, ...children) {
  const size = { viewBox: `0 0 ${width} ${height}`, width, height };
  return draw("svg", { class: name, ...size, role: "img", "aria-label": sentence }, ...children);
}

/** @param {number} value  a coordinate; hundredths are more than a screen shows */
export function round(value) {
  return Math.round(100 * value) / 100;
}
