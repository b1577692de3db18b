"""Who may know whom: the imports of the two packages, read from their syntax, and what an import loads."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Each module of symgraph may import what stands to its left; a package counts as one, and its modules may import each
# other as long as there is no cycle. nn and linalg only gather public names.
ORDER = """
    errors names lazy config types expression primitives formula origin graph shared_variable parts dependence varying
    variables pattern op coercion derivative kinds host ops complexes reference shapes prelude match rewrite rewrites
    custom batch masks gradient backend numpy_backend boundary arguments results updates reuse checking function
    optim streams random initializers checkpoint printing show view testing nn linalg command __main__
""".split()
OPTIONAL = {"llvmlite", "cupy", "networkx", "sklearn", "matplotlib", "rich", "scipy", "mpmath"}


def modules(package: str) -> dict[str, ast.Module]:
    """Dotted name -> syntax tree, for each module of a package; a package's own name stands for its __init__."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text(), str(path))
    return found


MODULES = modules("symgraph") | modules("codegen")
PACKAGES = {name for name in MODULES if ROOT.joinpath(*name.split(".")).is_dir()}


def absolute(node: ast.ImportFrom, importer: str) -> str:
    """The module a ``from`` statement names, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    package = importer if importer in PACKAGES else importer.rpartition(".")[0]
    base = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*base, *filter(None, [node.module])])


def targets(node: ast.AST, importer: str) -> Iterator[str]:
    """The modules an import statement names; ``from package import name`` names a submodule where there is one."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        base = absolute(node, importer)
        yield from {f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names}


def statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All nodes, those inside functions too, without the imports that only a type checker sees.

    Those load nothing, and an annotation may name what stands to the right (``Apply.op`` is an ``Op``).
    """
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if not (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")):
            waiting += ast.iter_child_nodes(node)


def imports(importer: str) -> set[str]:
    """The modules that running all of a module's code would import."""
    return {target for node in statements(MODULES[importer]) for target in targets(node, importer)}


def mentions(importer: str) -> set[str]:
    """The modules in any import statement, for the type checker alone too."""
    return {target for node in ast.walk(MODULES[importer]) for target in targets(node, importer)}


GRAPH = {name: imports(name) & MODULES.keys() for name in MODULES}


def layer(module: str) -> str:
    """The name in ORDER that a module of symgraph counts as."""
    return module.split(".")[1]


def reachable(start: str) -> set[str]:
    seen, waiting = set(), [start]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += GRAPH[module]
    return seen


def below(package: str) -> list[str]:
    return [name for name in MODULES if name == package or name.startswith(f"{package}.")]


def test_relative_imports_and_submodules_are_resolved(monkeypatch):
    """The reading of imports itself, on a tree whose answer is known: the other tests stand on it."""
    lazy = "if TYPE_CHECKING:\n    import a.d\nelse:\n    pass\ndef f():\n    import a.c"
    b = "from . import c\nfrom .c import x"
    tree = {"a": "", "a.b": b, "a.c": "", "a.d": "from .e import f\nfrom .. import b", "a.d.e": lazy}
    monkeypatch.setattr(sys.modules[__name__], "MODULES", {name: ast.parse(text) for name, text in tree.items()})
    monkeypatch.setattr(sys.modules[__name__], "PACKAGES", {"a", "a.d"})
    assert imports("a.b") == {"a.c"}
    assert imports("a.d") == {"a.d.e", "a.b"}
    assert imports("a.d.e") == {"a.c"} and mentions("a.d.e") == {"a.c", "a.d"}


def test_every_module_of_symgraph_has_a_place_in_the_order():
    unplaced = {layer(name) for name in MODULES if name.startswith("symgraph.")} - set(ORDER)
    assert not unplaced, f"give a place in ORDER, where it imports only what stands to its left: {sorted(unplaced)}"


def test_symgraph_never_imports_codegen():
    offenders = [name for name in below("symgraph") if any(t.split(".")[0] == "codegen" for t in mentions(name))]
    assert not offenders


def test_each_module_of_symgraph_imports_only_modules_to_its_left():
    offenders = [
        f"{importer} imports {target}"
        for importer in below("symgraph")
        if importer != "symgraph"
        for target in sorted(GRAPH[importer])
        if not may_import(importer, target)
    ]
    assert not offenders


def may_import(importer: str, target: str) -> bool:
    """Whether the order lets ``importer`` know ``target``."""
    if target == "symgraph":
        return layer(importer) in ("command", "__main__")
    return ORDER.index(layer(target)) <= ORDER.index(layer(importer))


def test_the_design_names_every_module():
    """In backticks, or in the order of imports, which it quotes."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\w+", " ".join(re.findall(r"^> .*$|`[^`\n]+`", text, re.MULTILINE))))
    modules = {name.split(".")[-1] for name in MODULES.keys() - PACKAGES} - {"__main__"}
    assert not modules - named, f"say in docs/design.md what they are for: {sorted(modules - named)}"


def test_every_folder_of_modules_is_a_package_that_an_installation_holds():
    folders = {path.parent for package in ("symgraph", "codegen") for path in (ROOT / package).rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_there_is_no_import_cycle():
    try:
        graphlib.TopologicalSorter(GRAPH).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(("one", "other"), [("codegen.llvm", "codegen.cuda"), ("codegen.cuda", "codegen.llvm")])
def test_the_emitters_never_reach_each_other(one, other):
    offenders = {name: wrong for name in below(one) if (wrong := reachable(name) & set(below(other)))}
    assert not offenders


def test_only_the_emitter_for_processors_knows_its_compiler():
    knowing = {
        importer
        for importer, tree in MODULES.items()
        for node in ast.walk(tree)
        for target in targets(node, importer)
        if target.split(".")[0] == "llvmlite"
    }
    assert knowing == {"codegen.llvm.target"}


def test_only_optional_dependencies_are_imported_inside_functions():
    offenders = {
        f"{importer}:{node.lineno} {target}"
        for importer, tree in MODULES.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        for target in targets(node, importer)
        if target.split(".")[0] not in OPTIONAL
    }
    assert not offenders


def python(code: str, folder: Path) -> str:
    """What a fresh interpreter prints, started where the source tree is not on its path."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"is symgraph installed in this environment?\n{done.stderr}"
    return done.stdout.strip()


def test_import_symgraph_loads_no_backend_and_no_optional_dependency(tmp_path):
    heavy = sorted((OPTIONAL | {"codegen"}) - {"rich"})
    code = f"import sys, symgraph; print(*[name for name in {heavy} if name in sys.modules])"
    assert python(code, tmp_path) == ""


def test_the_codegen_imported_is_ours(tmp_path):
    """A distribution named codegen exists on the package index; beside our symgraph only ours may be found."""
    code = "import symgraph, codegen; print(symgraph.__file__); print(codegen.__file__)"
    symgraph, codegen = map(Path, python(code, tmp_path).splitlines())
    assert codegen.parent.parent == symgraph.parent.parent
    assert (symgraph.name, codegen.name) == ("__init__.py", "__init__.py")
