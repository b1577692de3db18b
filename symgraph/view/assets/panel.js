// The side panel: a step, a node or a group in words.

const panel = document.getElementById('panel');

function html(name, text, ...inside) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...inside);
  return made;
}

function terms(pairs) {
  const list = html('dl');
  for (const [key, value] of pairs) if (value !== '' && value !== null) list.append(html('dt', key), html('dd', value));
  return list;
}

function section(name, ...inside) {
  return inside.length ? [html('h3', name), ...inside] : [];
}

function excerpt(source) {
  if (source === null) return [];
  const s = data.sources[source], code = html('pre', s.excerpt.join('\n'));
  code.tabIndex = 0;
  const [heading, ...rest] = section(`${s.label}${s.function ? ` in ${s.function}` : ''}`, code);
  heading.title = s.file;
  return [heading, ...rest];
}

function code(text) {
  const made = html('pre', text);
  made.tabIndex = 0;
  return made;
}

function buttons(targets, go) {
  const list = html('ul');
  for (const [label, target] of targets) {
    const button = html('button', label);
    button.type = 'button';
    button.addEventListener('click', () => go(target));
    list.append(html('li', '', button));
  }
  return list.children.length ? [list] : [];
}

const nodeLabel = (k) => { const n = data.nodes[k]; return `${n.op || n.name || n.value || n.kind} ${n.type}`; };

function showStep(frame, number) {
  const {step, scene} = frame;
  panel.replaceChildren(
    html('h2', step.rule || scene.phase),
    html('p', step.why),
    ...(step.before ? [...section('before', code(step.before)), ...section('after', code(step.after))] : []),
    ...excerpt(step.source),
    ...section('where it stands', terms([
      ['step', `${number + 1} of ${frames.length}`], ['phase', scene.phase], ['nodes', String(frame.inputs.size)],
      ['bytes', total(frame, 'bytes', 'B')], ['work', total(frame, 'flops', 'flop')],
    ])),
    ...(data.groups.length ? section('program', programTable()) : []),
  );
}

function total(frame, field, unit) {
  const known = [...frame.inputs.keys()].filter((k) => data.nodes[k].kind === 'op').map((k) => data.nodes[k][field]);
  return known.includes(null) ? 'not known' : amount(known.reduce((a, b) => a + b, 0), unit);
}

function programTable() {
  const table = html('table'), head = html('tr');
  const timed = data.groups.some((g) => g.seconds !== null);
  for (const name of ['part', 'ops', 'bytes', 'work', ...(timed ? ['time'] : [])]) {
    const cell = html('th', name);
    cell.scope = 'col';
    head.append(cell);
  }
  table.append(head);
  for (const g of data.groups) {
    const cells = [g.name, String(g.nodes.length), amount(g.bytes, 'B'), amount(g.flops, 'flop')];
    if (timed) cells.push(g.seconds === null ? '' : duration(g.seconds));
    table.append(html('tr', '', ...cells.map((text) => html('td', text))));
  }
  return table;
}

function showNode(k, frame, go) {
  const n = data.nodes[k], kernel = kernelOf.get(k);
  const users = [...frame.inputs.keys()].filter((u) => frame.inputs.get(u).some(([a]) => a === k));
  const operands = frame.inputs.has(k) ? frame.inputs.get(k).map(([a]) => a) : [];
  panel.replaceChildren(
    html('h2', n.op || n.name || n.value || n.kind),
    terms([
      ['kind', n.kind], ['name', n.name], ['type', n.type], ['value', n.value], ['formula', n.formula],
      ...Object.entries(n.attrs), ['bytes', amount(n.bytes, 'B')],
      ['work', n.kind === 'op' ? amount(n.flops, 'flop') : ''], ['part', kernel ? kernel.name : ''],
    ]),
    ...(data.ops[n.op] ? section('what it means', html('p', data.ops[n.op])) : []),
    ...excerpt(n.source),
    ...section('operands', ...buttons(operands.map((a) => [nodeLabel(a), a]), go)),
    ...section('used by', ...buttons(users.map((u) => [nodeLabel(u), u]), go)),
    ...(kernel && kernel.code ? section(`code of ${kernel.name}`, code(kernel.code)) : []),
  );
}

function showBox(box, frame, go) {
  const group = data.groups.find((g) => g.name === box.name);
  const members = box.members.filter((k) => frame.inputs.has(k));
  const lines = [...new Set(members.map((k) => data.nodes[k].source).filter((s) => s !== null))];
  panel.replaceChildren(
    html('h2', box.name),
    terms(group ? [
      ['kind', group.kind], ['reads', group.reads.join(', ')], ['writes', group.writes.join(', ')],
      ['bytes', amount(group.bytes, 'B')], ['work', amount(group.flops, 'flop')],
      ['time', group.seconds === null ? '' : duration(group.seconds)],
    ] : [['nodes', String(members.length)]]),
    ...section('members', ...buttons(members.map((k) => [nodeLabel(k), k]), go)),
    ...lines.slice(0, 12).flatMap(excerpt),
    ...(group && group.code ? section('code', code(group.code)) : []),
  );
}
