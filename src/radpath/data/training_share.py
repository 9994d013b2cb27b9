"""How good would a smaller study be? Leaves a share of the training cases, and validation and test as they are.

In: a manifest with sides. Out: the same with the other training cases excluded, and a finding that says so.
"""

import polars as pl

from radpath.data.findings import exclude_and_note
from radpath.data.label_sets import names_of, one_row_a_class
from radpath.data.manifest import Manifest
from radpath.seeding import generator_for


def keep_training_share(manifest: Manifest, share: float, *, seed: int) -> Manifest:
    """Exclude training cases until a share of them is left, of each class at least one.

    Cases are ranked once, so that those of a smaller share are among those of a larger one. A case with images of
    several classes belongs to a group of its own. Where images have several labels, cases are ranked all together.

    Args:
        manifest: with a side for every kept image.
        share: in (0, 1]; 1 changes nothing.
        seed: decides the ranks.
    """
    if share == 1:
        return manifest
    training = manifest.kept.filter(pl.col("split") == "train")
    left = _cases_left(training, share, seed=seed)
    detail = f"beyond the share of {share:g} of the training cases (split.train_share)"
    left_out = training.filter(~pl.col("case").is_in(left))["record_id"]
    return exclude_and_note(manifest, dict.fromkeys(left_out, detail), reason="outside the training share")


def _cases_left(training: pl.DataFrame, share: float, *, seed: int) -> list[str]:
    if names_of(training["label"].to_list()) is not None:
        return _cases_of_label_sets_left(training, share, seed=seed)
    strata = training.group_by("case").agg(pl.col("label").unique().sort()).sort("case")
    left: list[str] = []
    for labels, cases in strata.group_by("label", maintain_order=True):
        named = cases["case"].to_list()
        order = generator_for(seed, "training share", *map(str, labels)).permutation(len(named))
        left += [named[place] for place in order[: max(1, round(share * len(named)))]]
    return left


def _cases_of_label_sets_left(training: pl.DataFrame, share: float, *, seed: int) -> list[str]:
    """Return the first cases of one ranking of all, and of each label the first."""
    named = training["case"].unique().sort().to_list()
    ranked = [named[place] for place in generator_for(seed, "training share").permutation(len(named))]
    order = pl.DataFrame({"case": ranked, "rank": range(len(ranked))})
    placed = one_row_a_class(training).join(order, on="case")
    firsts = placed.group_by("label").agg(pl.col("case").sort_by("rank").first())["case"]
    return sorted({*ranked[: max(1, round(share * len(ranked)))], *firsts})
