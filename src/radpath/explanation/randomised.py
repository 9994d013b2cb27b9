"""Do maps depend on what the network has learned? Its weights are drawn anew, part by part from the top.

In: a method that fits a model, images, and the class to explain for each. Out: how alike the maps stay (Adebayo et al.
2018, "Sanity checks for saliency maps", section 3.1, cascading randomisation). A method whose maps stay the same shows
the image, not the model; a method whose maps change may still show something wrong.

New weights are drawn from a normal distribution with each tensor's own mean and deviation, so that signals neither
fade nor explode; statistics of normalisation stay.
"""

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from radpath.data.batches import Batch
from radpath.evaluation.explanations import (
    MapChange,
    Sanity,
    edges_of,
    evidence,
    mean_by_case,
    rank_correlation,
    structural_similarity,
)
from radpath.explanation.maps import EvidenceMap, Explainer
from radpath.models.classifier import Classifier
from radpath.progress import track
from radpath.seeding import derived_seed, generator_for


def randomised(model: Classifier, *, seed: int) -> Iterator[tuple[str, Classifier]]:
    """Yield a copy of the model after each part: the head and learned pooling, then the stages, the last one first.

    It is one copy, in which more is random each time.
    """
    changed = copy.deepcopy(model)
    names = [*(stage.name for stage in model.stages), "head"]
    for place in range(len(names) - 1, -1, -1):
        with torch.no_grad():
            for name, weight in changed.named_parameters():
                if changed.stage_index(name) == place:
                    _draw_anew(weight, seed=derived_seed(seed, "randomised", name))
        yield names[place], changed


def _draw_anew(weight: torch.Tensor, *, seed: int) -> None:
    deviation = float(weight.std()) if weight.numel() > 1 else 0.0
    drawn = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    weight.copy_(float(weight.mean()) + deviation * drawn)


def check_sanity(
    explainer: Explainer,
    batches: Sequence[Batch],
    columns: Sequence[Sequence[int]],
    cases: Sequence[str],
    *,
    seed: int,
    confidence: float = 0.95,
) -> Sanity:
    """Compare the maps of the trained model with those of ever more random ones.

    Args:
        explainer: the method with the trained model.
        batches: the images.
        columns: for each batch, the class to explain for each image; it stays the same.
        cases: of all images, in the order of the batches.
        seed: of the new weights.
        confidence: of the intervals.
    """
    trained = _maps(explainer, batches, columns)
    generator = generator_for(seed, "sanity")
    parts = len(explainer.model.stages) + 1
    changes = [
        _change(name, trained, _maps(explainer.with_model(model), batches, columns), cases, confidence, generator)
        for name, model in track(
            randomised(explainer.model, seed=seed), total=parts, what="drawing weights anew", unit="parts"
        )
    ]
    images = [image for batch in batches for image in _visible(batch)]
    edges = [rank_correlation(found, edges_of(image)) for found, image in zip(trained, images, strict=True)]
    return Sanity(
        num_images=len(trained),
        num_cases=len(set(cases)),
        confidence=confidence,
        changes=tuple(changes),
        edges=mean_by_case(edges, list(cases), confidence=confidence, generator=generator)[0],
    )


def _maps(explainer: Explainer, batches: Sequence[Batch], columns: Sequence[Sequence[int]]) -> list[EvidenceMap]:
    return [found for batch, some in zip(batches, columns, strict=True) for found in explainer.maps(batch, some)]


def _change(
    down_to: str,
    before: list[EvidenceMap],
    after: list[EvidenceMap],
    cases: Sequence[str],
    confidence: float,
    generator: np.random.Generator,
) -> MapChange:
    pairs = list(zip(before, after, strict=True))
    ranks = [rank_correlation(first, second) for first, second in pairs]
    mean, low, high = mean_by_case(ranks, list(cases), confidence=confidence, generator=generator)
    alike = [structural_similarity(evidence(first), evidence(second)) for first, second in pairs]
    return MapChange(
        down_to=down_to,
        rank_correlation=mean,
        low=low,
        high=high,
        similarity=float(np.mean(alike)),
        num_constant=sum(rank is None for rank in ranks),
    )


def _visible(batch: Batch) -> Iterator[np.ndarray]:
    """Yield each image (height, width, channels) without padding."""
    sizes = zip(batch.heights_px.tolist(), batch.widths_px.tolist(), strict=True)
    for place, (height, width) in enumerate(sizes):
        yield batch.images[place, :, :height, :width].permute(1, 2, 0).cpu().numpy()
