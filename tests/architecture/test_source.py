"""What the source promises about itself: sizes, names, reasons beside exceptions. Layers are held by import-linter."""

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "radpath"
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(path for folder in ("tests", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py"))

MOST_LINES = 320
MOST_LINES_OF_A_FUNCTION = 45
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}

TOO_LONG = {
    "models/valid_area.py": "one rule for each function that mixes positions; divided, the table of rules would be too",
}

# Modules whose tests stand under another name, with the reason; a folder stands for all modules in it.
TESTED_ELSEWHERE = {
    "__main__.py": "two lines; the journeys start it",
    "data/manifest.py": "a noun that every test of data builds and reads",
    "data/formats/__init__.py": "keeps two loggers of other libraries off the screen, nothing else",
    "data/formats/stored.py": "a noun of the formats, tested with each",
    "data/formats/tiff_page.py": "the first half of one reader, tested in tests/data/formats/test_tiff.py",
    "data/synthetic/": "private steps of one drawing, tested by what it draws in tests/data/test_synthetic.py",
    "evaluation/catalogue.py": "the list of metrics, every one of which tests/evaluation/test_metrics.py computes",
    "errors.py": "classes; tests/test_docs.py checks that each is documented",
    "progress.py": "needs a terminal; silent elsewhere",
    "records.py": "constants and one line, which its doctest shows",
    "recipes/concluding.py": "a choice of two endings, tested in tests/recipes/test_train.py and the journeys",
    "recipes/label_judging.py": "files of a run, tested with it in tests/journeys/test_several_labels.py",
    "recipes/pictures.py": "thumbnails of a report, tested with it in tests/recipes/test_report.py",
    "recipes/predict_labels.py": "a table of a run, tested with it in tests/journeys/test_several_labels.py",
    "recipes/run_facts.py": "parts of a report, tested with it in tests/recipes/test_report.py",
    "recipes/run_predictions.py": "a table of a run, tested with it in tests/recipes/test_running.py and the journeys",
    "reporting/blocks.py": "nouns, which the sections of the report build",
    "reporting/checklist_items.py": "what guidelines ask, tested in tests/reporting/test_checklists.py",
    "reporting/closing_sections.py": "parts of the page, tested with it in tests/reporting/test_page.py",
    "reporting/content.py": "nouns, which tests/reporting/conftest.py builds",
    "reporting/label_figures.py": "parts of one page, tested with it in tests/reporting/test_label_page.py",
    "reporting/label_section.py": "parts of one page, tested with it in tests/reporting/test_label_page.py",
    "reporting/results_section.py": "parts of the page, tested with it in tests/reporting/test_page.py",
    "reporting/sections.py": "a list of sections, tested as the page in tests/reporting/test_page.py",
    "reporting/study_content.py": "nouns, which tests/reporting/test_study.py builds",
    "reporting/study_figures.py": "figures of one page, tested with it in tests/reporting/test_study.py",
    "reporting/training_section.py": "parts of the page, tested with it in tests/reporting/test_page.py",
    "training/loss_settings.py": "settings, tested with what they do in tests/training/test_losses.py",
}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def comments(path: Path) -> Iterator[str]:
    with path.open("rb") as lines:
        yield from (token.string for token in tokenize.tokenize(lines.readline) if token.type == tokenize.COMMENT)


def test_modules_are_short() -> None:
    lengths = {path.relative_to(PACKAGE).as_posix(): len(lines_of(path)) for path in MODULES}
    assert {name for name, length in lengths.items() if length > MOST_LINES} == set(TOO_LONG)


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_functions_are_short() -> None:
    too_long = [
        f"{named(path)}: {node.name}"
        for path in MODULES
        for node in functions(path)
        if (node.end_lineno or 0) - node.lineno + 1 - docstring_lines(node) > MOST_LINES_OF_A_FUNCTION
    ]
    assert too_long == []


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """A contract may be as long as it needs to be; only code is counted."""
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (first.end_lineno or 0) - first.lineno + 1 if is_docstring else 0


def test_no_name_is_vague() -> None:
    everything = [path.relative_to(ROOT) for path in (*MODULES, *SCRIPTS)]
    assert [path for path in everything if {*path.with_suffix("").parts} & VAGUE_NAMES] == []


def test_every_module_says_what_it_is() -> None:
    assert [named(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))] == []


def mirrored(module: Path) -> Path:
    inside = module.relative_to(PACKAGE)
    name = "init" if module.name == "__init__.py" else module.stem
    return ROOT / "tests" / inside.parent / f"test_{name}.py"


def test_every_module_has_its_tests_where_one_looks_for_them() -> None:
    missing = [
        name
        for module in MODULES
        if not mirrored(module).is_file()
        and not is_covered(name := module.relative_to(PACKAGE).as_posix())
        and not is_empty(module)
    ]
    assert missing == []


def is_covered(name: str) -> bool:
    return any(name == covered or (covered.endswith("/") and name.startswith(covered)) for covered in TESTED_ELSEWHERE)


def is_empty(module: Path) -> bool:
    """Return whether a package's opening holds nothing but its docstring."""
    return len(ast.parse(module.read_text(encoding="utf-8")).body) == 1


def test_modules_that_are_tested_elsewhere_are_still_there() -> None:
    assert [name for name in TESTED_ELSEWHERE if not (PACKAGE / name).exists()] == []


def test_every_ignored_rule_has_its_reason_beside_it() -> None:
    unexplained = [
        f"{named(path)}: {comment}"
        for path in (*MODULES, *SCRIPTS)
        for comment in comments(path)
        if re.search(r"#\s*(noqa|type:\s*ignore)", comment) and len(reason_in(comment)) < len("a word")
    ]
    assert unexplained == []


def reason_in(comment: str) -> str:
    rule = r"#\s*(?:noqa:\s*[A-Z0-9, ]+?|type:\s*ignore\[[a-z, -]+\])(?=\s*(?:#|-|$))"
    return re.sub(rule, "", comment).strip(" #-")


def test_nothing_is_left_to_do() -> None:
    unfinished = ("TO" + "DO", "FIX" + "ME", "X" + "XX")
    everything = [(path, comment) for path in (*MODULES, *SCRIPTS) for comment in comments(path)]
    assert [named(path) for path, comment in everything if any(word in comment for word in unfinished)] == []
