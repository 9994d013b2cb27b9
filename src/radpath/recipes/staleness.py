"""What changed since a run began: images, labels, sides or settings, by content."""

import polars as pl

from radpath.data.manifest import Manifest
from radpath.errors import StaleError
from radpath.recipes.experiment import Experiment
from radpath.run_folder import RunFolder
from radpath.settings import flatten

_MOST_NAMED = 3


_STEP = "settings"


def stamp_settings(folder: RunFolder, experiment: Experiment) -> None:
    """Record the settings that a run begins with; where it runs, and how it is explained, may change."""
    folder.stamp(_STEP, _texts(experiment))


def require_same_settings(folder: RunFolder, now: Experiment) -> None:
    """Refuse to go on with a run under other settings, also where its own experiment.toml was edited.

    Raises:
        StaleError: naming the settings, with both values.
    """
    then, texts = folder.stamped(_STEP), _texts(now)
    changed = [key for key in texts | then if then.get(key) != texts.get(key)]
    if changed:
        changes = "; ".join(f"{key} was {then.get(key)} and is {texts.get(key)}" for key in changed)
        raise StaleError(
            f"{folder.root}: the settings changed since this run began: {changes}; "
            "start a new run with another --out, or take the change back"
        )


def _texts(experiment: Experiment) -> dict[str, str]:
    """Return each setting as text, by its dotted name."""
    values = flatten(experiment.model_dump(mode="json", exclude={"device": True, "explanation": True, "data": {"ray"}}))
    return {key: repr(value) for key, value in values.items()}


def require_same_data(folder: RunFolder, now: Manifest) -> None:
    """Refuse to continue a run on other images, labels or sides.

    Raises:
        StaleError: saying which changed, how many, with examples.
    """
    changes = changed_data(Manifest.read(folder.manifest, images=now.images), now)
    if changes:
        raise StaleError(
            f"{folder.root}: the data changed since this run began: {'; '.join(changes)}; "
            "start a new run with another --out, or restore the data"
        )


def changed_data(then: Manifest, now: Manifest) -> list[str]:
    """Return one text for each kind of change between two manifests."""
    old_ids, new_ids = set(then.table["record_id"]), set(now.table["record_id"])
    both = then.table.join(now.table, on="record_id", suffix="_now")
    changes = {
        "{n} added": sorted(new_ids - old_ids),
        "{n} removed": sorted(old_ids - new_ids),
        "{n} with other content": _differing(both, "file_digest"),
        "{n} with another label": _differing(both, "label"),
        "{n} with another case": _differing(both, "case"),
        "{n} on another side": _differing(both, "split"),
        "{n} excluded or taken back": _differing(both, "status"),
    }
    return [_sentence(text, records) for text, records in changes.items() if records]


def _differing(both: pl.DataFrame, column: str) -> list[str]:
    differs = pl.col(column).ne_missing(pl.col(f"{column}_now"))
    return both.filter(differs)["record_id"].sort().to_list()


def _sentence(text: str, records: list[str]) -> str:
    named = ", ".join(records[:_MOST_NAMED]) + (", …" if len(records) > _MOST_NAMED else "")
    images = f"{len(records)} image{'s' if len(records) > 1 else ''}"
    return f"{text.format(n=images)} ({named})"
