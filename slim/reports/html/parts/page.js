/* The page: the parts around the map, and everything that answers to mouse and keyboard. */

class Page extends GpuTables {
  constructor(data) {
    super(data);
    this.listen();
    this.theme(this.dark);
    this.refresh();
  }

  refresh(animate = false) {
    this.hero(); this.crumbs(); this.details(); this.tabs(); this.table();
    this.place(animate);
  }

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
  word(mark) {
    const name = this.markName(mark);
    return this.colour !== "state" ? name : (this.when === "after" ? AFTER_WORDS : STATE_WORDS)[name];
  }

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
