/* The map on its canvas. */

class Drawing extends View {
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
          this.label(n, bytes(size[n]), x + 6, y + block.head / 2 + .5, w - 12, kind === "d" ? .78 : .95, dim);
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
        if (twice) { pen.globalAlpha *= .82; this.text(bytes(size[n]), x + 5, y + 25, w - 9); }
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
      pen.globalAlpha = dim ? .12 : alpha * .74;
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
}
