/* The page: state, drawing, keyboard, tables. */

const $ = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const KIND_WORDS = { s: "stack", l: "layer", o: "owner", d: "folder", f: "file" };
const STATE_WORDS = { stays: "stays", goes: "goes", shrinks: "shrinks", held: "held back" };

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

/** The columns as a tree: parents, children, and the file attributes by node. */
function plant(data) {
  const count = data.names.length;
  const tree = {
    count, names: data.names, kinds: data.kinds, parent: new Int32Array(count).fill(-1), children: [],
    before: new Float64Array(count), files: new Int32Array(count), category: new Int16Array(count).fill(-1),
    categories: data.categories,
  };
  const path = [];
  let file = 0;
  for (let n = 0; n < count; n++) {
    const depth = data.depths[n];
    path[depth] = n;
    tree.children.push([]);
    if (depth) { tree.parent[n] = path[depth - 1]; tree.children[path[depth - 1]].push(n); }
    if (data.kinds[n] === "f") {
      tree.before[n] = data.sizes[file]; tree.category[n] = data.marks[file]; tree.files[n] = 1; file++;
    }
  }
  for (let n = count - 1; n > 0; n--) {
    tree.before[tree.parent[n]] += tree.before[n];
    tree.files[tree.parent[n]] += tree.files[n];
  }
  return tree;
}

/** What a view makes of the tree: size after, state and rule of every file, sums below every folder. */
function consider(tree, view) {
  const seen = {
    after: Float64Array.from(tree.before), state: new Uint8Array(tree.count), rule: new Int32Array(tree.count).fill(-1),
    facts: new Map(), goes: new Float64Array(tree.count), shrinks: new Float64Array(tree.count),
    held: new Float64Array(tree.count), filesAfter: Int32Array.from(tree.files),
  };
  for (let n = 0; n < tree.count; n++) if (tree.kinds[n] !== "f") { seen.after[n] = 0; seen.filesAfter[n] = 0; }
  for (const [n, state, rule, after, ...facts] of view ? view.rows : []) {
    seen.state[n] = state; seen.rule[n] = rule; seen.facts.set(n, facts);
    seen.after[n] = state === 3 ? tree.before[n] : after;
    if (state === 1) { seen.goes[n] = tree.before[n]; seen.filesAfter[n] = 0; }
    if (state === 2) seen.shrinks[n] = tree.before[n] - after;
    if (state === 3) seen.held[n] = tree.before[n];
  }
  for (let n = tree.count - 1; n > 0; n--) {
    const up = tree.parent[n];
    for (const sum of [seen.after, seen.goes, seen.shrinks, seen.held, seen.filesAfter]) sum[up] += sum[n];
  }
  return seen;
}

class Page {
  constructor(data) {
    this.data = data;
    this.tree = plant(data);
    this.views = data.views;
    this.seen = this.views.map((view) => consider(this.tree, view));
    this.view = Math.min(data.view, Math.max(0, this.views.length - 1));
    this.nothing = consider(this.tree, null);
    this.root = 0; this.selected = 0; this.hover = -1;
    this.when = "before";
    this.colour = document.body.dataset.mode === "audit" ? "category" : "state";
    this.query = ""; this.matches = null; this.only = null;
    this.tab = "files"; this.sorts = {}; this.limit = 100;
    this.blocks = []; this.old = null; this.moving = 0;
    this.canvas = $("map"); this.pen = this.canvas.getContext("2d");
    this.dark = matchMedia("(prefers-color-scheme: dark)").matches;
    this.listen();
    this.theme(this.dark);
    this.refresh();
  }

  get now() { return this.seen[this.view] || this.nothing; }
  get size() { return this.when === "after" ? this.now.after : this.tree.before; }
  get fileCounts() { return this.when === "after" ? this.now.filesAfter : this.tree.files; }

  // Names

  chain(n) { const found = []; for (; n >= 0; n = this.tree.parent[n]) found.unshift(n); return found; }
  layer(n) { return this.chain(n).find((one) => this.tree.kinds[one] === "l"); }
  owner(n) { return this.chain(n).find((one) => this.tree.kinds[one] === "o"); }
  path(n) {
    return this.chain(n).filter((one) => "dfl".includes(this.tree.kinds[one])).map((one) => this.tree.names[one]).join("/");
  }
  find(path) {
    for (let n = 0; n < this.tree.count; n++) if (this.path(n) === path || this.tree.names[n] === path) return n;
    return -1;
  }

  // Colours

