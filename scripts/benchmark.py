"""Measure `ue` as its users meet it: whole processes, beside a control in the same run.

    python scripts/benchmark.py protect --out results.json     # throughput against a bare loop
    python scripts/benchmark.py memory                          # peak RSS, 100 against 5,000 photos
    python scripts/benchmark.py help                            # start-up of `ue --help`
    python scripts/benchmark.py large                           # one 100-megapixel JPEG and PNG
    python scripts/benchmark.py bank                            # pretrained against keyed banks
    python scripts/benchmark.py certify --device cuda           # noisy copies against a plain loop
    python scripts/benchmark.py tue                             # CSD, and a surrogate's steps

The bare loop is what any tool must do that changes a file's coefficients and checks the result:
read the file, read its coefficients, write them, fsync, and decode both files once, with the same
codecs and the same number of processes. Inputs are 2,000 copies of the sample photos and 20 photos
of 12 megapixels, enlarged from them with sensor noise. Timings are wall seconds; the two alternate.
`certify`, `train` and `tue` have controls of their own, in benchmark_certify.py, benchmark_train.py
and benchmark_tue.py.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ue_cli.photos.decode import decode
from ue_cli.photos.jpeg.quantised import read_coefficients, write_coefficients

SAMPLES = Path(__file__).resolve().parent.parent / "tests" / "sample-photos"


def machine() -> dict[str, Any]:
    """Hardware and versions, for the record."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "versions": {p: version(p) for p in ("numpy", "pillow", "jpeglib", "torch")},
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def enlarge(source: Path, target: Path, width: int, height: int, seed: int) -> None:
    """A photo of any size with the noise of a sensor, JPEG q92 4:2:0."""
    target.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    image = Image.open(source).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    noisy = np.asarray(image).astype(np.int16)
    noisy += rng.integers(-6, 7, (height, width, 1), dtype=np.int16)
    pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    if target.suffix == ".png":
        Image.fromarray(pixels).save(target, compress_level=1)
    else:
        Image.fromarray(pixels).save(target, quality=92, subsampling="4:2:0")


def make_folder(folder: Path, copies: int, large: int) -> list[Path]:
    """``copies`` copies of the sample JPEGs in their class folders, and ``large`` of 12 MP."""
    sources = sorted(SAMPLES.rglob("*.jpg"))
    paths = []
    for index in range(copies):
        source = sources[index % len(sources)]
        target = folder / source.parent.name / f"{index:05d}-{source.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        paths.append(target)
    for index in range(large):
        source = sources[index % len(sources)]
        target = folder / source.parent.name / f"large-{index:02d}.jpg"
        enlarge(source, target, 4000, 3000, index)
        paths.append(target)
    return paths


def bare(paths: tuple[Path, Path]) -> None:
    """What cannot be left out, for one file (see the module's docstring)."""
    source, target = paths
    data = source.read_bytes()
    decode(data)
    written = write_coefficients(read_coefficients(data))
    with target.open("wb") as file:
        file.write(written)
        file.flush()
        os.fsync(file.fileno())
    decode(written)


def run_bare(paths: list[Path], out: Path, jobs: int) -> float:
    """Seconds of the bare loop in ``jobs`` processes, their start included."""
    out.mkdir()
    pairs = [(path, out / f"{index:05d}.jpg") for index, path in enumerate(paths)]
    start = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for _ in pool.imap_unordered(bare, pairs, chunksize=1):
            pass
    return time.perf_counter() - start


def run_ue(*arguments: str) -> float:
    """Seconds of one `ue` command as a whole process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "ue_cli", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def protect(work: Path, jobs: int, repeats: int) -> dict[str, Any]:
    """Throughput of `ue protect` as a share of the bare loop's."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    out: dict[str, Any] = {"jobs": jobs, "control": "bare loop, same codecs, same processes"}
    for name, copies, large in (("samples", 2000, 0), ("12-megapixel", 0, 20)):
        paths = make_folder(work / name / "photos", copies, large)
        rows = []
        for index in range(repeats):
            bare_seconds = run_bare(paths, work / name / f"bare{index}", jobs)
            shutil.rmtree(work / name / f"bare{index}")
            ours = run_ue(
                *("protect", str(work / name / "photos"), "-o", str(work / name / f"out{index}")),
                *("--home", str(work / name / f"home{index}"), "--jobs", str(jobs), "--json"),
            )
            shutil.rmtree(work / name / f"out{index}")
            rows.append({"bare_s": bare_seconds, "ue_s": ours, "ratio": bare_seconds / ours})
        shutil.rmtree(work / name)
        print(name, rows, file=sys.stderr, flush=True)
        out[name] = {
            "photos": len(paths),
            "runs": rows,
            "ratio_median": statistics.median(row["ratio"] for row in rows),
            "ue_seconds_per_photo": statistics.median(row["ue_s"] for row in rows) / len(paths),
        }
    total = [
        sum(out[name]["runs"][index]["bare_s"] for name in ("samples", "12-megapixel"))
        / sum(out[name]["runs"][index]["ue_s"] for name in ("samples", "12-megapixel"))
        for index in range(repeats)
    ]
    out["ratio_both_median"] = statistics.median(total)
    return out


def peak_children(work: Path, photos: int, jobs: int) -> float:
    """Peak RSS in MiB of the largest process under one `ue protect`, in a fresh interpreter."""
    make_folder(work / f"{photos}" / "photos", photos, 0)
    probe = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, capture_output=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    command = [sys.executable, "-m", "ue_cli", "protect", str(work / f"{photos}" / "photos")]
    command += ["-o", str(work / f"{photos}" / "out"), "--home", str(work / f"{photos}" / "home")]
    done = subprocess.run(
        [sys.executable, "-c", probe, *command, "--jobs", str(jobs)],
        check=True,
        capture_output=True,
        text=True,
    )
    shutil.rmtree(work / f"{photos}")
    return int(done.stdout) / 1024


