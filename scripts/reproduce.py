"""Train on protected files under every condition, beside the clean control, piece by piece.

    python scripts/reproduce.py grid --scale cpu --data DATA --work WORK --minutes 9
    python scripts/reproduce.py grid --scale cpu --plot
    python scripts/reproduce.py banks --scale cpu --data DATA --work WORK --minutes 9
    python scripts/reproduce.py banks --scale cpu --write-cards

DATA holds ``train/CLASS/*`` and ``test/CLASS/*`` as image files: CIFAR-10, and ten Tiny-ImageNet
classes beside it. ``grid`` trains on every method's files under every countermeasure, and without
labels where ``--against`` names ``simclr``, ``moco`` or ``simsiam``; ``banks`` does the same with
the bundled perturbations, without countermeasures unless ``--against`` names some, and takes
controls that the grid has from there. Three scales: ``smoke`` shows in under a minute that
everything runs; ``cpu`` is a small network on some of the files, each piece in minutes on one core;
``paper`` is the published setting (ResNet-18, all images, 200 epochs), for a GPU. Every piece adds
one row to one JSON file, with its seed, setting and seconds; pieces that are there are not run
again, so that the same command goes on where it stopped, and several can run side by side.
``grid --plot`` makes the pages in ``docs`` from the rows, and ``banks --write-cards`` puts the
plain trainings onto the cards.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "scripts" / "results"
COLUMNS = ("dataset", "arm", "countermeasure", "seed", "last", "best", "fit", "mean_abs", "seconds")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--scale", choices=("smoke", "cpu", "paper"), default="cpu")
    shared.add_argument("--data", type=Path, default=Path("data"))
    shared.add_argument("--work", type=Path, default=Path("work"))
    shared.add_argument("--seeds", type=int, nargs="+", default=[0])
    shared.add_argument("--most", type=int, help="stop after so many pieces")
    shared.add_argument("--minutes", type=float, help="start no piece that would end later")
    shared.add_argument("--jobs", type=int, default=1, help="processes that read, protect files")
    shared.add_argument("--datasets", nargs="+", default=[], help="these alone")
    shared.add_argument("--arms", nargs="+", default=[], help="these alone")
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    experiments = parser.add_subparsers(dest="experiment", required=True)
    grid = experiments.add_parser("grid", parents=[shared])
    grid.add_argument("--out", type=Path, default=RESULTS / "grid.json")
    grid.add_argument("--against", nargs="+", default=[], help="these alone")
    grid.add_argument("--plot", action="store_true", help="run nothing, make the pages")
    grid.add_argument("--docs", type=Path, default=ROOT / "docs")
    banks = experiments.add_parser("banks", parents=[shared])
    banks.add_argument("--out", type=Path, default=RESULTS / "pretrained.json")
    banks.add_argument("--against", nargs="+", default=[], help="these as well")
    banks.add_argument("--grid", type=Path, default=RESULTS / "grid.json", help="has controls")
    banks.add_argument("--write-cards", action="store_true", help="run nothing, write the cards")
    banks.add_argument("--cards", type=Path, default=ROOT / "pretrained", help="their folder")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Do one of the experiments, as far as it is missing."""
    a = arguments().parse_args(argv)
    if a.experiment == "grid" and a.plot:
        plot(a)
    elif a.experiment == "banks" and a.write_cards:
        write_cards(a)
    else:
        run(a)


def run(a: argparse.Namespace) -> None:
    """Run the trainings that are missing, each on one thread of a CPU."""
    import torch
    from reproduction.banks import bank_cells, settings_by
    from reproduction.grid import ARMS, SCALES, SIDES, Files, GridPieces, cells_of
    from store import Store, run_missing

    from ue_cli.banks.hub import bundled

    scale, banks = SCALES[a.scale], a.experiment == "banks"
    cards = bundled() if banks else ()
    expect(a.arms, ["clean", *(card.name for card in cards)] if banks else ARMS)
    expect(a.datasets, SIDES)
    parts = {"datasets": a.datasets, "arms": a.arms, "against": a.against}
    if banks:
        cells = bank_cells(a.scale, cards, a.seeds, **parts)
    else:
        cells = cells_of(scale, a.seeds, **parts)
    store = Store(a.out, [a.grid] if banks else [])
    a.work.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)  # such runs work side by side
    files = Files(a.scale, scale, a.data, a.work, a.jobs)
    settings = settings_by(cards) if banks else None
    pieces = GridPieces(a.scale, scale, files, store, a.work, device, settings)
    limits = {"most": a.most, "minutes": a.minutes}
    for row in run_missing(pieces, cells, store=store, work=a.work, device=device, **limits):
        print({name: row[name] for name in COLUMNS}, flush=True)


def expect(names: Sequence[str], possible: Collection[str]) -> None:
    """Stop where a name is unknown."""
    if not set(names) <= set(possible):
        raise SystemExit(f"Expected some of {', '.join(possible)}; got {', '.join(names)}.")


def plot(a: argparse.Namespace) -> None:
    """Make the picture and the page of one scale, out of the rows alone."""
    from plots import draw_grid
    from reproduction.page import page, tables
    from store import read_rows

    judged = tables(read_rows(a.out), a.scale)
    if not judged:
        raise SystemExit(f"{a.out} has no rows of scale {a.scale}.")
    name = "grid" if a.scale == "cpu" else f"grid-{a.scale}"
    a.docs.mkdir(parents=True, exist_ok=True)
    draw_grid(judged, a.docs / f"{name}.svg")
    (a.docs / f"{name}.md").write_text(page(judged, a.scale, f"{name}.svg"))


def write_cards(a: argparse.Namespace) -> None:
    """Put what was measured onto the banks' cards."""
    from reproduction.banks import write_measurements
    from store import read_rows

    for card in write_measurements([*read_rows(a.out), *read_rows(a.grid)], a.scale, a.cards):
        print(f"{card.name}: {len(card.measured)} measurements", flush=True)


if __name__ == "__main__":
    main()
