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

/** A curve through points that leaves and arrives vertically. */
function curve(points) {
  let d = `M${points[0][0]} ${points[0][1]}`;
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1], [x1, y1] = points[i], middle = (y0 + y1) / 2;
    d += ` C${x0} ${middle} ${x1} ${middle} ${x1} ${y1}`;
  }
  return d;
}

/** Draw a frame; gives what is on the picture: {elements, near, bounds}. */
function draw(frame, view) {
  const where = positions(frame.scene, view.grouping, view.opened);
  const shown = [...frame.inputs.keys()].filter((k) => where.at.has(k) && !data.nodes[k].folded);
  const gone = frame.before ? [...frame.before.keys()].filter((k) => !frame.inputs.has(k) && where.at.has(k)) : [];
  const all = shown.concat(gone);
  const heat = heatOf(shown, view.heat);
  const alive = new Set(all);
  const boxes = where.boxes.filter((b) => b.members.some((k) => alive.has(k)));
  const groups = document.createDocumentFragment(), lines = document.createDocumentFragment();
  const nodes = document.createDocumentFragment(), elements = new Map();
  for (const box of boxes) elements.set(box.name, groups.appendChild(drawBox(box, heat, alive)));
  const near = drawEdges(frame, where, alive, lines);
  for (const k of all) {
    const box = where.boxOf.get(k);
    if (!box || box.isOpen) elements.set(k, nodes.appendChild(drawNode(k, frame, where.at.get(k), heat)));
  }
  world.replaceChildren(groups, lines, nodes);
  return {elements, near, where, shown, bounds: boundsOf(where, all, boxes, frame.scene)};
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

/** Edges between what is visible, each once; gives name of an end -> [the other end, path]. */
function drawEdges(frame, where, alive, lines) {
  const near = new Map(), seen = new Set();
  const end = (k) => { const box = where.boxOf.get(k); return box && !box.isOpen ? box.name : k; };
  const list = (inputs, kind) => {
    for (const k of inputs.keys()) {
      if (!alive.has(k)) continue;
      for (const a of drawnInputs(inputs, k)) {
        const from = end(a), to = end(k), key = `${from},${to}`;
        if (from === to || seen.has(key) || !alive.has(a)) continue;
        seen.add(key);
        const path = lines.appendChild(element('path', {d: curve(between(a, k, frame, where)), class: kind}));
        if (!near.has(from)) near.set(from, []);
        if (!near.has(to)) near.set(to, []);
        near.get(from).push([to, path]);
        near.get(to).push([from, path]);
      }
    }
  };
  list(frame.inputs, 'edge');
  if (frame.before) list(frame.before, 'edge gone');
  return near;
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

function boundsOf(where, all, boxes, scene) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  const grow = (x, y, w, h) => {
    left = Math.min(left, x - w / 2); right = Math.max(right, x + w / 2);
    top = Math.min(top, y - h / 2); bottom = Math.max(bottom, y + h / 2);
  };
  for (const k of all) grow(...where.at.get(k), ...scene.captions[k].slice(1));
  for (const b of boxes) grow(b.x, b.y, b.w, b.h);
  return all.length ? {left, top, width: right - left, height: bottom - top} : {left: 0, top: 0, width: 1, height: 1};
}
