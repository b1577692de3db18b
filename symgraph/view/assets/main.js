// What is shown, how the user changes it, and the address that says it.

const ask = (id) => document.getElementById(id);
const picture = ask('picture');
const nodeCount = (frame) => [...frame.inputs.keys()].filter((k) => !data.nodes[k].folded).length;

const view = {frame: frames.length - 1, grouping: 'none', heat: 'none', opened: new Set(), chosen: null,
  query: '', x: 0, y: 0, scale: 1};
const FAR = 0.28;  // of the full size: nothing can be read there, and texts are what takes time
const MARGIN = 0.5;  // of the window, around it: what is drawn there too, so that not every move changes what is drawn
let drawn = null;
let focus = null;
let drawnArea = null;  // the area of which all is drawn, and the scale it is for

// ---------------------------------------------------------------------------------------- showing

function groupNames(frame) {
  return (frame.scene.groupings[view.grouping] || []).map((b) => b.name).filter(Boolean);
}

function show(refit) {
  const frame = frames[view.frame];
  fillGroupings(frame);
  drawn = draw(frame, view);
  drawnArea = null;
  mark();
  ask('step').value = view.frame;
  ask('step').setAttribute('aria-valuetext', stepText(frame));
  ask('phase').value = data.scenes.indexOf(frame.scene);
  ask('grouping').value = view.grouping;
  ask('heat').value = view.heat;
  say(frame);
  if (refit) begin(); else move();
  inform(frame);
}

function inform(frame) {
  if (typeof view.chosen === 'number' && (frame.inputs.has(view.chosen) || drawn.elements.has(view.chosen))) {
    showNode(view.chosen, frame, choose);
  } else if (drawn.where.boxes.some((b) => b.name === view.chosen)) {
    showBox(drawn.where.boxes.find((b) => b.name === view.chosen), frame, choose);
  } else {
    showStep(frame, view.frame);
  }
}

const stepText = (frame) => `${frame.scene.phase}${frame.step.rule ? `: ${frame.step.rule}` : ''}`;

function say(frame) {
  const why = frame.step.why.split('\n')[0], at = place(frame.step.source);
  ask('said').replaceChildren(html('b', stepText(frame)), ` ${at ? `(${at}) ` : ''}${why}`);
}

/** Which grouping a frame has: the kernels only the last scene, so others fall back to none. */
function fillGroupings(frame) {
  const names = ['none', ...Object.keys(frame.scene.groupings)];
  if (!names.includes(view.grouping)) view.grouping = 'none';
  ask('grouping').replaceChildren(...names.map((n) => option(n, n)));
}

function option(value, text) {
  const made = html('option', text);
  made.value = value;
  return made;
}

function mark() {
  const hits = found();
  for (const [key, e] of drawn.elements) {
    e.classList.toggle('chosen', key === view.chosen);
    e.classList.toggle('found', hits.has(key));
    e.setAttribute('tabindex', -1);
  }
  for (const path of world.querySelectorAll('.edge.near')) path.classList.remove('near');
  for (const [, path] of drawn.near.get(view.chosen) || []) path.classList.add('near');
  if (!drawn.elements.has(focus)) focus = drawn.elements.has(view.chosen) ? view.chosen : drawn.elements.keys().next().value;
  for (const key of [focus, view.chosen]) drawn.elements.get(key)?.classList.remove('out');
  if (drawn.elements.has(focus)) drawn.elements.get(focus).setAttribute('tabindex', 0);
}

// ---------------------------------------------------------------------------------------- searching

/** The nodes that fit the query, or the closed boxes that hold them. */
function found() {
  const words = view.query.toLowerCase().split(/\s+/).filter(Boolean), hits = new Set();
  let count = 0;
  if (words.length) {
    for (const k of drawn.shown) {
      const n = data.nodes[k];
      const text = `${n.op} ${n.name} ${n.kind} ${n.type} ${n.value} ${place(n.source)}`.toLowerCase();
      if (!words.every((w) => text.includes(w))) continue;
      count++;
      const box = drawn.where.boxOf.get(k);
      hits.add(box && !box.isOpen ? box.name : k);
    }
  }
  ask('found').textContent = words.length ? `${count} found` : '';
  return hits;
}

