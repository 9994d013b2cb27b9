"""What torchrun says of its processes is read from its variables, and only where radpath is told to."""

import pytest

from radpath.errors import DeviceError
from radpath.training import workers
from radpath.training.device import DeviceSettings, on_devices


def never(_: object) -> None:
    raise AssertionError


@pytest.fixture
def second_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines with two processes each."""
    variables = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "RANK": "1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("second_of_four")
def test_the_variables_of_torchrun_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert workers.is_started_by_torchrun()
    assert workers.is_helper()
    assert (workers.processes_here(), workers.num_machines()) == (2, 2)
    monkeypatch.setenv("RANK", "0")
    assert not workers.is_helper()


@pytest.mark.usefixtures("second_of_four")
def test_a_single_process_of_torchrun_is_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not workers.is_started_by_torchrun()
    assert not workers.is_helper()


def test_torchrun_has_to_be_there() -> None:
    with pytest.raises(
        DeviceError, match=r"^device\.launcher is 'torchrun', but torchrun did not start this process; "
    ):
        on_devices(DeviceSettings(device="cpu", launcher="torchrun"), never)


@pytest.mark.usefixtures("second_of_four")
def test_torchrun_has_to_be_wanted() -> None:
    with pytest.raises(DeviceError, match=r"add --set device\.launcher=torchrun, or start radpath without torchrun$"):
        on_devices(DeviceSettings(device="cpu"), never)


@pytest.mark.usefixtures("second_of_four")
def test_torchrun_and_the_settings_agree_on_the_number() -> None:
    with pytest.raises(
        DeviceError, match=r"^device\.num_devices is 1, but torchrun started 2 processes on this machine"
    ):
        on_devices(DeviceSettings(device="cpu", launcher="torchrun"), never)


@pytest.mark.usefixtures("second_of_four")
def test_a_torchrun_without_a_store_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    with pytest.raises(
        DeviceError, match=r"^this torchrun keeps no store for its processes; start it with --standalone"
    ):
        workers.serve()
