"use strict";
/* Colours, and the squarified layout of a tree (Bruls, Huizing and van Wijk, "Squarified Treemaps", 2000).
   Pure: no document in sight. */

const HUES = {
  "python source": [256, 1], "extension module": [292, 1], "native library": [318, 1], "executable": [340, 1],
  "bytecode": [205, .8], "tests": [84, 1.08], "static libraries": [28, 1.1], "headers": [52, 1],
  "native sources": [62, .8], "debug information": [12, 1.1], "type stubs": [238, .55], "documentation": [150, .9],
  "locale data": [122, .9], "metadata": [250, .18], "licences": [95, .28], "other data": [75, .16], "links": [75, .05],
};
const STATES = ["stays", "goes", "shrinks", "held"];
const STATE_HUES = { stays: [250, .16, 0], goes: [32, 1.35, -.03], shrinks: [78, 1.25, .02], held: [258, .75, .02] };

/** An OKLCH colour as [r, g, b], each 0 to 255 (Ottosson, "A perceptual color space for image processing"). */
function oklch(light, chroma, hue) {
  const a = chroma * Math.cos(hue * Math.PI / 180), b = chroma * Math.sin(hue * Math.PI / 180);
  const l = (light + .3963377774 * a + .2158037573 * b) ** 3;
  const m = (light - .1055613458 * a - .0638541728 * b) ** 3;
  const s = (light - .0894841775 * a - 1.291485548 * b) ** 3;
  return [4.0767416621 * l - 3.3077115913 * m + .2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - .3413193965 * s,
    -.0041960863 * l - .7034186147 * m + 1.707614701 * s].map((value) => {
    const linear = Math.min(1, Math.max(0, value));
    return Math.round(255 * (linear <= .0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - .055));
  });
}

const css = (rgb) => `rgb(${rgb[0]} ${rgb[1]} ${rgb[2]})`;

function categoryColour(name, dark) {
  const [hue, weight] = HUES[name] || [75, .16];
  const warm = hue > 45 && hue < 130 ? .06 : 0; // a yellow of the same lightness looks dirty
  return css(oklch(dark ? .545 : .8 + warm / 2, .097 * weight, hue));
}

function stateColour(name, dark) {
  const [hue, weight, lift] = STATE_HUES[name];
  const light = name === "stays" ? (dark ? .37 : .885) : dark ? .55 + Math.min(lift, 0) : .77 + lift;
  return css(oklch(light, .097 * weight, hue));
}

/** Lay rectangles of the given sizes (descending, positive) into a box; calls place(index, x, y, w, h). */
function squarify(sizes, x, y, w, h, place) {
  let rest = 0;
  for (const size of sizes) rest += size;
  let start = 0;
  while (start < sizes.length && w > 0 && h > 0 && rest > 0) {
    const scale = w * h / rest, side = Math.min(w, h);
    let end = start, sum = 0, best = Infinity;
    while (end < sizes.length) {
      const next = (sum + sizes[end]) * scale;
      const large = sizes[start] * scale, small = sizes[end] * scale;
      const worst = Math.max(side * side * large / (next * next), next * next / (side * side * small));
      if (worst > best) break;
      best = worst;
      sum += sizes[end++];
    }
    const thick = sum * scale / side;
    let along = 0;
    for (let index = start; index < end; index++) {
      const long = sizes[index] / sum * side;
      if (w >= h) place(index, x, y + along, thick, long); else place(index, x + along, y, long, thick);
      along += long;
    }
    if (w >= h) { x += thick; w -= thick; } else { y += thick; h -= thick; }
    rest -= sum;
    start = end;
  }
}

const HEADS = { s: 22, l: 22, o: 19, d: 16 };
const GAPS = { s: 4, l: 3, o: 2, d: 1 };

/** The node whose children are shown in a block: a folder that is all there is in it needs no frame of its own. */
function through(tree, n) {
  while (tree.children[n].length === 1 && tree.kinds[tree.children[n][0]] === "d") n = tree.children[n][0];
  return n;
}

/** Every block to draw below a node: {n, x, y, w, h, head, leaf}, parents first. Blocks too small to see are left
    out, and a folder too small to look into is one block. */
function layout(tree, size, root, width, height) {
  const blocks = [];
  const put = (n, x, y, w, h, top) => {
    const kids = tree.children[through(tree, n)];
    const inside = kids.length > 0 && (top || (w > 9 && h > 9 && w * h > 220));
    const named = !top && inside && w > 46 && h > HEADS[tree.kinds[n]] + 16;
    const head = named ? HEADS[tree.kinds[n]] : 0;
    if (!top) blocks.push({ n, x, y, w, h, head, leaf: !inside });
    if (!inside) return;
    const gap = top ? 0 : Math.min(GAPS[tree.kinds[n]], w / 8, h / 8);
    const shown = kids.filter((kid) => size[kid] > 0);
    shown.sort((one, other) => size[other] - size[one] || one - other);
    const left = x + gap, up = y + (head || gap), wide = w - 2 * gap, high = h - (head || gap) - gap;
    squarify(shown.map((kid) => size[kid]), left, up, wide, high, (index, kx, ky, kw, kh) => {
      if (kw > .7 && kh > .7) put(shown[index], kx, ky, kw, kh, false);
    });
  };
  put(root, 0, 0, width, height, true);
  return blocks;
}
