"""New images and what a model, or several, said about them: joined over members, compared with what a run has seen.

In: probabilities of single looks. Out: ``Seen``, which has all that is written of new images. Who looks is in
``new_images``.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import polars as pl
from jaxtyping import Float64

from radpath.data.findings import counted, shortened
from radpath.data.manifest import Finding, Manifest
from radpath.evaluation.uncertainty import Spread, entropy, spread
from radpath.models.classifier import Link
from radpath.run_folder import RunFolder


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """New images and what a model, or several, said about them."""

    manifest: Manifest
    classes: tuple[str, ...]
    link: Link
    """What the probabilities are: of classes, or of several labels, each by itself."""
    probabilities: Float64[np.ndarray, "kept classes"]
    """One row for each kept image of the manifest."""
    views: Spread | None
    """How far the views of each image are from each other; None where there is one, and for ensembles."""
    members: Spread | None
    """The same of the members of an ensemble."""
    distance: Float64[np.ndarray, " kept"] | None
    """To the training data, 1 being what hardly any validation image has; None where no run knows."""

    @property
    def entropy(self) -> Float64[np.ndarray, " kept"]:
        """How evenly the probabilities are divided, in 0 to 1; of several labels, the mean over them."""
        return (
            entropy(_of_two(self.probabilities)).mean(axis=1) if self.link == "sigmoid" else entropy(self.probabilities)
        )

    def columns(self) -> list[pl.Series]:
        """Return what stands behind the probabilities and what follows from them: doubt, and distance."""
        found = [pl.Series("entropy", self.entropy)]
        for whose, apart in (("view", self.views), ("member", self.members)):
            if apart is not None:
                found.append(pl.Series(f"{whose}_deviation", apart.deviation))
                found.append(pl.Series(f"{whose}_mutual_information", apart.mutual_information))
        if self.distance is not None:
            found += [pl.Series("distance", self.distance), pl.Series("unlike_training", self.distance > 1)]
        return found

    def unlike_training(self) -> Finding | None:
        """Say which images are farther from the training images than hardly any validation image; the farthest first.

        None where nobody knows.
        """
        if self.distance is None:
            return None
        names, beyond = self.manifest.kept["record_id"], np.flatnonzero(self.distance > 1)
        farthest = beyond[np.argsort(-self.distance[beyond], kind="stable")]
        return Finding(
            kind="unlike-training",
            severity="warning",
            count=len(beyond),
            message=f"{counted(len(beyond), 'image')} unlike the training images (distance above 1): what the model "
            "says of such is hardly tested",
            examples=shortened(f"{names[int(place)]}: distance {self.distance[place]:.2f}" for place in farthest),
        )


def compared(manifest: Manifest, folder: RunFolder) -> Manifest:
    """Compare images with those that the run has seen."""
    seen = Manifest.read(folder.manifest, images=manifest.images).kept
    relevant = tuple(finding for finding in manifest.findings if finding.kind != "case-assumed")  # nothing is split
    return dataclasses.replace(manifest, findings=relevant).note(*_compare(manifest.kept, seen))


def _compare(new: pl.DataFrame, seen: pl.DataFrame) -> tuple[Finding, Finding]:
    """Say which images the model has learned from, and which are of a kind that it never saw."""
    learned = seen.filter(pl.col("split") != "test")
    known = new.filter(pl.col("pixel_digest").is_in(learned["pixel_digest"].drop_nulls().to_list()))
    kinds = ["channels", "bit_depth"]
    strange = new.join(seen, on=kinds, how="anti", maintain_order="left")
    named = strange.select(pl.format("{}: {} channels, {} bit", "record_id", *kinds)).to_series()
    return (
        Finding(
            kind="seen-in-training",
            severity="note",
            count=len(known),
            message=f"{counted(len(known), 'image')} the same as in the run's training or validation: no test of it",
            examples=shortened(known["record_id"]),
        ),
        Finding(
            kind="other-pixels",
            severity="warning",
            count=len(strange),
            message=f"{counted(len(strange), 'image')} with channels or bits per channel that the run never saw",
            examples=shortened(named),
        ),
    )


def joined(looks: Sequence[Seen], weights: Sequence[float]) -> Seen:
    """Return the mean of several looks at the same images."""
    manifest, first = looks[0].manifest, looks[0]
    for look in looks[1:]:
        excluded = look.manifest.excluded
        details = {record: detail or "" for record, detail in excluded.select("record_id", "detail").iter_rows()}
        manifest = manifest.exclude(details, reason="excluded by a member")
    kept = manifest.kept["record_id"].to_list()
    rows = [[place[record] for record in kept] for place in (_places(look) for look in looks)]
    shares = [weight / sum(weights) for weight in weights]
    opinions = np.stack(
        [
            look.probabilities[of_member][:, [look.classes.index(name) for name in first.classes]]
            for look, of_member in zip(looks, rows, strict=True)
        ]
    )
    distances = [None if look.distance is None else look.distance[of] for look, of in zip(looks, rows, strict=True)]
    known = [distance for distance in distances if distance is not None]
    return Seen(
        manifest=manifest,
        classes=first.classes,
        link=first.link,
        probabilities=_mean(opinions, shares),
        views=None,
        members=spread_of(opinions, link=first.link, weights=shares),
        distance=_mean(np.stack(known), shares) if len(known) == len(looks) else None,
    )


def _places(look: Seen) -> dict[str, int]:
    return {record: row for row, record in enumerate(look.manifest.kept["record_id"])}


def _mean(values: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Return the weighted mean over the first axis."""
    mean = np.zeros(values.shape[1:])
    for share, one in zip(shares, values, strict=True):
        mean += share * one
    return mean


def _of_two(probabilities: np.ndarray) -> np.ndarray:
    """Return the probabilities that each of several labels is not there, and that it is."""
    return np.stack([1 - probabilities, probabilities], axis=-1)


def spread_of(
    opinions: Float64[np.ndarray, "opinions images classes"], *, link: Link, weights: Sequence[float] | None = None
) -> Spread:
    """Return how far opinions are apart; of several labels, the mean over the labels."""
    if link != "sigmoid":
        return spread(opinions, weights)
    count, num_images, num_labels = opinions.shape
    by_label = spread(_of_two(opinions).reshape(count, num_images * num_labels, 2), weights)
    return Spread(
        deviation=by_label.deviation.reshape(num_images, num_labels).mean(axis=1),
        mutual_information=by_label.mutual_information.reshape(num_images, num_labels).mean(axis=1),
    )