function nextHit() {
  const hits = [...found()];
  if (hits.length) choose(hits[(hits.indexOf(view.chosen) + 1) % hits.length], true);
}

// ---------------------------------------------------------------------------------------- moving

const size = {width: 0, height: 0};
new ResizeObserver(([entry]) => { measure(entry.contentRect); cull(); }).observe(picture);

function measure({width, height}) {
  Object.assign(size, {width, height});
}

function move() {
  world.setAttribute('transform', `translate(${view.x} ${view.y}) scale(${view.scale})`);
  picture.classList.toggle('far', view.scale < FAR);
  cull();
  remember();
}

/**
 * Take out of the picture what is far from the window, the far parts of long edges too: what nobody sees takes as long
 * to paint as what one sees.
 */
function cull() {
  if (!drawn) return;
  const [width, height] = [size.width / view.scale, size.height / view.scale];
  const seen = area(width / 2 - view.x / view.scale, height / 2 - view.y / view.scale, width, height);
  if (drawnArea && drawnArea.scale === view.scale && contains(drawnArea.place, seen)) return;
  const [x, y] = [MARGIN * width, MARGIN * height];
  const place = [seen[0] - x, seen[1] - y, seen[2] + x, seen[3] + y];
  drawnArea = {scale: view.scale, place};
  for (const [key, where] of drawn.areas) {
    drawn.elements.get(key).classList.toggle('out', !overlap(where, place) && key !== focus && key !== view.chosen);
  }
  for (const edge of drawn.edges) {
    const out = !overlap(edge.area, place), whole = out || contains(place, edge.area);
    edge.path.classList.toggle('out', out);
    if (whole && edge.whole) continue;
    edge.path.setAttribute('d', curve(whole ? edge.many : edge.many.map((p) => within(p, place)).filter(Boolean)));
    edge.whole = whole;
  }
}

function fit() {
  const {width, height} = size, b = drawn.bounds;
  view.scale = Math.min(1.2, 0.94 * width / b.width, 0.94 * height / b.height) || 1;
  view.x = width / 2 - view.scale * (b.left + b.width / 2);
  view.y = height / 2 - view.scale * (b.top + b.height / 2);
  move();
}

/** The whole picture if it can be read then, else its top. */
function begin() {
  fit();
  if (view.scale >= 0.4) return;
  const {width} = size, b = drawn.bounds;
  const top = [...drawn.elements.keys()].find((k) => typeof k === 'string' || data.nodes[k].kind === 'input');
  view.scale = Math.max(0.6, view.scale);
  view.y = 14 - view.scale * b.top;
  view.x = width / 2 - view.scale * middle(drawn.areas.has(top) ? top : drawn.areas.keys().next().value).x;
  move();
}

function zoom(factor, x, y) {
  const next = Math.min(4, Math.max(0.02, view.scale * factor)), real = next / view.scale;
  view.x = x - real * (x - view.x);
  view.y = y - real * (y - view.y);
  view.scale = next;
  move();
}

function zoomAtCentre(factor) {
  zoom(factor, size.width / 2, size.height / 2);
}

/** Bring an element into sight if it is not. */
function reveal(key) {
  if (!drawn.areas.has(key)) return;
  const x = view.x + view.scale * middle(key).x, y = view.y + view.scale * middle(key).y;
  if (x > 30 && y > 20 && x < size.width - 30 && y < size.height - 20) return;
  view.x += size.width / 2 - x;
  view.y += size.height / 2 - y;
  move();
}

// ---------------------------------------------------------------------------------------- choosing

function choose(key, andReveal = true) {
  const box = typeof key === 'number' ? drawn.where.boxOf.get(key) : null;
  view.chosen = key;
  if (box && !box.isOpen) { view.opened.add(box.name); show(false); } else { mark(); inform(frames[view.frame]); remember(); }
  if (andReveal) reveal(key);
}