  /** The category or state with most bytes below a node. */
  dominant(n) {
    this.dominants ||= new Map();
    const key = `${this.colour}${this.view}${this.when}`;
    let column = this.dominants.get(key);
    if (!column) {
      column = new Int16Array(this.tree.count).fill(-1);
      const sums = new Map();
      for (let k = this.tree.count - 1; k >= 0; k--) {
        const own = sums.get(k) || new Map();
        if (this.tree.kinds[k] === "f") own.set(this.mark(k), this.size[k]);
        let best = -1, most = -1;
        for (const [mark, sum] of own) if (sum > most) { most = sum; best = mark; }
        column[k] = best;
        const up = this.tree.parent[k];
        if (up >= 0) {
          const above = sums.get(up) || new Map();
          for (const [mark, sum] of own) above.set(mark, (above.get(mark) || 0) + sum);
          sums.set(up, above);
        }
        sums.delete(k);
      }
      this.dominants.set(key, column);
    }
    return column[n];
  }
  mark(n) { return this.colour === "category" ? this.tree.category[n] : this.now.state[n]; }
  markName(mark) { return this.colour === "category" ? this.tree.categories[mark] : STATES[mark]; }
  markColour(mark) {
    const key = `${this.colour}${mark}${this.dark}`;
    this.palette ||= new Map();
    if (!this.palette.has(key)) {
      const name = this.markName(mark);
      this.palette.set(key, this.colour === "category" ? categoryColour(name, this.dark) : stateColour(name, this.dark));
    }
    return this.palette.get(key);
  }
  fill(n) { return this.markColour(this.dominant(n)); }

  /** The colour of a small mark: of a folder of which a part goes, that part of it. */
  swatch(n) {
    const before = this.tree.before[n];
    if (!this.splits || !before) return this.fill(n);
    const goes = 100 * this.now.goes[n] / before, gone = goes + 100 * Math.max(0, this.now.shrinks[n]) / before;
    return `linear-gradient(to top, ${this.markColour(1)} ${goes}%, ${this.markColour(2)} ${goes}% ${gone}%, ${this.markColour(0)} ${gone}%)`;
  }
  /** Whether blocks are split into what goes and what stays of them. */
  get splits() { return this.colour === "state" && this.when === "before"; }

  /** Bytes below a node, by category or state, the most first. */
  marks(root) {
    const sums = new Map(), size = this.size;
    const stack = [root];
    while (stack.length) {
      const n = stack.pop();
      if (this.tree.kinds[n] !== "f") { stack.push(...this.tree.children[n]); continue; }
      const mark = this.mark(n), add = (to, sum) => sums.set(to, (sums.get(to) || 0) + sum);
      const saved = this.splits ? this.now.shrinks[n] : 0;
      if (saved > 0) { add(mark, saved); add(0, size[n] - saved); } else add(mark, size[n]);
    }
    return [...sums].filter(([, sum]) => sum > 0).sort((one, other) => other[1] - one[1]);
  }

  // Drawing

  refresh(animate = false) {
    this.hero(); this.crumbs(); this.details(); this.tabs(); this.table();
    this.place(animate);
  }

  place(animate) {
    const box = $("canvas-box").getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(box.width * ratio); this.canvas.height = Math.round(box.height * ratio);
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.width = box.width; this.height = box.height;
    const before = new Map(this.blocks.map((block) => [block.n, block]));
    this.blocks = layout(this.tree, this.size, this.root, box.width, box.height);
    cancelAnimationFrame(this.moving); this.moving = 0;
    if (!animate || still.matches || !before.size) { this.draw(this.blocks, 1); return; }
    const from = this.blocks.map((block) => before.get(block.n) || this.origin(block, before));
    const start = performance.now(), length = 380;
    const step = (time) => {
      const t = Math.min(1, Math.max(0, (time - start) / length)), e = 1 - (1 - t) ** 3;
      if (t >= 1) { this.moving = 0; this.draw(this.blocks, 1); return; }
      const mix = (one, other) => one + (other - one) * e;
      this.draw(this.blocks.map((block, index) => {
        const old = from[index];
        return { ...block, x: mix(old.x, block.x), y: mix(old.y, block.y), w: mix(old.w, block.w), h: mix(old.h, block.h) };
      }), e);
      this.moving = requestAnimationFrame(step);
    };
    this.moving = requestAnimationFrame(step);
  }

  /** Where a block that wasn't drawn grows from: the nearest drawn block around it, or its own middle. */
  origin(block, before) {
    for (let n = this.tree.parent[block.n]; n >= 0; n = this.tree.parent[n]) if (before.has(n)) return before.get(n);
    return { x: block.x + block.w / 2, y: block.y + block.h / 2, w: 0, h: 0 };
  }

