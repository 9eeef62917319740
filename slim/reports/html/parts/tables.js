/* Search, and the tables below the map. */

class Tables extends Drawing {
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
    const all = [["files", "Files"], ["owners", "Owners"], ["kinds", "Kinds"], ["rules", "Rules"], ["gpu", "GPU code"], ["findings", "What stands out"], ["layers", "Layers"]];
    const shown = all.filter(([name]) => (name !== "findings" || this.data.findings.length) && (name !== "rules" || this.views.length) && (name !== "gpu" || this.data.gpu));
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
    if (this.tab === "gpu") { this.gpu(); return; }
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
  /** A place that a finding names, as a link where the map has it. */
  placed(place) {
    const n = this.find(place), at = place.lastIndexOf("/") + 1;
    return n < 0 ? place : this.link(n, place.slice(at), place.slice(0, at));
  }
  findings() {
    $("panel").replaceChildren(...this.data.findings.map((one) => {
      const rows = one.rows.filter(([place, , note]) => !this.query || `${place} ${note}`.toLowerCase().includes(this.query));
      return make("section", { class: "finding" },
        make("h3", {}, `${one.title}: ${bytes(one.total)}`),
        make("p", {}, `${one.meaning} ${number(one.count)} in all.`),
        make("table", {}, make("tbody", {}, ...rows.slice(0, 12).map(([place, amount, note]) => make("tr", {},
          make("td", { class: "wide" }, this.placed(place)), make("td", { class: "note" }, note), make("td", { class: "num" }, bytes(amount)))))));
    }));
  }
}
