/** Grey values through a window, as DICOM defines it. Knows nothing about the page. */

/** The whole range of 8 bits, unchanged. */
export const WHOLE_RANGE = { level: 128, width: 256 };

/**
 * @param {number} level  centre of the window, grey value
 * @param {number} width  of the window, at least 2 grey values
 * @param {boolean} isInverted
 * @returns {Uint8ClampedArray} displayed grey for each of the 256 stored ones
 */
export function makeTable(level, width, isInverted) {
  const table = new Uint8ClampedArray(256);
  for (let grey = 0; grey < 256; grey += 1) {
    const share = (grey - (level - 0.5)) / (width - 1) + 0.5; // PS3.3 C.11.2.1.2.1, linear
    table[grey] = 255 * (isInverted ? 1 - share : share);
  }
  return table;
}

/**
 * @param {Uint8ClampedArray} greys  one a pixel
 * @param {Uint8ClampedArray} table  of 256
 * @param {ImageData} out  of as many pixels
 */
export function applyTable(greys, table, out) {
  const pixels = new Uint32Array(out.data.buffer);
  const colours = Uint32Array.from(table, (grey) => (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0);
  for (let index = 0; index < greys.length; index += 1) pixels[index] = colours[greys[index]];
}
