/* What is looked at, and how it is coloured. */

/** What is looked at: state, names, sums and colours. The classes below add what is drawn and what answers. */
class View {
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
  /** The node of a file by its path, or of anything by its name; -1 where there is none. */
  find(path) {
    if (!this.places) {
      this.places = new Map();
      for (let n = this.tree.count - 1; n >= 0; n--) { this.places.set(this.tree.names[n], n); this.places.set(this.path(n), n); }
    }
    return this.places.get(path) ?? -1;
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
}