def memory(work: Path, jobs: int, repeats: int) -> dict[str, Any]:
    """Peak RSS with 5,000 photos against that with 100."""
    few, many = peak_children(work, 100, jobs), peak_children(work, 5000, jobs)
    return {"mib_100": few, "mib_5000": many, "ratio": many / few}


def help_(work: Path, jobs: int, repeats: int) -> dict[str, Any]:
    """Start-up of `ue --help`, beside a Python that does nothing."""
    ours = [run_ue("--help") for _ in range(max(5, repeats))]
    idle = []
    for _ in range(max(5, repeats)):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", ""], check=True)
        idle.append(time.perf_counter() - start)
    return {"ue_help_s": statistics.median(ours), "empty_python_s": statistics.median(idle)}


def large(work: Path, jobs: int, repeats: int) -> dict[str, Any]:
    """One 100-megapixel image as JPEG and as PNG: seconds, L∞ and peak RSS."""
    source = min(SAMPLES.rglob("*.jpg"))
    out: dict[str, Any] = {}
    for suffix in (".jpg", ".png"):
        folder = work / f"large{suffix}"
        (folder / "photos").mkdir(parents=True)
        enlarge(source, folder / "photos" / f"large{suffix}", 12000, 8400, 1)
        arguments = ["protect", str(folder / "photos"), "-o", str(folder / "out"), "--json"]
        command = [sys.executable, "-m", "ue_cli", *arguments, "--home", str(folder / "home")]
        start = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        out[suffix[1:]] = {
            "seconds": time.perf_counter() - start,
            "budget": json.loads(done.stdout)["result"]["budget"],
            "peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        }
        shutil.rmtree(folder)
    return out


ARMS = {
    "pretrained": ("--perturbation", "csd-cifar10"),
    "keyed": ("--space", "pixel"),
    "default": (),
}


def small_folder(folder: Path, count: int) -> None:
    """Photos of 64 pixels in the sample photos' classes, JPEG and PNG by turns."""
    sources = sorted(SAMPLES.rglob("*.jpg"))
    for index in range(count):
        source = sources[index % len(sources)]
        name = f"{index:05d}.{'jpg' if index % 2 else 'png'}"
        enlarge(source, folder / source.parent.name / name, 64, 64, index)


def cpu_seconds(*arguments: str) -> float:
    """CPU seconds of one `ue` command with all of its processes."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    run_ue(*arguments)
    return spent() - before


def bank(work: Path, jobs: int, repeats: int) -> dict[str, Any]:
    """CPU seconds per photo that carries a pretrained bank, a keyed one, or the default.

    Each is the difference between many photos and few, so that neither the start nor making or
    reading the perturbation nor the report's sample counts, over their number; arms alternate.
    """
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    out: dict[str, Any] = {"control": "the same photos under a keyed bank, and by default"}
    for name, few, many in (("64-pixel", 30, 630), ("samples", 30, 130)):
        for count in (few, many):
            photos = work / name / str(count)
            if name == "samples":
                make_folder(photos, count, 0)
            else:
                small_folder(photos, count)
        seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
        for _ in range(repeats):
            for arm, flags in ARMS.items():
                spent = {}
                for count in (few, many):
                    target, home = work / name / "out", work / name / "home"
                    spent[count] = cpu_seconds(
                        *("protect", str(work / name / str(count)), "-o", str(target), *flags),
                        *("--home", str(home), "--jobs", str(jobs), "--json"),
                    )
                    for folder in (target, home, target.with_name("out.report")):
                        shutil.rmtree(folder)
                seconds[arm].append((spent[many] - spent[few]) / (many - few))
        shutil.rmtree(work / name)
        print(name, seconds, file=sys.stderr, flush=True)
        middle = {arm: statistics.median(found) for arm, found in seconds.items()}
        out[name] = {
            "photos": many - few,
            "cpu_seconds_per_photo": seconds,
            "pretrained_to_keyed": middle["pretrained"] / middle["keyed"],
            "pretrained_to_default": middle["pretrained"] / middle["default"],
        }
    return out


BENCHMARKS: dict[str, Callable[[Path, int, int], dict[str, Any]]] = {
    "protect": protect,
    "memory": memory,
    "help": help_,
    "large": large,
    "bank": bank,
}
ON_TORCH = ("certify", "train", "tue")
"""Functions of that name in ``benchmark_NAME.py``."""


def main() -> None:
    """Run one benchmark; merge its result into a JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("benchmark", choices=sorted([*BENCHMARKS, *ON_TORCH]))
    parser.add_argument(
        "--jobs", type=int, default=2, help=f"processes; threads of {', '.join(ON_TORCH)}"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file to merge the result into")
    parser.add_argument(
        "--device", default="cpu", choices=["cpu", "cuda"], help=f"of {', '.join(ON_TORCH)}"
    )
    arguments = parser.parse_args()
    if arguments.benchmark in ON_TORCH:
        run_on = getattr(import_module(f"benchmark_{arguments.benchmark}"), arguments.benchmark)
        measured = run_on(arguments.device, arguments.jobs, arguments.repeats)
    else:
        with tempfile.TemporaryDirectory(prefix="ue-benchmark-") as work:
            run = BENCHMARKS[arguments.benchmark]
            measured = run(Path(work), arguments.jobs, arguments.repeats)
    result = {"machine": machine(), **measured}
    print(json.dumps(result, indent=2))
    if arguments.out:
        known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        known[arguments.benchmark] = result
        arguments.out.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()
