/* What the page knows: a tree of sizes, and what each profile makes of it. No document in sight. */

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
