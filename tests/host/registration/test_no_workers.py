"""Zero workers: refused at registration, allowed for an operator."""

import pytest

import perdure


@pytest.mark.parametrize("parallelism", [0, 0.0, -1, False, True, 1.5, (0, 0), (3, 2), (1,), "2", 10_001])
def test_handler_that_could_never_run_is_refused(parallelism: object) -> None:
    system = perdure.System(store=perdure.MemoryStore())
    with pytest.raises(perdure.InvalidMessage, match="parallelism"):
        system.handler(int, parallelism=parallelism)(lambda number: None)  # type: ignore[arg-type]  # wrong on purpose


def test_error_of_zero_workers_names_the_ways_to_stop_deliveries() -> None:
    system = perdure.System(store=perdure.MemoryStore())
    with pytest.raises(perdure.InvalidMessage, match=r"admin\.pause.*admin\.scale.*\(0, 4\)"):
        system.handler(int, parallelism=0)(lambda number: None)


def test_operator_may_scale_to_zero_and_back() -> None:
    with perdure.System(store=perdure.MemoryStore()) as system:
        system.handler(int)(lambda number: None)
        system.admin.scale(int, 0)
        system.publish(1)
        assert system.admin.metrics().ready == 1
        system.admin.scale(int, 1)
        system.drain(timeout=30.0)


def test_elastic_handler_may_start_from_none() -> None:
    with perdure.System(store=perdure.MemoryStore()) as system:
        system.handler(int, parallelism=(0, 2))(lambda number: None)
        system.publish(1)
        system.drain(timeout=30.0)
