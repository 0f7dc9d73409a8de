"""Who works on inputs, and what is said where nobody can."""

import sys

import pytest

from tailrace.config import ParallelSettings
from tailrace.errors import ConfigError
from tailrace.parallel.executors import executor_of
from tailrace.parallel.positions import base_of, input_and_line, require_few
from tailrace.parallel.spool import SpoolStager


def test_threads_do_what_they_are_given():
    executor = executor_of(ParallelSettings(backend="threading", workers=2))
    futures = [executor.submit(abs, number) for number in (-1, 2)]
    assert [future.result() for future in futures] == [1, 2]
    assert (executor.workers, executor.is_loss(MemoryError())) == (2, False)
    executor.close()


@pytest.mark.parametrize(("backend", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_a_cluster_whose_package_isnt_there_says_how_to_get_it(backend, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"parallel.backend: {backend} isn't installed \(.*\[{backend}\]"):
        executor_of(ParallelSettings(backend=backend))


def test_a_cluster_that_doesnt_answer_is_told_by_its_address():
    import dask  # noqa: PLC0415 it takes a while
    import distributed  # noqa: F401, PLC0415 its settings are dask's

    with dask.config.set({"distributed.comm.timeouts.connect": "100ms"}):
        settings = ParallelSettings(backend="dask", address="tcp://127.0.0.1:1")
        with pytest.raises(ConfigError, match=r"no cluster of dask answers at tcp://127.0.0.1:1 \(see that"):
            executor_of(settings)


def test_each_input_has_a_range_of_lines():
    assert input_and_line(base_of(3) + 17) == (3, 17)
    with pytest.raises(ConfigError, match=r"a\.singer has more than 10000000000 lines"):
        require_few(10**10, "a.singer")


def test_a_spool_that_cant_be_written_to_is_told_by_its_setting(tmp_path, batch_of_one):
    stager = SpoolStager(tmp_path / "none", batch_of_one.rows.schema)
    with pytest.raises(ConfigError, match=r"parallel.spool: .*none can't be used: No such file"):
        stager.stage(batch_of_one)


def test_what_a_spool_has_taken_is_gone_when_it_is_dropped(tmp_path, batch_of_one):
    stager = SpoolStager(tmp_path, batch_of_one.rows.schema)
    stager.stage(batch_of_one)
    assert [*tmp_path.iterdir()]
    stager.discard()
    assert not [*tmp_path.iterdir()]


@pytest.fixture
def batch_of_one():
    import pyarrow as pa  # noqa: PLC0415 as the fixture's own

    from tailrace.model import Batch  # noqa: PLC0415 as above
    from tailrace.testing.parts import ID, stream  # noqa: PLC0415 as above

    made = stream(ID)
    return Batch(made, pa.table([[1], [1]], schema=made.arrow), 1)
