"""Who does the work: threads or processes of this machine, or the workers of a Dask or Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from importlib import import_module
from typing import Any, Protocol, TypeVar

from tailrace.alone import imported
from tailrace.config import ParallelSettings
from tailrace.errors import ConfigError
from tailrace.installed import advice_on_extra
from tailrace.parallel.ready import get_ready

_Result = TypeVar("_Result")


class Executor(Protocol):
    """Calls functions elsewhere. A call may happen twice where a worker is lost. `workers` calls run at once."""

    workers: int

    def submit(self, work: Callable[[Any], _Result], argument: Any) -> Future[_Result]:
        """Have the function called with the argument."""

    def is_loss(self, error: BaseException) -> bool:
        """Whether a call failed with its worker, and may be submitted again."""

    def close(self) -> None:
        """End what was started for this run. Repeatable."""


def workers_for(settings: ParallelSettings | None) -> AbstractContextManager[Executor | None]:
    """What works as the settings say, if there are any, until the end of the context."""
    return nullcontext() if settings is None else closing(executor_of(settings))


def executor_of(settings: ParallelSettings) -> Executor:
    """What works as the settings say; raises ConfigError where that can't be had."""
    return _MAKERS[settings.backend](settings)


class _Threads:
    def __init__(self, settings: ParallelSettings) -> None:
        self.workers = settings.workers or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self.workers, "tailrace-worker")

    def submit(self, work: Callable[[Any], _Result], argument: Any) -> Future[_Result]:
        return self._pool.submit(work, argument)

    def is_loss(self, error: BaseException) -> bool:
        del error
        return False

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class _Processes:
    """Joblib's loky, whose processes start at once. One that dies takes all calls with it; then there are new ones."""

    def __init__(self, settings: ParallelSettings) -> None:
        self.workers = settings.workers or os.cpu_count() or 1
        self._loky = imported("joblib.externals.loky", {"numpy"})
        self._pool = self._started()

    def _started(self) -> Any:
        pool = self._loky.ProcessPoolExecutor(self.workers, initializer=get_ready)
        pool.submit(int)  # no process starts before the first call
        return pool

    def submit(self, work: Callable[[Any], _Result], argument: Any) -> Future[_Result]:
        try:
            future: Future[_Result] = self._pool.submit(work, argument)
        except BrokenExecutor:
            self.close()
            self._pool = self._started()
            future = self._pool.submit(work, argument)
        return future

    def is_loss(self, error: BaseException) -> bool:
        return isinstance(error, BrokenExecutor)

    def close(self) -> None:
        self._pool.shutdown(kill_workers=True)


class _Dask:
    """A Dask cluster, which calls again what a lost worker was at; after that it says that the worker was killed."""

    def __init__(self, settings: ParallelSettings) -> None:
        self._distributed = _imported("distributed", "dask")
        self._cluster = None
        if settings.address is None:
            self._cluster = self._distributed.LocalCluster(
                n_workers=settings.workers or os.cpu_count() or 1, threads_per_worker=1, dashboard_address=None
            )
        try:
            self._client = self._distributed.Client(self._cluster or settings.address, set_as_default=False)
        except OSError as error:
            raise _unreachable(settings) from error
        self.workers = settings.workers or sum(self._client.nthreads().values()) or 1
        self._pool = self._client.get_executor(pure=False)

    def submit(self, work: Callable[[Any], _Result], argument: Any) -> Future[_Result]:
        future: Future[_Result] = self._pool.submit(work, argument)
        return future

    def is_loss(self, error: BaseException) -> bool:
        return isinstance(error, self._distributed.KilledWorker)

    def close(self) -> None:
        self._pool.shutdown(wait=False)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


class _Ray:
    """A Ray cluster, by tasks of its own: its backend for joblib doesn't outlive a lost worker."""

    def __init__(self, settings: ParallelSettings) -> None:
        self._ray = _imported("ray", "ray")
        if self._ray.is_initialized():
            self._is_ours = False
        else:
            self._is_ours = True
            local = {"num_cpus": settings.workers, "include_dashboard": False} if settings.address is None else {}
            try:
                self._ray.init(settings.address, log_to_driver=False, **local)
            except (ConnectionError, TimeoutError, ValueError) as error:
                raise _unreachable(settings) from error
        self.workers = settings.workers or int(self._ray.cluster_resources().get("CPU", 1)) or 1

    def submit(self, work: Callable[[Any], _Result], argument: Any) -> Future[_Result]:
        future: Future[_Result] = self._ray.remote(work).options(num_cpus=1).remote(argument).future()
        return future

    def is_loss(self, error: BaseException) -> bool:
        return isinstance(error, (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.NodeDiedError))

    def close(self) -> None:
        if self._is_ours:
            self._ray.shutdown()


_MAKERS: dict[str, Callable[[ParallelSettings], Executor]] = {
    "threading": _Threads,
    "loky": _Processes,
    "dask": _Dask,
    "ray": _Ray,
}


def _imported(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(f"{extra} isn't installed", key="parallel.backend", hint=advice_on_extra(extra)) from error


def _unreachable(settings: ParallelSettings) -> ConfigError:
    return ConfigError(
        f"no cluster of {settings.backend} answers at {settings.address}",
        key="parallel.address",
        hint="see that its scheduler runs, and that it can be reached from here",
    )