function toggle(name) {
  if (!name) return;
  const before = drawn.areas.get(name);
  view.opened.has(name) ? view.opened.delete(name) : view.opened.add(name);
  view.chosen = name;
  show(false);
  const after = drawn.areas.get(name);
  if (before && after) {
    view.x += view.scale * (before[0] - after[0]);
    view.y += view.scale * (before[1] - after[1]);
    move();
  }
  focusOn(name);
}

function focusOn(key) {
  const e = drawn.elements.get(key);
  if (!e) return;
  focus = key;
  mark();
  e.focus({preventScroll: true});
  reveal(key);
}

/** The visible thing that an arrow leads to: a neighbour in the graph up and down, in the row left and right. */
function beside(key, direction) {
  if (!drawn.areas.has(key)) return undefined;
  const here = middle(key);
  const vertical = direction === 'ArrowUp' || direction === 'ArrowDown';
  const sign = direction === 'ArrowDown' || direction === 'ArrowRight' ? 1 : -1;
  const others = vertical ? (drawn.near.get(key) || []).map(([k]) => k) : [...drawn.elements.keys()];
  let best, least = Infinity;
  for (const k of others) {
    if (k === key || !drawn.areas.has(k)) continue;
    const there = middle(k), dx = there.x - here.x, dy = there.y - here.y;
    const along = sign * (vertical ? dy : dx), across = Math.abs(vertical ? dx : dy);
    if (along <= 0 || (!vertical && across > along * 2)) continue;
    if (along + 3 * across < least) { least = along + 3 * across; best = k; }
  }
  return best;
}

function middle(key) {
  const [left, top, right, bottom] = drawn.areas.get(key);
  return {x: (left + right) / 2, y: (top + bottom) / 2};
}

// ---------------------------------------------------------------------------------------- the address

let pending = 0;
function remember() {
  clearTimeout(pending);
  pending = setTimeout(() => {
    const said = new URLSearchParams({step: view.frame, group: view.grouping, heat: view.heat, q: view.query,
      chosen: JSON.stringify(view.chosen), open: JSON.stringify([...view.opened]),
      at: [view.x.toFixed(1), view.y.toFixed(1), view.scale.toFixed(4)].join(',')});
    history.replaceState(null, '', `#${said}`);
  }, 150);
}

/** Take over what the address says; false if it says nothing. */
function recall() {
  const said = new URLSearchParams(location.hash.slice(1));
  if (!said.has('step')) return false;
  view.frame = Math.min(frames.length - 1, Math.max(0, Number(said.get('step')) || 0));
  view.grouping = said.get('group') || 'none';
  view.heat = ['bytes', 'flops', 'time'].includes(said.get('heat')) ? said.get('heat') : 'none';
  view.query = said.get('q') || '';
  ask('search').value = view.query;
  try {
    view.chosen = JSON.parse(said.get('chosen'));
    view.opened = new Set(JSON.parse(said.get('open')));
  } catch { view.chosen = null; }
  const at = (said.get('at') || '').split(',').map(Number);
  const whole = at.length === 3 && at.every(Number.isFinite) && at[2] > 0;
  if (whole) [view.x, view.y, view.scale] = at;
  show(!whole);
  return true;
}

// ---------------------------------------------------------------------------------------- what the user does

function goTo(number) {
  const next = Math.min(frames.length - 1, Math.max(0, number));
  const other = frames[next].scene !== frames[view.frame].scene;
  view.frame = next;
  if (typeof view.chosen === 'number' && !frames[next].inputs.has(view.chosen)) view.chosen = null;
  show(other);
}

const KEYS = {
  j: () => goTo(view.frame + 1), k: () => goTo(view.frame - 1), f: fit,
  '+': () => zoomAtCentre(1.25), '=': () => zoomAtCentre(1.25), '-': () => zoomAtCentre(0.8),
  '/': () => ask('search').focus(),
  e: () => toggle(typeof view.chosen === 'string' ? view.chosen : drawn.where.boxOf.get(view.chosen ?? focus)?.name),
  h: () => { const names = heatNames(); view.heat = names[(names.indexOf(view.heat) + 1) % names.length]; show(false); },
  Escape: () => { view.chosen = null; mark(); inform(frames[view.frame]); remember(); },
};

