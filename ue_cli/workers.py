"""A process pool that keeps a bounded window of work, survives a crashing file and a Ctrl-C."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_connections
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_ENVIRONMENT = {
    # One thread of linear algebra per process: the processes are the parallelism.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # glibc gives a photo's arrays back to the system after every photo and faults them in again
    # for the next one, a sixth of a large photo's time; here it keeps them.
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
}
"""What every worker process starts with, where the user has not set it."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """The task whose worker process died under it, alone in the pool."""


@dataclass
class WorkerPool(Generic[T, R]):
    """Runs ``function`` over tasks in ``jobs`` processes and yields results as they come.

    Attributes:
        function: a module-level function of one task.
        jobs: number of processes.
        setup: called once in each process with ``setup_args``, to receive what all tasks share.
        setup_args: its arguments.
        stop: called first when a run ends early (Ctrl-C, an error). What is in flight is then
            waited for, so that files are finished; tasks that take minutes are told to end by it.
    """

    function: Callable[[T], R]
    jobs: int
    setup: Callable[..., None]
    setup_args: tuple[Any, ...]
    stop: Callable[[], None] = lambda: None

    def run(self, tasks: Iterable[T]) -> Iterator[tuple[T, R | Crashed]]:
        """Yield (task, result), in the order of completion.

        At most a few tasks per process are in flight, so that memory does not grow with their
        number. When a process dies, whatever was in flight runs again one task at a time, and the
        task that dies alone is reported as `Crashed`.

        Raises:
            Exception: whatever ``function`` raised.
        """
        queue = iter(tasks)
        while True:
            suspects: list[T] = []
            with self._pool(self.jobs) as pool:
                flight: dict[Future[R], T] = {}
                unsent: list[T] = []  # taken from the queue, not yet submitted
                try:
                    self._send(pool, itertools.islice(queue, 3 * self.jobs), flight, unsent)
                    while flight:
                        done, _ = wait(flight, return_when=FIRST_COMPLETED)
                        for future in done:
                            task = flight.pop(future)
                            if isinstance(future.exception(), BrokenProcessPool):
                                suspects.append(task)
                                continue
                            yield task, future.result()
                            self._send(pool, itertools.islice(queue, 1), flight, unsent)
                except BrokenProcessPool:  # from submit: the pool died between two results
                    suspects.extend([*flight.values(), *unsent])
                except BaseException:
                    self.stop()
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise
            if not suspects:
                return
            yield from self._one_by_one(suspects)

    def _send(
        self,
        pool: ProcessPoolExecutor,
        tasks: Iterable[T],
        flight: dict[Future[R], T],
        unsent: list[T],
    ) -> None:
        """Submit tasks; one that a broken pool did not take stays in ``unsent``."""
        for task in tasks:
            unsent.append(task)
            with _interrupts_held():
                future = pool.submit(self.function, task)
            flight[future] = task
            unsent.clear()

    def _one_by_one(self, tasks: list[T]) -> Iterator[tuple[T, R | Crashed]]:
        for task in tasks:
            with self._pool(1) as pool:
                try:
                    with _interrupts_held():
                        future = pool.submit(self.function, task)
                    result: R | Crashed = future.result()
                except BrokenProcessPool:
                    result = Crashed()
                except BaseException:
                    self.stop()
                    raise
            yield task, result

    def _pool(self, jobs: int) -> ProcessPoolExecutor:
        # Read when a process starts, which spawned children do afresh.
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        return ProcessPoolExecutor(
            jobs,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(self.setup, self.setup_args),
        )


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while a process may be started: it inherits that, and never sees one.

    The terminal sends it to the whole group, and a child that is still importing would die of it
    with a traceback. The parent gets its own a moment later.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(setup: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    # Ctrl-C reaches the whole group: the parent alone decides, so that files in flight finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # C libraries print their complaints about damaged files; ours are sentences, from the parent.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    setup(*arguments)


def _die_with_parent() -> None:
    # A parent that was killed with SIGKILL cannot tell its children to stop.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_connections([parent.sentinel])
        os._exit(1)
