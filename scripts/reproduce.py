"""Run a published experiment again, piece by piece.

    python scripts/reproduce.py pue --scale cpu --data DATA --work WORK
    python scripts/reproduce.py grid --scale cpu --data DATA --work WORK --minutes 9
    python scripts/reproduce.py grid --scale cpu --plot
    python scripts/reproduce.py banks --scale cpu --data DATA --work WORK --minutes 9
    python scripts/reproduce.py banks --scale cpu --write-cards
    python scripts/reproduce.py tue --table 4 --scale cpu --data DATA --work WORK --minutes 9

DATA holds ``train/CLASS/*`` and ``test/CLASS/*`` as image files: CIFAR-10, and for all but ``pue``
ten Tiny-ImageNet classes beside it. ``pue`` is PUE's experiment with its certificates; ``grid``
trains on every method's files under every countermeasure and compares with the clean control;
``banks`` does the same with the bundled perturbations, without countermeasures unless ``--against``
names some, and takes controls that the grid has from there; ``tue`` is TUE's tables: ``--table 4``
victims with and without labels, ``5`` which image carries which perturbation, ``6`` another data
set. Three scales: ``smoke`` shows in under
a minute that everything runs; ``cpu`` is a small network on some of the files, each piece in
minutes on one core; ``paper`` is the published setting (ResNet-18, all images, 200 epochs), for a
GPU. Every piece adds one row to one JSON file, with its seed, setting and seconds; pieces that are
there are not run again, so that the same command goes on where it stopped, and several can run side
by side. ``grid --plot`` makes the pages in ``docs`` from the rows, and ``banks --write-cards`` puts
the plain trainings onto the cards.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reproduction.store import Row

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "scripts" / "results"
BUNDLE = ROOT / "pretrained"
SHOWN = (
    "piece",
    "dataset",
    "arm",
    "victim",
    "correspondence",
    "countermeasure",
    "seed",
    "surrogate",
    "setting",
    "last",
    "best",
    "probe",
    "knn",
    "fit",
    "mean_abs",
    "csd",
    "verdict",
    "seconds",
)


def main() -> None:
    """Do one of the experiments, as far as it is missing."""
    a = arguments().parse_args()
    {
        "pue": run_pue,
        "grid": run_grid,
        "banks": run_banks,
        "tue": run_tue,
    }[a.experiment](a)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    experiments = parser.add_subparsers(dest="experiment", required=True)
    names = ("pue", "grid", "banks", "tue")
    made = {name: experiments.add_parser(name) for name in names}
    for name, one in made.items():
        one.add_argument("--out", type=Path, default=RESULTS / f"{name}.json")
    made["banks"].set_defaults(out=RESULTS / "pretrained.json")
    grid, banks, tue = made["grid"], made["banks"], made["tue"]
    for one in (made["pue"], grid, banks, tue):
        one.add_argument("--scale", choices=("smoke", "cpu", "paper"), default="cpu")
        one.add_argument("--most", type=int, help="stop after so many pieces")
        one.add_argument("--data", type=Path, default=Path("data"))
        one.add_argument("--work", type=Path, default=Path("work"))
    made["pue"].add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    for one in (grid, banks):
        one.add_argument("--seeds", type=int, nargs="+", default=[0])
        one.add_argument("--minutes", type=float, help="start no piece that would end later")
        one.add_argument("--jobs", type=int, default=1, help="processes that read, protect files")
        for part in ("datasets", "arms"):
            one.add_argument(f"--{part}", nargs="+", default=[], help="these alone")
    tue.add_argument("--table", type=int, nargs="+", choices=(4, 5, 6), default=[4, 5, 6])
    tue.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    tue.add_argument("--minutes", type=float, help="start no piece that would end later")
    for part in ("arms", "victims"):
        tue.add_argument(f"--{part}", nargs="+", default=[], help="these alone")
    grid.add_argument("--against", nargs="+", default=[], help="these alone")
    banks.add_argument("--against", nargs="+", default=[], help="these as well")
    banks.add_argument("--grid", type=Path, default=RESULTS / "grid.json", help="has controls")
    banks.add_argument("--write-cards", action="store_true", help="run nothing, write the cards")
    banks.add_argument("--cards", type=Path, default=BUNDLE, help="folder of those cards")
    for one in (grid, tue):
        one.add_argument("--plot", action="store_true", help="run nothing, make the pages")
        one.add_argument("--docs", type=Path, default=ROOT / "docs")
    grid.add_argument("--older", action="store_true", help="in them, earlier recipes as well")
    return parser


def run_pue(a: argparse.Namespace) -> None:
    """PUE against EM, CSD, random signs and clean files."""
    import torch
    from reproduction.pieces import Experiment
    from reproduction.scales import PUBLISHED, SCALES
    from reproduction.store import Store

    store = Store(a.out, a.work, {"published": PUBLISHED})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    experiment = Experiment(a.scale, SCALES[a.scale], a.data, store, device)
    done = 0
    for piece in experiment.pieces(a.seeds):
        if store.find(piece.key) is not None:
            continue
        if a.most is not None and done >= a.most:
            return
        show(piece.run())
        done += 1


def run_grid(a: argparse.Namespace) -> None:
    """Every method's files under every countermeasure."""
    from reproduction.grid.plan import ARMS, SCALES, SIDES, cells_of
    from reproduction.grid.run import run
    from reproduction.store import Store

    if a.plot:
        plot_grid(a)
        return
    expect_some(a.arms, ARMS)
    expect_some(a.datasets, SIDES)
    parts = {"datasets": a.datasets, "arms": a.arms, "against": a.against}
    cells = list(cells_of(SCALES[a.scale], a.seeds, **parts))
    store = Store(a.out, a.work, {"grid": "methods × countermeasures; see scripts/README.md"})
    for row in run(
        a.scale, cells, data=a.data, store=store, jobs=a.jobs, most=a.most, minutes=a.minutes
    ):
        show(row)