const heatNames = () => ['none', 'bytes', 'flops', ...(data.groups.some((g) => g.seconds !== null) ? ['time'] : [])];

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = ['INPUT', 'SELECT', 'TEXTAREA'].includes(event.target.tagName);
  if (typing) {
    if (event.key === 'Escape') event.target.blur();
    if (event.key === 'Enter' && event.target === ask('search')) nextHit();
    return;
  }
  const on = event.target.closest ? event.target.closest('.node, .box') : null;
  if (on && event.key.startsWith('Arrow')) {
    focusOn(beside(focus, event.key));
  } else if (on && (event.key === 'Enter' || event.key === ' ')) {
    on.dataset.box ? toggle(on.dataset.box) : choose(Number(on.dataset.node), false);
  } else if (KEYS[event.key]) {
    KEYS[event.key]();
  } else return;
  event.preventDefault();
});

let drag = null;
picture.addEventListener('pointerdown', (event) => {
  drag = {x: event.clientX, y: event.clientY, moved: false, on: event.target.closest('.node, .box')};
  picture.setPointerCapture(event.pointerId);
  picture.classList.add('dragging');
});
picture.addEventListener('pointermove', (event) => {
  if (!drag) return;
  const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
  if (!drag.moved && Math.hypot(dx, dy) < 4) return;
  Object.assign(drag, {x: event.clientX, y: event.clientY, moved: true});
  view.x += dx;
  view.y += dy;
  move();
});
picture.addEventListener('pointerup', () => {
  picture.classList.remove('dragging');
  const {moved, on} = drag || {moved: true};
  drag = null;
  if (moved) return;
  if (!on) KEYS.Escape();
  else if (on.dataset.node) { focus = Number(on.dataset.node); choose(focus, false); }
  else choose(on.dataset.box, false);
});
picture.addEventListener('dblclick', (event) => toggle(event.target.closest('.box')?.dataset.box));
picture.addEventListener('wheel', (event) => {
  event.preventDefault();
  const {left, top} = picture.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY * 0.0015), event.clientX - left, event.clientY - top);
}, {passive: false});

ask('back').addEventListener('click', KEYS.k);
ask('forth').addEventListener('click', KEYS.j);
ask('fit').addEventListener('click', fit);
ask('step').addEventListener('input', () => goTo(Number(ask('step').value)));
ask('phase').addEventListener('change', () => {
  const last = frames.map((f) => f.scene).lastIndexOf(data.scenes[Number(ask('phase').value)]);
  goTo(last);
});
ask('grouping').addEventListener('change', () => {
  view.grouping = ask('grouping').value;
  openByDefault();
  show(true);
});
ask('heat').addEventListener('change', () => { view.heat = ask('heat').value; show(false); });
ask('open-all').addEventListener('click', () => { view.opened = new Set(groupNames(frames[view.frame])); show(true); });
ask('close-all').addEventListener('click', () => { view.opened.clear(); show(true); });
ask('search').addEventListener('input', () => { view.query = ask('search').value; mark(); remember(); });
window.addEventListener('hashchange', recall);

/** Groups start open where there is room for all. */
function openByDefault() {
  const frame = frames[view.frame];
  view.opened = new Set(nodeCount(frame) > data.crowded ? [] : groupNames(frame));
}

measure(picture.getBoundingClientRect());
ask('step').max = frames.length - 1;
ask('phase').replaceChildren(...data.scenes.map((s, i) => option(i, s.phase)));
ask('heat').replaceChildren(...heatNames().map((n) => option(n, n)));
if (!recall()) {
  if (nodeCount(frames[view.frame]) > data.crowded) view.grouping = 'source';
  else if (data.groups.length) view.grouping = 'kernel';
  openByDefault();
  show(true);
}
