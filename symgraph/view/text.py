"""Graphs as text: a list for people, DOT for Graphviz, Mermaid for pages that draw it."""

from __future__ import annotations

from collections.abc import Iterator

from symgraph.view.brief import counted
from symgraph.view.document import Document, Node, State
from symgraph.view.frames import by_kernel, caption, type_text


def listing(doc: Document, phase: str | None = None) -> str:
    """A line for each op: its number, type, call and place; under the part that computes it."""
    state = doc.state(phase)
    grouping = by_kernel(doc) if phase is None else {}
    ops = [k for k in state.inputs if doc.nodes[k].kind == "op"]
    number = {k: f"%{n}" for n, k in enumerate(ops)}
    parts = f", {counted(len(doc.groups), 'part')}" if doc.groups and grouping else ""
    lines = [f"{doc.title}: {counted(len(ops), 'op')}{parts}"]
    for k in state.inputs:
        node = doc.nodes[k]
        if node.kind in ("input", "shared"):
            lines.append(f"  {f'{node.kind} {node.title}' if node.name else node.title}: {type_text(node)}")
    part = ""
    for k in ops:
        if grouping and grouping.get(k, "") != part:
            part = grouping.get(k, "")
            lines.append(f"{part or 'no part'}:")
        lines.append(f"  {_line(doc, state, k, number)}")
    lines += [f"{label} = {_called(doc, ref, number)}" for label, ref in state.outputs]
    return "\n".join(lines) + "\n"


def _line(doc: Document, state: State, k: int, number: dict[int, str]) -> str:
    node = doc.nodes[k]
    attrs = [f"{name}={value!r}" for name, value in node.attrs.items() if value not in (None, False)]
    call = ", ".join([*(_called(doc, ref, number) for ref in state.inputs[k]), *attrs])
    place = doc.place(node.source)
    return f"{number[k]} {type_text(node)}  {node.op}({call})" + (f"  {place}" if place else "")


def _called(doc: Document, ref: tuple[int, int], number: dict[int, str]) -> str:
    k, slot = ref
    return number.get(k, doc.nodes[k].title) + (f".{slot}" if len(doc.nodes[k].types) > 1 else "")


# ------------------------------------------------------------------------------------------------ drawings

SHAPES = {"input": "ellipse", "shared": "cylinder", "constant": "note", "op": "box"}


def dot(doc: Document, phase: str | None = None) -> str:
    """The graph in Graphviz's language, parts of the program as clusters."""
    lines = [f"digraph {_quoted(doc.title)} {{", '  node [style="rounded,filled", fillcolor="#eef1f7", fontsize=11];']
    state = doc.state(phase)
    for name, members in _clusters(doc, state, phase):
        nodes = [f"n{k} [{_dot_node(doc, state, k)}];" for k in members]
        if name:
            lines += [f"  subgraph {_quoted(f'cluster_{name}')} {{", f"    label={_quoted(name)};"]
            lines += [*(f"    {n}" for n in nodes), "  }"]
        else:
            lines += [f"  {n}" for n in nodes]
    lines += [f"  n{a} -> n{b};" for a, b in _edges(doc, state)]
    for index, (label, (k, _)) in enumerate(state.outputs):
        lines += [f"  out{index} [shape=plaintext, fillcolor=none, label={_quoted(label)}];", f"  n{k} -> out{index};"]
    return "\n".join([*lines, "}", ""])


def _dot_node(doc: Document, state: State, k: int) -> str:
    node = doc.nodes[k]
    below = "\\n".join(_escaped(line) for line in _two_lines(doc, state, k))
    return f'shape={SHAPES[node.kind]}, label="{below}", tooltip={_quoted(doc.place(node.source))}'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def mermaid(doc: Document, phase: str | None = None) -> str:
    """The graph in Mermaid's language, parts of the program as subgraphs."""
    state = doc.state(phase)
    lines = ["flowchart TD"]
    for name, members in _clusters(doc, state, phase):
        nodes = [f"n{k}{_mermaid_node(doc, state, k)}" for k in members]
        if name:
            lines += [f'  subgraph {name}["{_entities(name)}"]', *(f"    {n}" for n in nodes), "  end"]
        else:
            lines += [f"  {n}" for n in nodes]
    lines += [f"  n{a} --> n{b}" for a, b in _edges(doc, state)]
    lines += [f'  n{k} --> out{i}>"{_entities(label)}"]' for i, (label, (k, _)) in enumerate(state.outputs)]
    return "\n".join([*lines, ""])


def _mermaid_node(doc: Document, state: State, k: int) -> str:
    text = "<br/>".join(_entities(line) for line in _two_lines(doc, state, k))
    left, right = {"input": ("([", "])"), "shared": ("[(", ")]")}.get(doc.nodes[k].kind, ("[", "]"))
    return f'{left}"{text}"{right}'


def _entities(text: str) -> str:
    """Mermaid's own spelling of what it or a browser would take for markup."""
    return "".join(c if c.isalnum() or c in " _.,:()·…-+*/=%?" else f"#{ord(c)};" for c in text)


def _two_lines(doc: Document, state: State, k: int) -> tuple[str, str]:
    node: Node = doc.nodes[k]
    return caption(node, state.inputs[k], doc), type_text(node)


def _clusters(doc: Document, state: State, phase: str | None) -> Iterator[tuple[str, list[int]]]:
    """The nodes drawn, by part; those in none under ""."""
    grouping = by_kernel(doc) if phase is None else {}
    found: dict[str, list[int]] = {}
    for k in state.inputs:
        if not doc.nodes[k].is_scalar_constant:
            found.setdefault(grouping.get(k, ""), []).append(k)
    yield from found.items()


def _edges(doc: Document, state: State) -> Iterator[tuple[int, int]]:
    for k, inputs in state.inputs.items():
        for a in dict.fromkeys(a for a, _ in inputs):
            if not doc.nodes[a].is_scalar_constant:
                yield a, k
