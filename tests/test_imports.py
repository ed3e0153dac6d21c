"""How the code is built: who imports whom, and how much a file holds."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("d2lutils", "d2lexercises", "book", "benchmarks")
TREES = {
    path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8"))
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
# From a module or folder to those that it imports, as CONTRIBUTING.md draws it.
ARROWS = {
    importer: set(re.findall(r"\w+", below))
    for importer, below in re.findall(
        r"`(\w+)`\s→\s((?:`\w+`,?\s*)+)", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    )
}


def imported(path):
    """Yield (module, name or "", what it is called here) of imports of our own code."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ImportFrom):
            level = len(path.parts) - node.level if node.level else 0
            module = ".".join([*path.parts[:level], *filter(None, [node.module])])
        elif not isinstance(node, ast.Import):
            continue
        for alias in node.names:
            there = (module, alias.name) if isinstance(node, ast.ImportFrom) else (alias.name, "")
            if there[0].split(".")[0] in PACKAGES:
                yield *there, alias.asname or alias.name


def downwards(part):
    """Return the length of the longest way down; a circle has no end."""
    return 1 + max(map(downwards, ARROWS.get(part, ())), default=0)


def lines(node):
    """Count the lines of a function or class, docstrings apart."""
    documented = [n for n in ast.walk(node) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    strings = [n.body[0] for n in documented if ast.get_docstring(n) is not None]
    return node.end_lineno - node.lineno + 1 - sum(s.end_lineno - s.lineno + 1 for s in strings)


def test_imports_are_those_of_the_map_and_lead_downwards():
    found = {}
    for path in [path for path in TREES if path.parts[0] in ("d2lutils", "d2lexercises")]:
        part = path.parts[1].removesuffix(".py") if path.parts[0] == "d2lutils" else "d2lexercises"
        if part == "__init__":
            continue
        for module, name, _ in imported(path):
            package, below = f"{module}.{name}.".split(".")[:2]
            assert package == "d2lutils", f"{path} imports {module}"
            # grade.py takes d2lutils out of the imported modules, and puts it back.
            if below != part and (below or path.name != "grade.py"):
                found.setdefault(part, set()).add(below)
    assert found == ARROWS
    assert max(map(downwards, ARROWS)) < 9


def test_no_private_name_crosses_a_module():
    for path, tree in TREES.items():
        names = list(imported(path))
        ours = {here for _, _, here in names}
        used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        used = [node.attr for node in used if ast.unparse(node.value) in ours]
        private = [n for n in [*used, *(n for _, n, _ in names)] if n[:1] == "_" and n[:2] != "__"]
        assert not private, path


def test_functions_and_classes_are_short():
    most = {ast.FunctionDef: 60, ast.ClassDef: 120}
    long = {
        f"{path}: {node.name}": lines(node)
        for path, tree in TREES.items()
        if path.parts[0] != "benchmarks"
        for node in ast.walk(tree)
        if type(node) in most and lines(node) > most[type(node)]
    }
    assert not long


def test_the_sitting_and_the_library_keep_their_size():
    sizes = {
        path: len((ROOT / path).read_text(encoding="utf-8").splitlines())
        for path in TREES
        if path.parts[0] == "d2lutils"
    }
    sitting = ("data.py", "training.py", "plotting.py")
    assert sum(size for path, size in sizes.items() if path.parts[1] in sitting) <= 600
    assert sum(sizes.values()) <= 4400


def test_no_text_of_a_process_is_decoded_as_the_locale_says():
    calls = [
        {word.arg: ast.unparse(word.value) for word in node.keywords}
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]
    text = [call for call in calls if "True" in (call.get("text"), call.get("universal_newlines"))]
    assert not [call for call in text if "encoding" not in call]