  draw(blocks, settled) {
    const pen = this.pen, tree = this.tree, size = this.size;
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink").trim(), line = this.dark ? "rgba(255,255,255,.055)" : "rgba(40,34,20,.042)";
    pen.clearRect(0, 0, this.width, this.height);
    pen.textBaseline = "middle";
    const font = style.getPropertyValue("--sans");
    for (const block of blocks) {
      const { n, x, y, w, h } = block;
      if (w < .5 || h < .5) continue;
      const dim = this.dimmed(n);
      pen.globalAlpha = dim ? .16 : 1;
      if (!block.leaf) {
        const kind = tree.kinds[n];
        pen.fillStyle = kind === "l" || kind === "s" ? (this.dark ? "#26292d" : "#efece6")
          : kind === "o" ? (this.dark ? "#1d1f23" : "#faf9f6") : line;
        this.shape(x, y, w, h, kind === "l" ? 7 : 4);
        if (block.head) {
          pen.fillStyle = ink;
          pen.font = `${kind === "d" ? "450 11px" : kind === "o" ? "600 12px" : "680 13px"} ${font}`;
          this.label(n, bytes(size[n]), x + 6, y + block.head / 2 + .5, w - 12, kind === "d" ? .62 : .9, dim);
        }
        continue;
      }
      this.leaf(block);
      if (w > 42 && h > 15 && settled > .6) {
        pen.fillStyle = this.dark ? "#fff" : "#1c1b19";
        pen.font = `500 11px ${font}`;
        pen.globalAlpha = (dim ? .16 : .9) * Math.min(1, (settled - .6) / .4);
        const twice = h > 32;
        this.text(tree.names[n], x + 5, twice ? y + 11 : y + Math.min(h / 2, 11) + .5, w - 9);
        if (twice) { pen.globalAlpha *= .66; this.text(bytes(size[n]), x + 5, y + 25, w - 9); }
      }
    }
    pen.globalAlpha = 1;
    if (settled === 1) {
      this.outline(this.hover, this.dark ? "#fff" : "#1c1b19", 1.5);
      if (this.selected !== this.root) this.outline(this.selected, style.getPropertyValue("--accent").trim(), 2.5);
    }
  }
  /** A block of one colour; or, where it is told what becomes of it, the part that stays above what goes. */
  leaf({ n, x, y, w, h }) {
    const pen = this.pen, gap = w > 5 && h > 5 ? .6 : .25, wide = Math.max(.4, w - 2 * gap), high = Math.max(.4, h - 2 * gap);
    const radius = Math.min(3, w / 4, h / 4), before = this.tree.before[n];
    if (!this.splits || !before) {
      pen.fillStyle = this.fill(n);
      this.shape(x + gap, y + gap, wide, high, radius);
      return;
    }
    const goes = this.now.goes[n] / before, shrinks = Math.max(0, this.now.shrinks[n]) / before;
    const held = this.now.held[n] / before > .5;
    pen.fillStyle = this.markColour(goes > .995 ? 1 : held ? 3 : 0);
    this.shape(x + gap, y + gap, wide, high, radius);
    if (goes > .995 || goes + shrinks < .002) return;
    pen.save();
    pen.beginPath(); pen.roundRect(x + gap, y + gap, wide, high, radius); pen.clip();
    let bottom = y + gap + high;
    for (const [mark, part] of [[1, goes], [2, shrinks]]) {
      pen.fillStyle = this.markColour(mark);
      pen.fillRect(x + gap, bottom - high * part, wide, high * part);
      bottom -= high * part;
    }
    pen.restore();
  }
  shape(x, y, w, h, radius) {
    const pen = this.pen;
    if (radius < 1) { pen.fillRect(x, y, w, h); return; }
    pen.beginPath(); pen.roundRect(x, y, w, h, Math.min(radius, w / 2, h / 2)); pen.fill();
  }
  outline(n, colour, thick) {
    const block = this.blocks.find((one) => one.n === n);
    if (!block) return;
    const pen = this.pen, half = thick / 2;
    pen.strokeStyle = colour; pen.lineWidth = thick;
    pen.beginPath();
    pen.roundRect(block.x + half, block.y + half, Math.max(0, block.w - thick), Math.max(0, block.h - thick), Math.min(4, block.w / 3));
    pen.stroke();
  }
  label(n, amount, x, y, room, alpha, dim) {
    const pen = this.pen, name = this.tree.names[n];
    pen.globalAlpha = dim ? .2 : alpha;
    const wide = pen.measureText(amount).width;
    const left = room > 110 ? room - wide - 10 : room;
    const end = this.text(name, x, y, left);
    if (room > 110 && end + 10 + wide <= room) {
      pen.globalAlpha = dim ? .12 : alpha * .6;
      pen.font = pen.font.replace(/^\d+/, "450");
      pen.fillText(amount, x + end + 8, y);
    }
  }
  /** Draw a text, cut to the room; returns its width. */
  text(text, x, y, room) {
    const pen = this.pen;
    let width = pen.measureText(text).width;
    if (width > room) {
      if (room < 18) return 0;
      let keep = Math.max(1, Math.floor(text.length * room / width) - 1);
      while (keep > 1 && pen.measureText(`${text.slice(0, keep)}…`).width > room) keep--;
      text = `${text.slice(0, keep)}…`;
      width = pen.measureText(text).width;
    }
    pen.fillText(text, x, y);
    return width;
  }
  dimmed(n) {
    if (this.matches && !this.matches[n]) return true;
    return this.only !== null && this.tree.kinds[n] === "f" && this.mark(n) !== this.only
      || this.only !== null && this.tree.kinds[n] !== "f" && this.dominant(n) !== this.only && this.isLeaf(n);
  }
  isLeaf(n) { const block = this.blocks.find((one) => one.n === n); return block ? block.leaf : false; }

