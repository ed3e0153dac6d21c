"""The full table of the page together/beat_dropout, saved to d2lutils/beat_dropout.json.

It is saved within d2lutils because a downloaded page brings nothing else along.

    python -m book.beat_dropout search   # settings, compared on validation images
    python -m book.beat_dropout table    # every method of the page, test set at the end

Both run the page's own cells, on one thread. A finished run is saved at once, and a second start
skips what is saved, unless the page now defines the method otherwise.
"""

import argparse
import ast
import datetime
import json
import os
import platform
import time
from pathlib import Path

import torch

from book.pages import cells, run_cells

PAGE = "together/beat_dropout"
ROOT = Path(__file__).parent.parent
SAVED = ROOT / "d2lutils" / "beat_dropout.json"
PARTS = ("search", "table")
SEEDS = range(5)
BUDGETS = (30, 100)  # epochs; every method gets both
EARLY = 3  # epochs whose validation figures are kept, so that a test can repeat a run's start
SEARCH_SEEDS = range(1)
SEARCH_EPOCHS = 15
LONGER_SEARCH = {"dropout": 40, "our best": 100}  # the duel that the page is about
# The candidates, as the page writes them. "none" has nothing to choose.
SEARCH = {
    "weight decay": ["Method(weight_decay=0.0001)", "Method(weight_decay=0.0005)"],
    "dropout": [
        "Method(noise=(nn.Dropout(0.1), nn.Dropout(0.2)))",
        "Method(noise=(nn.Dropout(0.2), nn.Dropout(0.5)))",
    ],
    "both": [
        "Method(noise=(nn.Dropout(0.1), nn.Dropout(0.2)), weight_decay=0.0001)",
        "Method(noise=(nn.Dropout(0.2), nn.Dropout(0.5)), weight_decay=0.0001)",
    ],
    "Gaussian dropout": [
        "Method(noise=(GaussianDropout(0.1), GaussianDropout(0.2)))",
        "Method(noise=(GaussianDropout(0.2), GaussianDropout(0.5)))",
    ],
    "label smoothing": [
        "Method(loss=label_smoothing(0.05))",
        "Method(loss=label_smoothing(0.1))",
    ],
    "mixup": ["Method(loss=mixup(0.2))", "Method(loss=mixup(0.4))"],
    "our best": [
        "Method(loss=mixup(0.2, flip), weight_decay=0.0001)",
        "Method(loss=mixup(0.4), weight_decay=0.0001)",
        "Method(loss=mixup(0.4), weight_decay=0.0005)",
    ],
}
# The cells of the page that define the harness and the methods, and compute nothing.
CELLS = ("imports", "net", "method", "optimizer", "fit", "test", "known-methods", "gaussian",
         "label-smoothing", "mixup", "flip", "best")  # fmt: skip


def definitions() -> dict[str, str]:
    """Return how the page defines each of its methods, in code."""
    found = {}
    for cell in cells(PAGE, "code"):
        for node in ast.parse(cell["source"]).body:
            match node:
                case ast.Assign(targets=[ast.Name("methods")], value=ast.Dict(keys, values)):
                    pairs = zip(keys, values, strict=True)
                    found |= {key.value: ast.unparse(value) for key, value in pairs}
                case ast.Assign(targets=[ast.Subscript(ast.Name("methods"), key)], value=value):
                    found[key.value] = ast.unparse(value)
    return found


def wanted(part: str) -> list[tuple[str, str, int, int]]:
    """Return (method, code, epochs, seed) of every run that a part of the file consists of."""
    if part == "search":
        return [
            (method, code, LONGER_SEARCH.get(method, SEARCH_EPOCHS), seed)
            for seed in SEARCH_SEEDS
            for method, codes in SEARCH.items()
            for code in codes
        ]
    return [
        (method, code, epochs, seed)
        for epochs in BUDGETS
        for method, code in definitions().items()
        for seed in SEEDS
    ]


def run(page: dict, code: str, num_epochs: int, seed: int, final: bool) -> dict:
    """Train one network; only a final run opens the test set."""
    start = time.process_time()
    net, valid = page["fit"](eval(code, page), seed, num_epochs)
    record = {
        "seed": seed,
        "early_valid_loss": [round(loss, 4) for loss, _ in valid[:EARLY]],
        "early_valid_accuracy": [round(accuracy, 4) for _, accuracy in valid[:EARLY]],
        "valid_accuracy": round(valid[-1][1], 4),
        "valid_loss": round(valid[-1][0], 5),
    }
    if final:
        test_loss, test_accuracy = page["test"](net)
        record |= {"test_accuracy": round(test_accuracy, 4), "test_loss": round(test_loss, 5)}
    return record | {"cpu_seconds": round(time.process_time() - start, 1)}


def machine() -> dict:
    """Describe where this runs."""
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads_per_run": 1,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def load() -> dict:
    """Return what is saved."""
    return json.loads(SAVED.read_text(encoding="utf-8")) if SAVED.exists() else {}


def text_of(document: dict) -> str:
    """Return what is saved, as JSON with one run a line."""

    def lines(entry):
        head = json.dumps({name: entry[name] for name in entry if name != "runs"})
        runs = ",\n".join(f"  {json.dumps(run)}" for run in entry["runs"])
        return f'{head[:-1]}, "runs": [\n{runs}]}}'

    parts = {
        name: "[\n" + ",\n".join(map(lines, value)) + "]" if name in PARTS else json.dumps(value)
        for name, value in document.items()
    }
    return "{" + ",\n".join(f"{json.dumps(name)}: {text}" for name, text in parts.items()) + "}\n"


def add(part: str, setting: tuple, record: dict) -> None:
    """Save a run beside those of its setting; what the page defines otherwise now goes."""
    document, methods = load(), list(definitions())
    document["command"] = "python -m book.beat_dropout table"
    document |= {"date": datetime.date.today().isoformat(), "machine": machine()}
    settings = {job[:3] for job in wanted(part)}
    saved = {key(entry): entry for entry in document.get(part, []) if key(entry) in settings}
    names = dict(zip(("method", "code", "epochs"), setting, strict=True))
    saved.setdefault(setting, names | {"runs": []})["runs"].append(record)
    document[part] = sorted(
        saved.values(), key=lambda entry: (entry["epochs"], methods.index(entry["method"]))
    )
    unfinished = SAVED.with_suffix(".part")
    unfinished.write_text(text_of(document), encoding="utf-8")
    os.replace(unfinished, SAVED)  # whole or not at all


def key(entry: dict) -> tuple:
    """Return what tells a setting from the others."""
    return entry["method"], entry["code"], entry["epochs"]


def main() -> None:
    """Train what is not saved yet."""
    parser = argparse.ArgumentParser(description="Train the table of together/beat_dropout.")
    parser.add_argument("part", choices=PARTS)
    part = parser.parse_args().part
    torch.set_num_threads(1)
    page = run_cells(PAGE, *CELLS)
    for *setting, seed in wanted(part):
        method, code, epochs = setting = tuple(setting)
        saved = {key(entry): entry["runs"] for entry in load().get(part, [])}
        if seed not in [run["seed"] for run in saved.get(setting, [])]:
            record = run(page, code, epochs, seed, final=part == "table")
            add(part, setting, record)
            print(f"{method}, {epochs} epochs: {record}", flush=True)


if __name__ == "__main__":
    main()
