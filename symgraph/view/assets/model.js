// What the document says, made ready to be drawn: states from their changes, and where everything is.

const data = JSON.parse(document.getElementById('data').textContent);
const GAP = 18, RANK_GAP = 46, HEAD = 24;

/** Every step of every scene in order: {scene, step, state, before}. */
const frames = [];
for (const scene of data.scenes) {
  let inputs = new Map();
  for (const step of scene.steps) {
    const before = step === scene.steps[0] ? null : inputs;
    inputs = new Map(inputs);
    for (const k of step.removed) inputs.delete(k);
    for (const [k, refs] of Object.entries(step.inputs)) inputs.set(Number(k), refs);
    frames.push({scene, step, inputs, before, outputs: new Map(step.outputs.map(([label, k]) => [k, label]))});
  }
}

const kernelOf = new Map();
for (const group of data.groups) for (const k of group.nodes) if (!kernelOf.has(k)) kernelOf.set(k, group);

const drawnInputs = (inputs, k) => inputs.get(k).map(([a]) => a).filter((a) => !data.nodes[a].folded);

function place(source) {
  return source === null ? '' : data.sources[source].label;
}

/** The nondecreasing numbers nearest to the wishes; see layout.py. */
function nondecreasing(wishes) {
  const pools = [];
  for (const wish of wishes) {
    let total = wish, count = 1;
    while (pools.length && pools[pools.length - 1][0] / pools[pools.length - 1][1] > total / count) {
      const [more, n] = pools.pop();
      total += more;
      count += n;
    }
    pools.push([total, count]);
  }
  return pools.flatMap(([total, count]) => Array(count).fill(total / count));
}

/** Centres of the nodes of a scene, and its boxes; of a closed box the members stand where the box is. */
function positions(scene, grouping, opened) {
  const at = new Map(), boxes = [], boxOf = new Map();
  if (!scene.groupings[grouping]) {
    for (const [k, p] of Object.entries(scene.flat.at)) at.set(Number(k), p);
    return {at, boxes, boxOf, routes: scene.flat.routes};
  }
  const rows = [];
  for (const box of scene.groupings[grouping]) (rows[box.row] ||= []).push(box);
  const framed = scene.groupings[grouping].filter((b) => b.name);
  const part = framed.length ? framed.filter((b) => opened.has(b.name)).length / framed.length : 0;
  let y = 0;
  for (const row of rows) {
    const sizes = row.map((b) => (b.name && !opened.has(b.name) ? b.closed : b.open));
    const offsets = [0];
    for (let i = 1; i < row.length; i++) offsets.push(offsets[i - 1] + (sizes[i - 1][0] + sizes[i][0]) / 2 + GAP);
    const xs = nondecreasing(row.map((b, i) => (1 - part) * b.x[0] + part * b.x[1] - offsets[i]));
    const height = Math.max(...sizes.map((s) => s[1]));
    row.forEach((box, i) => putBox(box, xs[i] + offsets[i], y + height / 2, sizes[i], opened, at, boxes, boxOf));
    y += height + RANK_GAP;
  }
  return {at, boxes, boxOf, routes: {}};
}

function putBox(box, x, y, [w, h], opened, at, boxes, boxOf) {
  const isOpen = !box.name || opened.has(box.name);
  const left = x - w / 2 + box.left, top = y - h / 2 + (box.name ? HEAD : 0);
  box.members.forEach((k, i) => at.set(k, isOpen ? [left + box.at[i][0], top + box.at[i][1]] : [x, y]));
  if (!box.name) return;
  const made = {name: box.name, members: box.members, x, y, w, h, isOpen};
  boxes.push(made);
  for (const k of box.members) boxOf.set(k, made);
}

function amount(n, unit) {
  if (n === null || n === undefined) return 'not known';
  const names = ['', 'k', 'M', 'G', 'T'];
  let i = 0;
  while (n >= 1000 && i < names.length - 1) { n /= 1000; i++; }
  return `${i ? n.toFixed(n < 10 ? 2 : n < 100 ? 1 : 0) : n} ${names[i]}${unit}`;
}

const duration = (s) => (s >= 1e-3 ? `${(s * 1e3).toFixed(3)} ms` : `${(s * 1e6).toFixed(2)} µs`);

/** What a node weighs by a measure; null where it is not known. */
function weight(k, measure) {
  if (measure === 'time') return kernelOf.has(k) ? kernelOf.get(k).seconds : null;
  return data.nodes[k][measure] ?? null;
}