  // The parts around the map

  hero() {
    const before = this.tree.before[0], after = this.now.after[0];
    const big = (id, value) => {
      const [amount, unit] = bytes(value).split(" ");
      $(id).replaceChildren(amount, make("small", {}, unit));
    };
    big("big-before", before);
    $("figure-after").hidden = !this.views.length;
    if (this.views.length) {
      const view = this.views[this.view], mode = document.body.dataset.mode;
      big("big-after", after);
      $("caption-after").textContent = mode === "run" ? "after slim" : mode === "dry" ? "after a run"
        : view.proved ? `after a run with profile ${view.name}` : `estimated, with profile ${view.name}`;
      $("pill").textContent = change(before, after);
    }
    const marks = this.marks(this.root), whole = this.size[this.root];
    $("strip").replaceChildren(...marks.map(([mark, sum]) =>
      make("i", { style: `flex:${sum} 1 0;background:${this.markColour(mark)}`, title: `${this.word(mark)} ${bytes(sum)}` })));
    $("strip").setAttribute("aria-label", marks.map(([mark, sum]) => `${this.word(mark)} ${share(sum, whole)}`).join(", "));
    $("legend").replaceChildren(...marks.filter(([, sum]) => sum >= whole / 400).slice(0, 9).map(([mark, sum]) =>
      make("button", {
        type: "button", "aria-pressed": String(this.only === mark),
        onclick: () => { this.only = this.only === mark ? null : mark; this.hero(); this.draw(this.blocks, 1); },
      }, make("i", { style: `background:${this.markColour(mark)}` }), this.word(mark), make("b", {}, bytes(sum)))));
  }
  word(mark) { const name = this.markName(mark); return this.colour === "state" ? STATE_WORDS[name] : name; }

  crumbs() {
    const chain = this.chain(this.root);
    $("crumbs").replaceChildren(...chain.flatMap((n, index) => {
      const last = index === chain.length - 1;
      const button = make("button", { type: "button", "aria-current": last ? "location" : null, onclick: () => this.go(n) },
        n ? this.tree.names[n] : "Everything");
      return index ? [make("span", { "aria-hidden": "true" }, "›"), button] : [button];
    }));
  }

  details() {
    const n = this.selected, tree = this.tree, now = this.now, before = tree.before[n], after = now.after[n];
    const parts = [];
    const kind = tree.kinds[n];
    const owner = this.owner(n), layer = this.layer(n);
    const about = kind === "f" ? tree.categories[tree.category[n]] : n ? KIND_WORDS[kind] : "the whole stack";
    parts.push(make("p", { class: "eyebrow" }, about));
    parts.push(make("h2", {}, n ? tree.names[n].split("/").pop() : "Everything"));
    if ("fd".includes(kind)) {
      parts.push(make("p", { class: "path" }, this.path(n)));
    }
    const differs = this.views.length && after !== before;
    parts.push(make("p", { class: "amount" }, differs ? make("s", {}, bytes(before)) : null, bytes(differs ? after : before)));
    const facts = [share(before, tree.before[0]) + " of everything"];
    if (kind !== "f") facts.push(`${number(tree.files[n])} file${tree.files[n] === 1 ? "" : "s"}`);
    parts.push(make("p", { class: "share" }, facts.join(" · ")));
    if (owner !== undefined && owner !== n) parts.push(make("p", { class: "share" }, `of ${tree.names[owner]} in ${tree.names[layer]}`));
    else if (layer !== undefined && layer !== n) parts.push(make("p", { class: "share" }, `in ${tree.names[layer]}`));
    if (kind === "f") parts.push(this.verdict(n)); else parts.push(...this.inside(n));
    if (!n && this.views.length && this.views[this.view].command) {
      parts.push(make("h3", {}, "To make it so"), make("code", { class: "command" }, this.views[this.view].command));
      if (!this.views[this.view].proved) parts.push(make("p", { class: "share" },
        "An estimate: slim audit --prove finds out what imports hold back, and which libraries nothing needs."));
    }
    $("details").replaceChildren(...parts);
  }
  verdict(n) {
    const now = this.now, state = STATES[now.state[n]], rule = this.data.rules[now.rule[n]];
    const words = {
      goes: "Goes", shrinks: `Shrinks by ${bytes(this.tree.before[n] - now.after[n])}`,
      held: "A rule wants it, but it stays", stays: "Stays: no rule is about it",
    };
    if (state === "shrinks" && this.tree.before[n] < now.after[n]) words.shrinks = `Grows by ${bytes(now.after[n] - this.tree.before[n])}`;
    const facts = (now.facts.get(n) || []).map((fact) => make("li", {}, this.data.texts[fact]));
    return make("div", { class: `verdict ${state}` }, make("strong", {}, words[state]),
      rule && rule.reason ? make("p", {}, rule.reason) : null,
      facts.length ? make("ul", {}, ...facts) : null,
      rule ? make("span", { class: "rule" }, rule.id) : null);
  }
  inside(n) {
    const tree = this.tree, now = this.now, size = this.size, parts = [];
    parts.push(make("div", { class: "mini", "aria-hidden": "true" }, ...this.marks(n).map(([mark, sum]) =>
      make("i", { style: `flex:${sum} 1 0;background:${this.markColour(mark)}` }))));
    const told = [];
    if (now.goes[n]) told.push(`${bytes(now.goes[n])} goes`);
    if (now.shrinks[n] > 0) told.push(`${bytes(now.shrinks[n])} shrinks away`);
    if (now.held[n]) told.push(`${bytes(now.held[n])} is held back`);
    if (told.length) parts.push(make("p", {}, told.join(", ")));
    const kids = tree.children[through(tree, n)].filter((kid) => size[kid] > 0).sort((one, other) => size[other] - size[one]).slice(0, 12);
    parts.push(make("h3", {}, "Inside"), make("ul", { class: "children" }, ...kids.map((kid) =>
      make("li", {}, make("button", { type: "button", onclick: () => this.enter(kid), title: tree.names[kid] },
        make("i", { style: `background:${this.swatch(kid)}` }), make("span", {}, tree.names[kid]), make("b", {}, bytes(size[kid])))))));
    return parts;
  }

