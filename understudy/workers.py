"""Map a function over drives: here, in several processes, or on Ray.

A drive that fails is reported and the others go on, even when its process dies. Each worker holds one drive at a time
and gets the next when it is done, so nothing piles up and a dead worker has taken exactly one drive with it.
Functions and items must pickle when they leave this process: a function at the top of a module, or a `partial` of one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pickle import PicklingError
from typing import TYPE_CHECKING, Any, Literal

from understudy.errors import UnderstudyError

if TYPE_CHECKING:
    from understudy.store import Run  # a worker that writes nothing need not read it


@dataclass(frozen=True)
class Outcome:
    """What became of one item."""

    name: str
    value: Any = None
    error: str = ""  # one line; empty when all went well
    trace: str = ""  # where it happened, when the fault is ours rather than the drive's


@dataclass(frozen=True)
class Report:
    """What a stage over many drives came to."""

    made: tuple[str, ...]  # subjects worked on now
    kept: tuple[str, ...]  # subjects that were done already
    skipped: Mapping[str, str]  # reason by subject: none of this stage's business
    failures: Mapping[str, str]  # message by subject


def map_drives(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    processes: int | Literal["ray"] = 0,
    on_result: Callable[[Outcome], None] | None = None,
    describe: Callable[[Any], str] = str,
) -> list[Outcome]:
    """`function` of every item: 0 processes means here and one after the other, `"ray"` a Ray cluster.

    Gives an outcome per item in the order of the items. `on_result` is told of each as it comes, in this process;
    `describe` names an item in reports. Ctrl-C ends the workers and is raised on.
    """
    work = list(items)
    names = [describe(item) for item in work]
    outcomes: dict[int, Outcome] = {}
    with closing(_results(function, work, processes)) as results:
        for index, value, error, trace in results:
            outcomes[index] = Outcome(names[index], value, error, trace)
            if on_result is not None:
                on_result(outcomes[index])
    return [outcomes[index] for index in range(len(work))]


@contextmanager
def crew() -> Iterator[None]:
    """Within it workers outlive a map, and take up the next: what they have imported and built serves them again.

    For stages that map many times. Outside of one, a map starts its workers anew and leaves none behind.
    """
    global _resting
    if _resting is not None:
        yield
        return
    _resting = []
    try:
        yield
    finally:
        resting, _resting = _resting, None
        for worker in resting:
            worker.dismiss()


def fill(
    run: Run,
    make: Callable[[Any], object],
    todo: Sequence[Any],
    kept: Iterable[str],
    processes: int = 0,
    on_drive: Callable[[Outcome, int], None] | None = None,
    describe: Callable[[Any], str] = str,
) -> Report:
    """Make the parts of a run that are not there yet, of a drive each; the run hears of those that failed.

    `kept` names the drives whose parts are there. `on_drive` is told of each as it comes, and of how many there are.
    """
    outcomes = map_drives(make, todo, processes, on_drive and (lambda one: on_drive(one, len(todo))), describe)
    for outcome in outcomes:
        if outcome.error:
            run.fail(outcome.name, outcome.error)
    made = tuple(outcome.name for outcome in outcomes if not outcome.error)
    return Report(made, tuple(kept), run.skipped, run.failures)


Function = Callable[[Any], Any]
Result = tuple[int, Any, str, str]  # index, value, error, trace


def _results(function: Function, work: list[Any], processes: int | str) -> Generator[Result]:
    if processes == "ray":
        return _on_ray(function, work)
    if processes:
        return _in_processes(function, work, int(processes))
    return (_attempt(function, index, item) for index, item in enumerate(work))


def _attempt(function: Function, index: int, item: Any) -> Result:
    try:
        return index, function(item), "", ""
    except UnderstudyError as error:
        return index, None, str(error), ""
    except SystemExit as error:  # a plug-in that ends its process ends its drive, not ours with an exit code of its own
        return index, None, f"its worker ended with exit code {error.code}", ""
    except Exception as error:  # a bug of ours or of a plug-in: this drive fails, and the trace says where
        return index, None, f"{type(error).__name__}: {error}", traceback.format_exc()


# Processes ------------------------------------------------------------------------------------------------------------


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    threads: int  # that its share of the cores comes to
    index: int = -1  # of the item in its hands

    def give(self, index: int, item: Any) -> None:
        self.index = index
        self.say((index, item))

    def rest(self) -> None:
        """Wait for another map, where one may come."""
        if _resting is None:
            self.dismiss()
        else:
            self.say(None)
            _resting.append(self)

    def say(self, what: Any) -> None:
        with suppress(BrokenPipeError):  # if it died in between, the next recv says so
            self.pipe.send(what)

    def dismiss(self) -> None:
        self.pipe.close()
        self.process.join()


_resting: list[_Worker] | None = None  # of the crew, where there is one


def _in_processes(function: Function, work: list[Any], count: int) -> Generator[Result]:
    waiting = deque(enumerate(work))
    workers: list[_Worker] = []
    threads = max((os.cpu_count() or 1) // count, 1)
    try:
        while waiting or workers:
            while waiting and len(workers) < count:
                workers.append(_rested(threads) or _hire(threads))
                workers[-1].say(function)
                workers[-1].give(*waiting.popleft())
            ready = wait([worker.pipe for worker in workers])
            for worker in [worker for worker in workers if worker.pipe in ready]:
                try:
                    result = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    workers.remove(worker)
                    worker.dismiss()
                    result = (worker.index, None, _death(worker.process.exitcode), "")
                else:
                    if waiting:
                        worker.give(*waiting.popleft())
                    else:
                        workers.remove(worker)
                        worker.rest()
                yield result
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.dismiss()


def _rested(threads: int) -> _Worker | None:
    resting = _resting or []
    for worker in resting:
        if worker.threads == threads and worker.process.is_alive():
            resting.remove(worker)
            return worker
    return None


def _hire(threads: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
    resource_tracker.ensure_running()  # beforehand: starting it inside `start` would let Ctrl-C through again
    held_back = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is ours, also while it starts
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)
    theirs.close()  # the worker's end is then the only one, and its death is heard here
    return _Worker(process, ours, threads)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its worker was killed by {signal.Signals(-code).name} (out of memory, perhaps)"
    return f"its worker ended with exit code {code}"


def _serve(pipe: Connection, threads: int) -> None:
    """A worker's life: for each map a function, its items and a None, until the parent closes its end or is gone."""
    # Its share of the cores, said before torch is there to read it: two workers with a thread for every core each wait
    # for one another, and train at a quarter of the speed.
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    sys.path.insert(0, os.getcwd())  # a plug-in given as module:Class may lie in the working folder
    threading.Thread(target=_follow, daemon=True).start()
    with suppress(EOFError, BrokenPipeError):
        while True:
            function = pipe.recv()
            while (given := pipe.recv()) is not None:
                result = _attempt(function, *given)
                try:
                    pipe.send(result)
                except (TypeError, AttributeError, PicklingError) as error:
                    pipe.send((given[0], None, f"its answer cannot travel between processes: {error}", ""))


def _follow() -> None:
    """End when the parent is gone, however it ended: nobody waits for what is in hand, which may take an hour more."""
    if (parent := multiprocessing.parent_process()) is not None:
        wait([parent.sentinel])
        os._exit(1)


# Ray ------------------------------------------------------------------------------------------------------------------


def _on_ray(function: Function, work: list[Any]) -> Generator[Result]:
    try:
        import ray
    except ImportError as error:
        raise UnderstudyError("mapping over a Ray cluster needs Ray: install the extra [ray]") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    attempt = ray.remote(max_retries=0)(_attempt)
    waiting = iter(enumerate(work))
    running: dict[Any, int] = {}
    room = max(1, int(ray.cluster_resources().get("CPU", 1)))
    while True:
        for index, item in waiting:
            running[attempt.remote(function, index, item)] = index
            if len(running) >= room:
                break
        if not running:
            return
        done, _ = ray.wait(list(running), num_returns=1)
        index = running.pop(done[0])
        try:
            yield ray.get(done[0])
        except ray.exceptions.RayError as error:
            yield index, None, f"its worker died: {type(error).__name__}", ""