def run_banks(a: argparse.Namespace) -> None:
    """Every bundled perturbation on files of both data sets."""
    from reproduction.banks import arms_of, bank_cells, settings_by, write_measurements
    from reproduction.grid.plan import SIDES
    from reproduction.grid.run import run
    from reproduction.store import Store, read_rows

    from ue_cli.perturbation.hub import bundled

    if a.write_cards:
        rows = [*read_rows(a.out), *read_rows(a.grid)]
        for card in write_measurements(rows, a.scale, a.cards):
            print(f"{card.name}: {len(card.measured)} measurements", flush=True)
        return
    header = {"banks": "bundled perturbations on files; see scripts/README.md"}
    store = Store(a.out, a.work, header, others=[a.grid])
    cards = bundled()
    expect_some(a.arms, arms_of(cards))
    expect_some(a.datasets, SIDES)
    parts = {"datasets": a.datasets, "arms": a.arms, "against": a.against}
    for row in run(
        a.scale,
        bank_cells(a.scale, cards, a.seeds, **parts),
        data=a.data,
        store=store,
        settings=settings_by(cards),
        jobs=a.jobs,
        most=a.most,
        minutes=a.minutes,
    ):
        show(row)


def run_tue(a: argparse.Namespace) -> None:
    """TUE's tables, with what is simpler beside it."""
    from reproduction.store import Store
    from reproduction.tue.arms import arms_of
    from reproduction.tue.cells import cells_of
    from reproduction.tue.plan import SCALES, VICTIMS
    from reproduction.tue.run import run

    if a.plot:
        plot_tue(a)
        return
    scale = SCALES[a.scale]
    expect_some(a.arms, arms_of(scale))
    expect_some(a.victims, VICTIMS)
    cells = list(cells_of(scale, a.table, a.seeds, arms=a.arms, victims=a.victims))
    store = Store(a.out, a.work, {"tue": "TUE's tables; see scripts/README.md"})
    for row in run(a.scale, cells, data=a.data, store=store, most=a.most, minutes=a.minutes):
        show(row)


def expect_some(given: Sequence[str], known: Iterable[str]) -> None:
    """Stop where a name is unknown."""
    if not set(given) <= set(known):
        raise SystemExit(f"Expected some of {', '.join(known)}; got {', '.join(given)}.")


def plot_grid(a: argparse.Namespace) -> None:
    """The picture and the page of one scale, out of the rows alone."""
    from reproduction.grid.page import page
    from reproduction.grid.plot import draw
    from reproduction.grid.tables import tables

    found = tables(json.loads(a.out.read_text())["rows"], a.scale, older=a.older)
    if not found:
        raise SystemExit(f"{a.out} has no rows of scale {a.scale}.")
    name = "grid" if a.scale == "cpu" else f"grid-{a.scale}"
    a.docs.mkdir(parents=True, exist_ok=True)
    draw(found, a.docs / f"{name}.svg")
    (a.docs / f"{name}.md").write_text(page(found, a.scale, f"{name}.svg"))


def plot_tue(a: argparse.Namespace) -> None:
    """The picture and the study of one scale, out of the rows alone."""
    from reproduction.store import read_rows
    from reproduction.tue.page import page
    from reproduction.tue.plot import draw
    from reproduction.tue.tables import Results

    results = Results(read_rows(a.out), a.scale)
    if not results.measured():
        raise SystemExit(f"{a.out} has no victims of scale {a.scale}.")
    name = "csd" if a.scale == "cpu" else f"csd-{a.scale}"
    a.docs.mkdir(parents=True, exist_ok=True)
    draw(results, a.docs / f"{name}.svg")
    (a.docs / f"{name}.md").write_text(page(results, a.scale, f"{name}.svg"))


def show(row: Row) -> None:
    """One line on a finished piece."""
    print({name: row[name] for name in SHOWN if name in row}, flush=True)


if __name__ == "__main__":
    main()