  // Going around

  go(n, select = n) {
    this.root = n; this.selected = select; this.hover = -1; $("tip").hidden = true;
    this.hero(); this.crumbs(); this.details(); this.place(true); this.say(select);
  }
  enter(n) { if (this.tree.children[n].length) this.go(n); else this.pick(n); }
  pick(n) {
    this.selected = n; this.details();
    if (!this.moving) this.draw(this.blocks, 1);
    this.say(n);
  }
  out() {
    if (this.selected !== this.root) { this.pick(this.root); return; }
    const up = this.tree.parent[this.root];
    if (up >= 0) this.go(up, this.root);
  }
  /** Show a node wherever it is: go into its folder and select it. */
  reveal(n) {
    const up = this.tree.children[n].length ? n : this.tree.parent[n];
    this.go(up, n);
    $("map").scrollIntoView({ block: "center", behavior: still.matches ? "auto" : "smooth" });
  }
  say(n) {
    const state = this.tree.kinds[n] === "f" ? `, ${STATE_WORDS[STATES[this.now.state[n]]]}` : `, ${number(this.fileCounts[n])} files`;
    $("spoken").textContent = `${n ? this.tree.names[n] : "Everything"}, ${bytes(this.size[n])}${state}`;
  }
  at(event) {
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    let found = -1;
    for (const { n, x: left, y: top, w, h } of this.blocks) if (x >= left && x < left + w && y >= top && y < top + h) found = n;
    return found;
  }
  /** The block that lies nearest in a direction, among those as deep as the selected one. */
  move(dx, dy) {
    const here = this.blocks.find((block) => block.n === this.selected);
    const leaves = this.blocks.filter((block) => here ? block.leaf === here.leaf && this.depth(block.n) === this.depth(here.n) : this.tree.parent[block.n] === this.root);
    if (!here) { if (leaves.length) this.pick(leaves[0].n); return; }
    const cx = here.x + here.w / 2, cy = here.y + here.h / 2;
    let best = null, least = Infinity;
    for (const block of leaves) {
      const ox = block.x + block.w / 2 - cx, oy = block.y + block.h / 2 - cy;
      const along = ox * dx + oy * dy, across = Math.abs(ox * dy) + Math.abs(oy * dx);
      if (block.n === here.n || along <= .5) continue;
      const cost = along + 2.2 * across;
      if (cost < least) { least = cost; best = block; }
    }
    if (best) this.pick(best.n);
  }
  depth(n) { return this.data.depths[n]; }

  set(name, value) {
    if (this[name] === value) return;
    this[name] = value;
    if (name !== "when") this.only = null;
    for (const button of document.querySelectorAll(`[data-${name}]`)) button.setAttribute("aria-pressed", String(button.dataset[name] === String(value)));
    if (name === "when" && value === "after" && !this.size[this.root]) { this.root = 0; this.selected = 0; }
    this.refresh(true);
  }
  theme(dark) {
    this.dark = dark;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    $("theme-button").textContent = dark ? "Light" : "Dark";
    if (this.blocks.length) this.refresh();
  }

