"""Scores, minutes and peak memory of ``radpath fit`` without a settings file, on real images, over several seeds.

Usage: python benchmarks/real_data.py FOLDER [--seeds 0 1 2] [--only breastmnist ...]

FOLDER holds medmnist28/breastmnist.npz, medmnist28/retinamnist.npz and bccd_crops/ (with manifest.csv). Each run is
the command that a user types, with nothing set but the seeds; the table goes to benchmarks/results/.
"""

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

DATA_SETS: dict[str, dict[str, Any]] = {
    "breastmnist": {"images": "medmnist28/breastmnist.npz", "labels": None, "published": 0.919},
    "retinamnist": {"images": "medmnist28/retinamnist.npz", "labels": None, "published": 0.750},
    "bccd_crops": {"images": "bccd_crops", "labels": "bccd_crops/manifest.csv", "published": None},
}


def run_once(folder: Path, name: str, seed: int, out: Path) -> dict[str, Any]:
    """Run one fit in a process of its own and return its numbers."""
    chosen = DATA_SETS[name]
    command = [sys.executable, "-m", "radpath", "fit", str(folder / chosen["images"]), "--out", str(out)]
    if chosen["labels"]:
        command += ["--labels", str(folder / chosen["labels"])]
    command += ["--set", f"training.seed={seed}", "--set", f"split.seed={seed}"]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    test = metrics["sides"]["test"]
    auc = next(e for e in test["estimates"] if e["metric"] == "roc_auc" and e["of_class"] == metrics["positive_class"])
    accuracy = next(e for e in test["estimates"] if e["metric"] == "accuracy")
    return {
        "name": name,
        "seed": seed,
        "auc": auc,
        "accuracy": accuracy,
        "minutes": (time.monotonic() - began) / 60,
        "cpu_minutes": (usage.ru_utime + usage.ru_stime) / 60,
        "peak_gib": usage.ru_maxrss / 2**20,
        "padded": json.loads((out / "padding.json").read_text(encoding="utf-8"))["test"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return a Markdown table, one line a run and a mean for each data set."""
    lines = [
        "| data | seed | test AUC (95 % interval by case) | accuracy | padded | minutes | CPU minutes | peak GiB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        auc, accuracy = row["auc"], row["accuracy"]
        lines.append(
            f"| {row['name']} | {row['seed']} | {auc['value']:.4f} ({auc['low']:.3f} to {auc['high']:.3f}) | "
            f"{accuracy['value']:.3f} | {row['padded']:.1%} | {row['minutes']:.1f} | "
            f"{row['cpu_minutes']:.1f} | {row['peak_gib']:.2f} |"
        )
    for name in dict.fromkeys(row["name"] for row in rows):
        scores = [row["auc"]["value"] for row in rows if row["name"] == name]
        best = DATA_SETS[name]["published"]
        beside = f"; best published baseline {best:.3f}" if best else ""
        lines.append(
            f"| **{name}** | {len(scores)} seeds | **mean {sum(scores) / len(scores):.4f}**{beside} | | | | | |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run all data sets and seeds, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(DATA_SETS), choices=list(DATA_SETS))
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    day = dt.datetime.now(dt.UTC).date().isoformat()
    numbers = RESULTS / f"real_data-{day}.json"
    rows: list[dict[str, Any]] = json.loads(numbers.read_text(encoding="utf-8")) if numbers.is_file() else []
    wanted = [(name, seed) for seed in arguments.seeds for name in arguments.only]
    for name, seed in wanted:
        if any(row["name"] == name and row["seed"] == seed for row in rows):
            continue  # measured before an interruption
        with tempfile.TemporaryDirectory() as place:
            rows.append(run_once(arguments.folder, name, seed, Path(place) / "run"))
        rows.sort(key=lambda row: (list(DATA_SETS).index(row["name"]), row["seed"]))
        numbers.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        numbers.with_suffix(".md").write_text(page(rows, day), encoding="utf-8")
        print(f"{name}, seed {seed}: done", flush=True)


def page(rows: list[dict[str, Any]], day: str) -> str:
    """Return the page that stands in results/."""
    return f"""# `radpath fit` on real images, {day}

`python benchmarks/real_data.py FOLDER`: {platform.machine()}, {os.cpu_count()} cores, no GPU, Python
{platform.python_version()}. Nothing is set but the seeds; minutes and memory are those of the whole command;
CPU minutes are those of all threads, which a neighbour on the machine changes less.

{table(rows)}
"""


if __name__ == "__main__":
    main()
