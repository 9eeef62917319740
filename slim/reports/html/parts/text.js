/* Words, numbers and elements. */

const $ = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const KIND_WORDS = { s: "stack", l: "layer", o: "owner", d: "folder", f: "file" };
const STATE_WORDS = { stays: "stays", goes: "goes", shrinks: "shrinks", held: "held back" };
const AFTER_WORDS = { stays: "as before", goes: "gone", shrinks: "made smaller", held: "held back" };

function bytes(value) {
  const sign = value < 0 ? "-" : "";
  let rest = Math.abs(value);
  if (rest < 1000) return `${sign}${rest} B`;
  for (const unit of ["kB", "MB", "GB", "TB"]) {
    rest /= 1000;
    if (Math.round(rest * 10) < 10000) return `${sign}${rest.toFixed(1)} ${unit}`;
  }
  return `${sign}${rest.toFixed(1)} TB`;
}
const number = (value) => value.toLocaleString("en");
function share(part, whole) {
  if (!whole) return "";
  const value = 100 * part / whole;
  return value >= 10 ? `${value.toFixed(0)}%` : value >= .1 ? `${value.toFixed(1)}%` : part ? "<0.1%" : "0%";
}
function change(before, after) {
  if (!before || before === after) return "±0%";
  const value = 100 * (after - before) / before;
  return `${value < 0 ? "−" : "+"}${Math.abs(value) < 1 ? Math.abs(value).toFixed(1) : Math.abs(value).toFixed(0)}%`;
}
/** An element: make("p", {class: "x", onclick: f}, "text", child, ...). Text is never HTML. */
function make(tag, attributes, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") element.style.cssText = value;
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...content.filter((item) => item !== null && item !== undefined));
  return element;
}

async function unpack(text) {
  const raw = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}