  // Search and tables

  search(text) {
    this.query = text.trim().toLowerCase(); this.limit = 100;
    const words = this.query.split(/\s+/).filter(Boolean);
    this.matches = null;
    $("found").textContent = "";
    if (words.length) {
      const tree = this.tree, matches = new Uint8Array(tree.count);
      let files = 0, sum = 0;
      for (let n = 0; n < tree.count; n++) {
        if (tree.kinds[n] !== "f") continue;
        const text = this.haystack(n);
        if (words.every((word) => text.includes(word))) {
          files++; sum += this.size[n];
          for (let up = n; up >= 0 && !matches[up]; up = tree.parent[up]) matches[up] = 1;
        }
      }
      this.matches = matches;
      $("found").textContent = files ? `${number(files)} file${files === 1 ? "" : "s"}, ${bytes(sum)}` : "Nothing found";
    }
    this.tabs(); this.table(); this.draw(this.blocks, 1);
  }
  haystack(n) {
    this.stacks ||= new Array(this.tree.count);
    this.stacks[n] ||= `${this.chain(n).map((one) => this.tree.names[one]).join("/")} ${this.tree.categories[this.tree.category[n]]}`.toLowerCase();
    const rule = this.data.rules[this.now.rule[n]];
    return rule ? `${this.stacks[n]} ${rule.id}` : this.stacks[n];
  }

  tabs() {
    const all = [["files", "Files"], ["owners", "Owners"], ["kinds", "Kinds"], ["rules", "Rules"], ["findings", "What stands out"], ["layers", "Layers"]];
    const shown = all.filter(([name]) => (name !== "findings" || this.data.findings.length) && (name !== "rules" || this.views.length));
    $("tabs").replaceChildren(...shown.map(([name, word]) => make("button", {
      type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel", "aria-selected": String(this.tab === name),
      tabindex: this.tab === name ? "0" : "-1",
      onclick: () => { this.tab = name; this.limit = 100; this.tabs(); this.table(); $(`tab-${name}`).focus(); },
      onkeydown: (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        event.preventDefault(); event.stopPropagation();
        const names = shown.map(([one]) => one);
        this.tab = names[(names.indexOf(name) + step + names.length) % names.length];
        this.tabs(); this.table(); $(`tab-${this.tab}`).focus();
      },
    }, word)));
    $("panel").setAttribute("aria-labelledby", `tab-${this.tab}`);
  }

  table() {
    $("layers-panel").hidden = this.tab !== "layers";
    $("panel").hidden = this.tab === "layers";
    if (this.tab === "findings") { this.findings(); return; }
    if (this.tab !== "layers") this.rows(this[`${this.tab}Table`]());
  }

  /** Columns: {key, word, num, value(row) for sorting, cell(row)}. */
  rows({ columns, rows, first }) {
    const sort = this.sorts[this.tab] || { key: first, down: true };
    const column = columns.find((one) => one.key === sort.key) || columns[0];
    const order = sort.down ? -1 : 1;
    rows = rows.map((row) => [column.value(row), row]).sort(([one], [other]) =>
      order * (typeof one === "string" ? one.localeCompare(other) : one - other)).map(([, row]) => row);
    const head = make("tr", {}, ...columns.map((one) => make("th", {
      scope: "col", class: one.num ? "num" : null, "aria-sort": one.key === column.key ? (sort.down ? "descending" : "ascending") : null,
    }, make("button", { type: "button", onclick: () => {
      this.sorts[this.tab] = { key: one.key, down: one.key === column.key ? !sort.down : Boolean(one.num) };
      this.table();
    } }, one.word))));
    const body = rows.slice(0, this.limit).map((row) => make("tr", {}, ...columns.map((one) =>
      make("td", { class: one.num ? "num" : one.wide ? "wide" : null }, one.cell(row)))));
    const parts = [make("table", {}, make("caption", { class: "visually-hidden" }, this.tab), make("thead", {}, head), make("tbody", {}, ...body))];
    if (!rows.length) parts.push(make("p", { class: "nothing" }, "Nothing here."));
    if (rows.length > this.limit) {
      parts.push(make("button", { type: "button", class: "plain more", onclick: () => { this.limit *= 4; this.table(); } },
        `Show more of ${number(rows.length)}`));
    }
    $("panel").replaceChildren(...parts);
  }
  link(n, text, where = "") {
    return make("button", { type: "button", class: "link", onclick: () => this.reveal(n) }, where ? make("span", { class: "where" }, where) : null, text);
  }
  dot(colour) { return make("span", { class: "dot", style: `background:${colour}` }); }
  cells(...content) { const cell = document.createDocumentFragment(); cell.append(...content); return cell; }

