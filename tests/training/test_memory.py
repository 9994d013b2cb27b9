"""Freed memory is kept where glibc gives memory out, and nothing happens elsewhere."""

import platform

import pytest

from radpath.training.memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
def test_glibc_takes_the_advice() -> None:
    assert keep_freed_memory()


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
