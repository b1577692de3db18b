// The picture: SVG elements for one step. Texts are set as text, never as markup.

const SVG = 'http://www.w3.org/2000/svg';
const world = document.getElementById('world');

function element(name, attributes, ...inside) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

function svgText(text, x, y, kind, room) {
  const most = Math.max(3, Math.floor(room / (kind === 'type' ? 6.2 : 7)));
  const made = element('text', {x, y, class: kind});
  made.textContent = text.length > most ? `${text.slice(0, most - 1)}…` : text;
  return made;
}

/** What a reader says and a pointer that rests is shown. */
function title(text) {
  const made = element('title', {});
  made.textContent = text;
  return made;
}

/** A curve through points that leaves and arrives vertically, as pieces of four points each. */
function pieces(points) {
  return points.slice(1).map(([x1, y1], i) => {
    const [x0, y0] = points[i], middle = (y0 + y1) / 2;
    return [[x0, y0], [x0, middle], [x1, middle], [x1, y1]];
  });
}

function curve(many) {
  let d = '', end = null;
  for (const [a, b, c, e] of many) {
    if (!end || end[0] !== a[0] || end[1] !== a[1]) d += `M${a[0]} ${a[1]}`;
    d += `C${b[0]} ${b[1]} ${c[0]} ${c[1]} ${e[0]} ${e[1]}`;
    end = e;
  }
  return d;
}

const mix = ([x, y], [u, v], t) => [x + t * (u - x), y + t * (v - y)];

/** A piece from its beginning to ``t`` of its way, or from there to its end, by de Casteljau. */
function cut(piece, t, first) {
  const rows = [piece];
  while (rows[rows.length - 1].length > 1) {
    const row = rows[rows.length - 1];
    rows.push(row.slice(1).map((p, i) => mix(row[i], p, t)));
  }
  return first ? rows.map((row) => row[0]) : rows.map((row) => row[row.length - 1]).reverse();
}

const SAMPLES = 48;
const ts = Array.from({length: SAMPLES + 1}, (_, i) => i / SAMPLES);

/** What of a piece runs through an area, with a little before and after it; null if nothing does. */
function within(piece, place) {
  const inside = ts.map((t, i) => (i ? overlap(around([along(piece, ts[i - 1]), along(piece, t)]), place) : false));
  const from = inside.indexOf(true), to = inside.lastIndexOf(true);
  if (from < 0) return null;
  const start = ts[from - 1], end = ts[to];
  const tail = start > 0 ? cut(piece, start, false) : piece;
  return end < 1 ? cut(tail, (end - start) / (1 - start), true) : tail;
}

function along([a, b, c, e], t) {
  const s = 1 - t, [p, q, r, w] = [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t];
  return [p * a[0] + q * b[0] + r * c[0] + w * e[0], p * a[1] + q * b[1] + r * c[1] + w * e[1]];
}

const overlap = (a, b) => a[0] <= b[2] && a[2] >= b[0] && a[1] <= b[3] && a[3] >= b[1];
const contains = (a, b) => a[0] <= b[0] && a[1] <= b[1] && a[2] >= b[2] && a[3] >= b[3];

/**
 * Draw a frame; gives what is on the picture: elements and the areas they take by key, edges with their areas, and what
 * is next to what. An area is [left, top, right, bottom].
 */
function draw(frame, view) {
  const where = positions(frame.scene, view.grouping, view.opened);
  const shown = [...frame.inputs.keys()].filter((k) => where.at.has(k) && !data.nodes[k].folded);
  const gone = frame.before ? [...frame.before.keys()].filter((k) => !frame.inputs.has(k) && where.at.has(k)) : [];
  const all = shown.concat(gone);
  const heat = heatOf(shown, view.heat);
  const alive = new Set(all);
  const boxes = where.boxes.filter((b) => b.members.some((k) => alive.has(k)));
  const groups = document.createDocumentFragment(), lines = document.createDocumentFragment();
  const nodes = document.createDocumentFragment(), elements = new Map(), areas = new Map();
  for (const box of boxes) {
    elements.set(box.name, groups.appendChild(drawBox(box, heat, alive)));
    areas.set(box.name, area(box.x, box.y, box.w, box.h));
  }
  const {near, edges} = drawEdges(frame, where, alive, lines);
  for (const k of all) {
    const box = where.boxOf.get(k);
    if (box && !box.isOpen) continue;
    elements.set(k, nodes.appendChild(drawNode(k, frame, where.at.get(k), heat)));
    areas.set(k, area(...where.at.get(k), ...frame.scene.captions[k].slice(1)));
  }
  world.replaceChildren(groups, lines, nodes);
  return {elements, areas, edges, near, where, shown, bounds: boundsOf(areas)};
}

