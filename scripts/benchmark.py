"""Measure `ue` beside the loop that one would write first, in the same run on the same machine.

    python scripts/benchmark.py protect --out results.json     # whole processes: throughput
    python scripts/benchmark.py memory                          # peak RSS, 100 against 5,000 photos
    python scripts/benchmark.py help                            # start-up of `ue --help`
    python scripts/benchmark.py large                           # one 100-megapixel JPEG and PNG
    python scripts/benchmark.py certify --device cuda           # noisy copies
    python scripts/benchmark.py train --device cuda             # a victim's training

Timings are wall seconds; control and tool alternate, with the same cores.

``protect``: the control does what any tool must that changes a file's coefficients and checks the
result: read the file, read its coefficients, write them, fsync, and decode both files once, with
the same codecs and the same number of processes. Inputs are 2,000 copies of the sample photos and
20 photos of 12 megapixels, enlarged from them with sensor noise.

The bare loop's processes import this file, so that torch must not: see benchmark_training.py.
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
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ue_cli.images.decode import decode
from ue_cli.jpeg.quantised import read_coefficients, write_coefficients

SAMPLES = Path(__file__).resolve().parent.parent / "tests" / "sample-photos"

Result = dict[str, Any]


def compare(
    name: str, rounds: int, control: Callable[[], float], ours: Callable[[], float]
) -> Result:
    """Seconds of control and tool by turns, and how many times as fast the tool is."""
    rows = []
    for _ in range(rounds):
        row = {"control_s": control(), "ue_s": ours()}
        rows.append(row | {"ratio": row["control_s"] / row["ue_s"]})
        print(name, rows[-1], file=sys.stderr, flush=True)
    return {"rounds": rows, "ratio_median": statistics.median(row["ratio"] for row in rows)}


def machine() -> Result:
    """Hardware and versions, for the record."""
    model, cpuinfo = platform.processor(), Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return {
        "cpu": names[0] if names else model,
        "bf16_instructions": sorted(flags & {"amx_bf16", "avx512_bf16"}),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "pillow", "jpeglib", "torch")},
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
    for index in range(copies + large):
        source = sources[index % len(sources)]
        paths.append(folder / source.parent.name / f"{index:05d}-{source.name}")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        if index < copies:
            shutil.copyfile(source, paths[-1])
        else:
            enlarge(source, paths[-1], 4000, 3000, index)
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
    seconds = time.perf_counter() - start
    shutil.rmtree(out)
    return seconds


def protect_command(folder: Path, jobs: int) -> list[str]:
    """`ue protect` of the photos in a folder, into the same folder."""
    command = [sys.executable, "-m", "ue_cli", "protect", str(folder / "photos"), "--json"]
    command += ["-o", str(folder / "out"), "--home", str(folder / "home"), "--jobs", str(jobs)]
    return command


def seconds_of(command: list[str]) -> float:
    """Seconds of a whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def protect_seconds(folder: Path, jobs: int) -> float:
    """Seconds of `ue protect` under a new key; what it wrote is removed."""
    seconds = seconds_of(protect_command(folder, jobs))
    for name in ("out", "home", "out.report"):
        shutil.rmtree(folder / name)
    return seconds


def protect(work: Path, a: argparse.Namespace) -> Result:
    """Throughput of `ue protect` as a share of the bare loop's."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    out: Result = {"jobs": a.jobs, "control": "bare loop, same codecs, same processes"}
    for name, copies, large in (("samples", 2000, 0), ("12-megapixel", 0, 20)):
        paths = make_folder(work / name / "photos", copies, large)
        control = partial(run_bare, paths, work / name / "bare", a.jobs)
        ours = partial(protect_seconds, work / name, a.jobs)
        out[name] = {"photos": len(paths), **compare(name, a.repeats, control, ours)}
    pairs = zip(out["samples"]["rounds"], out["12-megapixel"]["rounds"], strict=True)
    out["ratio_both_median"] = statistics.median(
        (x["control_s"] + y["control_s"]) / (x["ue_s"] + y["ue_s"]) for x, y in pairs
    )
    return out


def memory(work: Path, a: argparse.Namespace) -> Result:
    """Peak RSS of the largest process, with 5,000 photos against that with 100."""
    probe = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, capture_output=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    mib = {}
    for count in (100, 5000):
        make_folder(work / str(count) / "photos", count, 0)
        command = [sys.executable, "-c", probe, *protect_command(work / str(count), a.jobs)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        mib[f"mib_{count}"] = int(done.stdout) / 1024
    return {**mib, "ratio": mib["mib_5000"] / mib["mib_100"]}


def help_(work: Path, a: argparse.Namespace) -> Result:
    """Start-up of `ue --help`, beside a Python that does nothing."""
    idle = partial(seconds_of, [sys.executable, "-c", ""])
    ours = partial(seconds_of, [sys.executable, "-m", "ue_cli", "--help"])
    return {"control": "an empty Python", **compare("help", max(5, a.repeats), idle, ours)}


def large(work: Path, a: argparse.Namespace) -> Result:
    """One 100-megapixel image as JPEG and as PNG: seconds, L∞ and peak RSS."""
    out: Result = {}
    for suffix in ("jpg", "png"):
        folder = work / suffix
        enlarge(min(SAMPLES.rglob("*.jpg")), folder / "photos" / f"a.{suffix}", 12000, 8400, 1)
        start = time.perf_counter()
        done = subprocess.run(protect_command(folder, 1), check=True, capture_output=True)
        out[suffix] = {
            "seconds": time.perf_counter() - start,
            "budget": json.loads(done.stdout)["result"]["budget"],
            "peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        }
    return out


BENCHMARKS: dict[str, Callable[[Path, argparse.Namespace], Result]] = {
    "protect": protect,
    "memory": memory,
    "help": help_,
    "large": large,
}
ON_TORCH = ("certify", "train")
"""Functions of benchmark_training.py."""


def main() -> None:
    """Run one benchmark; merge its result into a JSON file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("benchmark", choices=[*BENCHMARKS, *ON_TORCH])
    parser.add_argument("--jobs", type=int, default=2, help="processes; or threads of torch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file to merge the result into")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    a = parser.parse_args()
    run = BENCHMARKS.get(a.benchmark) or getattr(import_module("benchmark_training"), a.benchmark)
    with tempfile.TemporaryDirectory(prefix="ue-benchmark-") as work:
        result = {"machine": machine(), **run(Path(work), a)}
    print(json.dumps(result, indent=2))
    if a.out:
        results = json.loads(a.out.read_text()) if a.out.exists() else {}
        results[a.benchmark] = result
        a.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
