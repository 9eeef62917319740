/* GPU code: a colour for each architecture, in tables of architectures, owners and files. */

class GpuTables extends Tables {
  /** Hues by the golden angle: neighbours differ; machine code and PTX of one architecture share one. */
  gpuColour(n) {
    const colour = this.data.gpu.colours[n];
    if (colour < 0) return this.dark ? "#777c84" : "#a4a19a";
    return `hsl(${(205 + 137.5 * colour) % 360} ${this.dark ? 48 : 55}% ${this.dark ? 62 : 46}%)`;
  }
  gpuBar(parts, whole, largest) {
    const { names } = this.data.gpu;
    return make("span", { class: "gpu-bar", style: `width:${Math.max(1, 100 * whole / largest)}%` }, ...parts.map(([n, size]) =>
      make("i", { style: `flex-grow:${size};background:${this.gpuColour(n)}`, title: `${names[n]}: ${bytes(size)}` })));
  }
  gpuPart(title, heads, rows) {
    const head = make("tr", {}, ...heads.map((word, n) => make("th", { scope: "col", class: n ? "num" : null }, word)), make("th", { scope: "col", class: "gpu-wide" }, make("span", { class: "visually-hidden" }, "By architecture")));
    return [make("h3", {}, title), make("table", {}, make("caption", { class: "visually-hidden" }, title), make("thead", {}, head), make("tbody", {}, ...rows.map((cells) =>
      make("tr", {}, ...cells.map((cell, n) => make("td", { class: n === 0 ? "wide" : n < heads.length ? "num" : "gpu-wide" }, cell))))))];
  }
  gpu() {
    const gpu = this.data.gpu, has = (text) => !this.query || text.toLowerCase().includes(this.query);
    const total = gpu.owners.reduce((sum, [, size]) => sum + size, 0);
    const all = gpu.names.map((name, n) => [name, n, ...gpu.rows[n]]);
    const folded = this.query ? [] : all.filter(([, , size, , entries]) => !size && entries);
    const kinds = all.filter(([name, , size, , entries]) => has(name) && (size || (entries && this.query)));
    if (folded.length) kinds[kinds.length - 1][0] += `: ${folded.slice(0, 6).map(([name]) => name).join(", ")}${folded.length > 6 ? ` and ${folded.length - 6} more` : ""}`;
    const most = Math.max(1, ...kinds.map(([, , size]) => size)), owner = Math.max(1, gpu.owners.length && gpu.owners[0][1]);
    const files = gpu.files.filter(([path]) => has(path)), file = Math.max(1, gpu.files[0][1]);
    const parts = [
      ...this.gpuPart(`By architecture: ${bytes(total)}`, ["Architecture", "In files", "Unpacked", "Entries", "Files"], kinds.map(([name, n, size, unpacked, entries, count]) => [
        this.cells(this.dot(this.gpuColour(n)), name), size ? bytes(size) : "together", unpacked ? bytes(unpacked) : "", entries ? number(entries) : "", number(count), this.gpuBar([[n, size]], size, most)])),
      ...this.gpuPart("By owner", ["Owner", "In files", "Files"], gpu.owners.filter(([name]) => has(name)).map(([name, size, count, shares]) => [name, bytes(size), number(count), this.gpuBar(shares, size, owner)])),
      ...this.gpuPart(`By file: ${number(gpu.count)}${gpu.count > gpu.files.length ? `, the largest ${gpu.files.length} of them` : ""}`, ["File", "GPU code", "Of it"], files.map(([path, size, whole, shares]) => [
        this.placed(path), bytes(size), share(size, whole), this.gpuBar(shares, size, file)])),
    ];
    if (gpu.damage.length) parts.push(make("h3", {}, "GPU code that slim can't read"), make("ul", {}, ...gpu.damage.map((text) => make("li", {}, text))));
    $("panel").replaceChildren(make("section", { class: "finding gpu" }, ...parts));
  }
}