  filesTable() {
    const tree = this.tree, now = this.now, rows = [];
    for (let n = 0; n < tree.count; n++) if (tree.kinds[n] === "f" && (!this.matches || this.matches[n])) rows.push(n);
    const columns = [
      { key: "path", word: "File", wide: true, value: (n) => this.path(n), cell: (n) => {
        const path = this.path(n), at = path.lastIndexOf("/") + 1;
        return this.link(n, path.slice(at), path.slice(0, at));
      } },
      { key: "owner", word: "Owner", value: (n) => tree.names[this.owner(n)], cell: (n) => tree.names[this.owner(n)] },
      { key: "kind", word: "Kind", value: (n) => tree.categories[tree.category[n]], cell: (n) => tree.categories[tree.category[n]] },
      { key: "before", word: "Size", num: true, value: (n) => tree.before[n], cell: (n) => bytes(tree.before[n]) },
    ];
    if (this.views.length) columns.push(
      { key: "after", word: "After", num: true, value: (n) => now.after[n], cell: (n) => now.state[n] === 1 ? "–" : bytes(now.after[n]) },
      { key: "state", word: "Verdict", value: (n) => STATES[now.state[n]], cell: (n) => make("span", { class: `tag ${STATES[now.state[n]]}` }, STATE_WORDS[STATES[now.state[n]]]) },
      { key: "rule", word: "Rule", value: (n) => (this.data.rules[now.rule[n]] || { id: "" }).id, cell: (n) => (this.data.rules[now.rule[n]] || { id: "" }).id },
    );
    return { columns, rows, first: "before" };
  }
  sumTable(word, groups) {
    const rows = [...groups.values()], top = Math.max(1, ...rows.map((row) => row.before));
    const columns = [
      { key: "name", word, wide: true, value: (row) => row.name, cell: (row) => this.cells(row.colour ? this.dot(row.colour) : "", row.node === undefined ? row.name : this.link(row.node, row.name)) },
      { key: "before", word: "Size", num: true, value: (row) => row.before, cell: (row) => bytes(row.before) },
      { key: "bar", word: "", value: (row) => row.before, cell: (row) => make("span", { class: "bar", style: `width:${Math.max(2, 150 * row.before / top)}px;${row.colour ? `background:${row.colour};opacity:1` : ""}` }) },
      { key: "files", word: "Files", num: true, value: (row) => row.files, cell: (row) => number(row.files) },
    ];
    if (this.views.length) columns.splice(3, 0,
      { key: "after", word: "After", num: true, value: (row) => row.after, cell: (row) => bytes(row.after) },
      { key: "change", word: "Change", num: true, value: (row) => row.before - row.after, cell: (row) => row.before === row.after ? "" : change(row.before, row.after) });
    return { columns, rows, first: "before" };
  }
  gather(name, extra) {
    const groups = new Map(), tree = this.tree;
    for (let n = 0; n < tree.count; n++) {
      if (tree.kinds[n] !== "f" || (this.matches && !this.matches[n])) continue;
      const key = name(n);
      let row = groups.get(key);
      if (!row) groups.set(key, row = { name: key, before: 0, after: 0, files: 0, ...extra(n) });
      row.before += tree.before[n]; row.after += this.now.after[n]; row.files++;
    }
    return groups;
  }
  ownersTable() { return this.sumTable("Owner", this.gather((n) => this.tree.names[this.owner(n)], (n) => ({ node: this.owner(n) }))); }
  kindsTable() {
    return this.sumTable("Kind", this.gather((n) => this.tree.categories[this.tree.category[n]],
      (n) => ({ colour: categoryColour(this.tree.categories[this.tree.category[n]], this.dark) })));
  }
  rulesTable() {
    const groups = new Map(), tree = this.tree, now = this.now;
    for (let n = 0; n < tree.count; n++) {
      const rule = this.data.rules[now.rule[n]];
      if (!rule || (this.matches && !this.matches[n])) continue;
      let row = groups.get(rule.id);
      if (!row) groups.set(rule.id, row = { ...rule, saved: 0, files: 0, held: 0 });
      if (now.state[n] === 3) row.held += tree.before[n];
      else { row.saved += tree.before[n] - now.after[n]; row.files++; }
    }
    return { rows: [...groups.values()], first: "saved", columns: [
      { key: "id", word: "Rule", value: (row) => row.id, cell: (row) => make("button", { type: "button", class: "link", onclick: () => { $("search").value = row.id; this.tab = "files"; this.search(row.id); } }, row.id) },
      { key: "saved", word: "Saves", num: true, value: (row) => row.saved, cell: (row) => bytes(row.saved) },
      { key: "files", word: "Files", num: true, value: (row) => row.files, cell: (row) => number(row.files) },
      { key: "held", word: "Held back", num: true, value: (row) => row.held, cell: (row) => row.held ? bytes(row.held) : "" },
      { key: "safety", word: "Profile", value: (row) => row.safety, cell: (row) => row.safety },
      { key: "reason", word: "Reason", wide: true, value: (row) => row.reason, cell: (row) => row.reason },
    ] };
  }
  findings() {
    $("panel").replaceChildren(...this.data.findings.map((one) => {
      const rows = one.rows.filter(([place, , note]) => !this.query || `${place} ${note}`.toLowerCase().includes(this.query));
      return make("section", { class: "finding" },
        make("h3", {}, `${one.title}: ${bytes(one.total)}`),
        make("p", {}, `${one.meaning} ${number(one.count)} in all.`),
        make("table", {}, make("tbody", {}, ...rows.slice(0, 12).map(([place, amount, note]) => make("tr", {},
          make("td", { class: "wide" }, place), make("td", {}, note), make("td", { class: "num" }, bytes(amount)))))));
    }));
  }

  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("mousemove", (event) => {
      const n = this.at(event);
      this.tip(event, n);
      if (n === this.hover) return;
      this.hover = n;
      if (!this.moving) this.draw(this.blocks, 1);
    });
    canvas.addEventListener("mouseleave", () => { this.hover = -1; $("tip").hidden = true; if (!this.moving) this.draw(this.blocks, 1); });
    canvas.addEventListener("click", (event) => {
      const n = this.at(event);
      if (n < 0) return;
      const block = this.blocks.find((one) => one.n === n);
      if (block.leaf && this.tree.kinds[n] === "f") this.pick(n); else this.go(n);
    });
    canvas.addEventListener("dblclick", (event) => { const n = this.at(event); if (n >= 0) this.go(this.step(n), n); });
    canvas.addEventListener("contextmenu", (event) => { event.preventDefault(); this.out(); });
    canvas.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (moves[event.key]) { event.preventDefault(); this.move(...moves[event.key]); }
      if (event.key === "Enter") { event.preventDefault(); if (this.selected !== this.root) this.enter(this.selected); }
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target.tagName === "INPUT";
      if (event.key === "Escape" && typing) { event.target.value = ""; this.search(""); event.target.blur(); canvas.focus(); return; }
      if (typing || event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
      const keys = {
        "/": () => $("search").focus(), b: () => this.views.length && this.set("when", this.when === "before" ? "after" : "before"),
        c: () => this.set("colour", this.colour === "category" ? "state" : "category"), d: () => this.theme(!this.dark),
        "?": () => $("help").showModal(), Escape: () => this.out(), Backspace: () => this.out(),
      };
      if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    });
    for (const button of document.querySelectorAll("[data-when]")) button.addEventListener("click", () => this.set("when", button.dataset.when));
    for (const button of document.querySelectorAll("[data-colour]")) {
      button.setAttribute("aria-pressed", String(button.dataset.colour === this.colour));
      button.addEventListener("click", () => this.set("colour", button.dataset.colour));
    }
    if (!this.views.length) for (const button of document.querySelectorAll("[data-when], [data-colour]")) button.parentElement.hidden = true;
    if (this.views.length > 1) {
      $("profiles").hidden = false;
      $("profiles").append(...this.views.map((view, index) => make("button", {
        type: "button", "data-view": String(index), "aria-pressed": String(index === this.view), onclick: () => this.set("view", index),
      }, view.name)));
    }
    $("search").addEventListener("input", (event) => this.search(event.target.value));
    $("theme-button").addEventListener("click", () => this.theme(!this.dark));
    $("help-button").addEventListener("click", () => $("help").showModal());
    new ResizeObserver(() => this.place(false)).observe($("canvas-box"));
  }
  /** What a double click on a file goes into: the outermost block around it. */
  step(n) { return this.chain(n).find((one) => this.tree.parent[one] === this.root && this.tree.children[one].length) ?? this.root; }

  tip(event, n) {
    const tip = $("tip");
    tip.hidden = n < 0;
    if (n < 0) return;
    const kind = this.tree.kinds[n];
    const state = kind === "f" && this.views.length ? ` · ${STATE_WORDS[STATES[this.now.state[n]]]}` : "";
    const what = kind === "f" ? this.tree.categories[this.tree.category[n]] : `${number(this.fileCounts[n])} files`;
    tip.replaceChildren(make("b", {}, this.tree.names[n]), make("span", {}, `${bytes(this.size[n])} · ${what}${state}`));
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const wide = tip.offsetWidth, high = tip.offsetHeight;
    tip.style.left = `${Math.max(0, x + 16 + wide > box.width ? x - wide - 12 : x + 16)}px`;
    tip.style.top = `${Math.max(0, y + 18 + high > box.height ? y - high - 12 : y + 18)}px`;
  }
}

(async () => {
  try {
    const data = await unpack($("data").textContent);
    window.slimPage = new Page(data);
    document.body.dataset.ready = "yes";
  } catch (error) {
    $("too-old").hidden = typeof DecompressionStream !== "undefined";
    throw error;
  }
})();
