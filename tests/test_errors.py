"""Every error of radpath has its own exit code, and all of them are documented."""

import re
import signal

from radpath import errors
from radpath.errors import RadpathError, RunInterruptedError, exit_codes


def kinds_below(kind: type[RadpathError]) -> list[type[RadpathError]]:
    return [kind, *(lower for direct in kind.__subclasses__() for lower in kinds_below(direct))]


def test_every_kind_of_error_has_its_own_documented_exit_code() -> None:
    kinds = [kind for kind in kinds_below(RadpathError) if kind.__module__ == errors.__name__]
    codes = [kind.exit_code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert set(exit_codes()) == {0, *codes}
    assert all(0 < code < 125 for code in codes if code != RunInterruptedError.exit_code)  # the rest belongs to shells
    assert RunInterruptedError.exit_code == 128 + signal.SIGINT


def test_every_exit_code_is_one_sentence() -> None:
    for sentence in exit_codes().values():
        assert re.fullmatch(r"[A-Z][^\n]*\.", sentence)
