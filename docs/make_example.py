"""Makes the example report in ``docs/example``, by `python docs/make_example.py`.

In: nothing; images, ages and sexes are drawn. Out: the pages of one run, and pictures of them where Chromium is there.
"""

import argparse
import csv
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from radpath.data.synthetic import SizeRange, SyntheticStudy, write_synthetic
from radpath.recipes.fit import fit
from radpath.recipes.telling import say

EXAMPLE = Path(__file__).parent / "example"
MALIGNANT = {"in_situ", "invasive"}
SETTINGS = (
    "question=Is the tissue malignant? (Images and patients are drawn by a program.)",
    "model.freeze=all",
    "training.epochs=12",
    "evaluation.positive_class=malignant",
    "device.precision=32-true",
    "data.name_pattern={pattern}",
)
# Name, width and height of the window, the section that is shown alone (the top: none of them), and the theme.
PICTURES = (
    ("top", 1000, 1150, "", "light"),
    ("results", 1000, 1750, "results", "light"),
    ("dark", 1000, 1750, "results", "dark"),
)
KEPT_TABLES = ("results.csv", "results.tex", "characteristics.csv")


def draw(folder: Path) -> SyntheticStudy:
    """Draw a study of four kinds of tissue, and tell only which are malignant, and who the patients are."""
    sizes = SizeRange(smallest_px=40, median_px=64, largest_px=96)
    study = write_synthetic(folder, cases_per_class=14, images_per_case=(2, 3), seed=4, sizes=sizes)
    with study.labels.open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    generator = np.random.default_rng(4)
    with study.labels.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(["case", "label", "sex", "age"])
        for row in rows:
            label = "malignant" if row["label"] in MALIGNANT else "benign"
            age = round(generator.normal(66 if label == "malignant" else 58, 11))
            writer.writerow([row["case"], label, generator.choice(["female", "male"]), age])
    return study


def photograph(page: Path, folder: Path) -> None:
    """Take pictures of parts of the page, in light and in dark."""
    chromium = shutil.which("chromium")
    if chromium is None:
        say("no Chromium here, so the pictures stay as they are")
        return
    for name, width, height, anchor, theme in PICTURES:
        shown = (
            f"main > section:not(:has(#{anchor})), header, nav, main > .alert {{ display: none; }}" if anchor else ""
        )
        part = folder / "part.html"
        part.write_text(page.read_text(encoding="utf-8").replace("</style>", f"{shown}</style>", 1), encoding="utf-8")
        theme_option = f"--blink-settings=preferredColorScheme={0 if theme == 'dark' else 1}"
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", theme_option)
        words = (f"--window-size={width},{height}", f"--screenshot={folder / name}.png", part.resolve().as_uri())
        subprocess.run([chromium, *options, *words], check=True)  # noqa: S603 - a browser, on a page of our own
        part.unlink()


def make(folder: Path) -> None:
    """Run the whole job in a folder that is thrown away, and keep its pages."""
    with tempfile.TemporaryDirectory() as scratch:
        study = draw(Path(scratch) / "data")
        wishes = [one.format(pattern=study.name_pattern) for one in SETTINGS]
        run = fit(
            study.images,
            labels=study.labels,
            assignments=wishes,
            out=Path(scratch) / "example",
            command="radpath fit images --labels labels.csv",
        )
        folder.mkdir(exist_ok=True)
        for page in (run.report, run.model_card):
            text = page.read_text(encoding="utf-8").replace(f"{scratch}/data/", "")
            (folder / page.name).write_text(text, encoding="utf-8")
        (folder / "tables").mkdir(exist_ok=True)
        for name in KEPT_TABLES:
            shutil.copy(run.tables / name, folder / "tables" / name)
        photograph(folder / run.report.name, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=EXAMPLE, help="where the pages go")
    make(parser.parse_args().out)