const area = (x, y, w, h) => [x - w / 2, y - h / 2, x + w / 2, y + h / 2];

/** The area around some points. */
function around(points) {
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function drawNode(k, frame, [x, y], heat) {
  const node = data.nodes[k], [caption, w, h] = frame.scene.captions[k];
  const kinds = ['node', node.kind];
  if (frame.outputs.has(k)) kinds.push('output');
  if (!frame.inputs.has(k)) kinds.push('gone');
  else if (frame.before && !frame.before.has(k)) kinds.push('new');
  const spoken = `${caption}, ${node.type}${node.source === null ? '' : `, ${place(node.source)}`}`;
  const rect = element('rect', {x: x - w / 2, y: y - h / 2, width: w, height: h, rx: 7});
  if (heat.has(k)) {
    rect.style.fill = `rgba(var(--heat), ${heat.get(k)})`;
    kinds.push('hot');
  }
  return element('g', {class: kinds.join(' '), role: 'button', tabindex: -1, 'data-node': k}, title(spoken), rect,
    svgText(caption, x, y - 3, 'title', w - 10), svgText(node.type, x, y + 13, 'type', w - 8));
}

function drawBox(box, heat, alive) {
  const made = element('g', {
    class: `box ${box.isOpen ? 'open' : 'closed'}`, role: 'button', tabindex: -1, 'aria-expanded': box.isOpen,
    'data-box': box.name,
  }, title(`group ${box.name}, ${box.members.length} nodes`), element('rect', {x: box.x - box.w / 2, y: box.y - box.h / 2, width: box.w, height: box.h, rx: 9}));
  if (box.isOpen) {
    made.append(svgText(box.name, box.x - box.w / 2 + 10, box.y - box.h / 2 + 16, 'name', box.w - 20));
  } else {
    const inside = box.members.filter((k) => alive.has(k)).length;
    made.append(svgText(box.name, box.x, box.y - 3, 'name', box.w - 10),
      svgText(inside === 1 ? '1 node' : `${inside} nodes`, box.x, box.y + 13, 'type', box.w - 8));
    const hottest = Math.max(0, ...box.members.map((k) => heat.get(k) || 0));
    if (hottest) made.querySelector('rect').style.fill = `rgba(var(--heat), ${hottest})`;
  }
  return made;
}

/** Edges between what is visible, each once: their paths and areas, and name of an end -> [the other end, path]. */
function drawEdges(frame, where, alive, lines) {
  const near = new Map(), seen = new Set(), edges = [];
  const end = (k) => { const box = where.boxOf.get(k); return box && !box.isOpen ? box.name : k; };
  const list = (inputs, kind) => {
    for (const k of inputs.keys()) {
      if (!alive.has(k)) continue;
      for (const a of drawnInputs(inputs, k)) {
        const from = end(a), to = end(k), key = `${from},${to}`;
        if (from === to || seen.has(key) || !alive.has(a)) continue;
        seen.add(key);
        const points = between(a, k, frame, where), many = pieces(points);
        const path = lines.appendChild(element('path', {d: curve(many), class: kind}));
        edges.push({path, many, area: around(points), whole: true});
        if (!near.has(from)) near.set(from, []);
        if (!near.has(to)) near.set(to, []);
        near.get(from).push([to, path]);
        near.get(to).push([from, path]);
      }
    }
  };
  list(frame.inputs, 'edge');
  if (frame.before) list(frame.before, 'edge gone');
  return {near, edges};
}

function between(a, b, frame, where) {
  const route = where.routes[`${a},${b}`];
  if (route) return route;
  const edgeOf = (k) => {
    const box = where.boxOf.get(k);
    return box && !box.isOpen ? [[box.x, box.y], box.h] : [where.at.get(k), frame.scene.captions[k][2]];
  };
  const [[ax, ay], ah] = edgeOf(a), [[bx, by], bh] = edgeOf(b);
  return by > ay ? [[ax, ay + ah / 2], [bx, by - bh / 2]] : [[ax, ay - ah / 2], [bx, by + bh / 2]];
}

function heatOf(shown, measure) {
  const found = new Map();
  if (measure === 'none') return found;
  const weights = shown.map((k) => [k, weight(k, measure)]).filter(([, w]) => w);
  const most = Math.max(...weights.map(([, w]) => w));
  for (const [k, w] of weights) found.set(k, (0.05 + 0.45 * Math.sqrt(w / most)).toFixed(3));
  return found;
}

function boundsOf(areas) {
  if (!areas.size) return {left: 0, top: 0, width: 1, height: 1};
  const [left, top, right, bottom] = around([...areas.values()].flatMap(([l, t, r, b]) => [[l, t], [r, b]]));
  return {left, top, width: right - left, height: bottom - top};
}
