"""How the house is built: who imports whom, and how much a room holds."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("d2lutils", "d2lexercises", "book", "benchmarks")
TREES = {
    path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8"))
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
}
# From a room of d2lutils to those just below it; it may import what lies below these, too.
BELOW = {
    "checks": ["words"],
    "panel": ["training", "plotting", "words", "arguments", "progress"],
    "explorer": ["sweeps", "training", "words"],
    "sweeps": ["data", "arguments", "progress"],
    "plotting": ["training"],
    "training": ["data", "progress"],
    "data": ["fetch"],
    "fetch": ["arguments", "progress"],
}


def imported(path):
    """Yield (module, name or "", what it is called here) of imports from our own rooms."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ImportFrom):
            level = len(path.parts) - node.level if node.level else 0
            module = ".".join([*path.parts[:level], *filter(None, [node.module])])
        elif not isinstance(node, ast.Import):
            continue
        for alias in node.names:
            there = (module, alias.name) if isinstance(node, ast.ImportFrom) else (alias.name, "")
            if there[0].split(".")[0] in ROOMS:
                yield *there, alias.asname or alias.name


def below(room):
    return {room}.union(*(below(lower) for lower in BELOW.get(room, ())))


def lines(node):
    """Count the lines of a function or class, docstrings apart."""
    documented = [n for n in ast.walk(node) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    strings = [n.body[0] for n in documented if ast.get_docstring(n) is not None]
    return node.end_lineno - node.lineno + 1 - sum(s.end_lineno - s.lineno + 1 for s in strings)


def test_imports_within_d2lutils_lead_downwards():
    for path in [path for path in TREES if path.parts[0] == "d2lutils"]:
        room = path.parts[1].removesuffix(".py")
        assert not any(module.startswith("d2lexercises") for module, _, _ in imported(path)), path
        rooms = {f"{module}.{name}.".split(".")[1] for module, name, _ in imported(path)}
        if path.name == "grade.py":
            rooms.discard("")  # it takes d2lutils out of the imported modules, and puts it back
        assert room == "__init__" or rooms <= below(room), path


def test_exercises_need_the_engine_and_words_alone():
    for path in [path for path in TREES if path.parts[0] == "d2lexercises"]:
        rooms = {f"{module}.".split(".")[1] for module, _, _ in imported(path)}
        assert rooms <= {"checks", "words"}, path


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
