"""What a user installs: the wheel holds everything, and starts from anywhere."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    subprocess.run(command, check=True, capture_output=True)


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    source = ROOT / "src"
    files = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {"radpath/py.typed", "radpath/reporting/templates/report.html.jinja"} <= packed
    assert files - packed == set()
    assert {name for name in packed if not name.startswith(("radpath/", "radpath-"))} == set()
    assert any(name.endswith("/licenses/LICENSE") for name in packed)


def test_the_installed_wheel_answers(wheel: Path, tmp_path: Path) -> None:
    pip("install", "--no-deps", "--no-index", "--target", str(tmp_path / "site"), str(wheel))
    program = "import radpath, runpy, sys; print(radpath.__file__); sys.argv = ['radpath', '--help']; "
    program += "runpy.run_module('radpath', run_name='__main__')"
    answer = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); {program}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.startswith(str(tmp_path / "site" / "radpath" / "__init__.py"))
    assert "fit" in answer.stdout
    assert "Exit codes" in answer.stdout
    assert (tmp_path / "site" / "bin" / "radpath").is_file()
