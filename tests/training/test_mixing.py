"""Images are mixed where both have pixels, padding stays empty, and labels follow what can be seen."""

import dataclasses
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.batches import Batch
from radpath.training.mixing import MixSettings, mix_batch

CANVAS = 24


def made_batch(sides: list[tuple[int, int]]) -> Batch:
    """Return images that are filled with 1, 2, 4, ..., so that what is seen tells whose it is."""
    images = torch.zeros(len(sides), 1, CANVAS, CANVAS)
    for place, (height, width) in enumerate(sides):
        images[place, :, :height, :width] = 2.0**place
    return Batch(
        images=images,
        heights_px=torch.tensor([height for height, _ in sides]),
        widths_px=torch.tensor([width for _, width in sides]),
        labels=torch.arange(len(sides)),
        positions=np.arange(len(sides)),
    )


def mixed(
    kind: Literal["mixup", "cutmix"], sides: list[tuple[int, int]], *, seed: int, alpha: float = 1.0
) -> tuple[Batch, Batch, torch.Tensor]:
    batch = made_batch(sides)
    chosen = MixSettings(kind=kind, alpha=alpha)
    found, targets = mix_batch(batch, chosen, num_classes=len(sides), rng=np.random.default_rng(seed))
    return batch, found, targets


many_sides = st.lists(st.tuples(st.integers(1, CANVAS), st.integers(1, CANVAS)), min_size=1, max_size=5)


@settings(max_examples=50, deadline=None)
@given(sides=many_sides, kind=st.sampled_from(["mixup", "cutmix"]), seed=st.integers(0, 99))
def test_labels_are_the_shares_of_what_is_seen(
    sides: list[tuple[int, int]], kind: Literal["mixup", "cutmix"], seed: int
) -> None:
    before, after, targets = mixed(kind, sides, seed=seed)
    assert torch.equal(before.heights_px, after.heights_px)
    assert torch.equal(before.widths_px, after.widths_px)
    assert targets.sum(1).tolist() == pytest.approx([1.0] * len(sides), abs=1e-6)
    values = 2.0 ** torch.arange(len(sides))
    for place, (height, width) in enumerate(sides):
        image = after.images[place, 0].clone()
        # Every pixel is a mixture of two fillings, so its mean over the valid area is that of the label's shares.
        assert float(image[:height, :width].mean()) == pytest.approx(float(targets[place] @ values), rel=1e-4)
        image[:height, :width] = 0
        assert not image.any()


@settings(max_examples=25, deadline=None)
@given(sides=many_sides, seed=st.integers(0, 99))
def test_cutmix_pastes_one_rectangle_of_whole_pixels(sides: list[tuple[int, int]], seed: int) -> None:
    before, after, _ = mixed("cutmix", sides, seed=seed)
    for place in range(len(sides)):
        changed = (before.images[place, 0] != after.images[place, 0]).nonzero()
        if len(changed):
            height, width = (int(changed[:, axis].max() - changed[:, axis].min()) + 1 for axis in (0, 1))
            assert height * width == len(changed)
            assert set(after.images[place].flatten().tolist()) <= {0.0, *(2.0**other for other in range(len(sides)))}


def test_mixup_of_images_of_one_size_is_the_papers() -> None:
    before, after, targets = mixed("mixup", [(20, 16)] * 3, seed=5)
    kept = np.random.default_rng(5)
    partners = kept.permutation(3)
    share = float(kept.beta(1.0, 1.0))
    expected = share * before.images + (1 - share) * before.images[torch.from_numpy(partners)]
    torch.testing.assert_close(after.images, expected)
    own = torch.eye(3)
    torch.testing.assert_close(targets, share * own + (1 - share) * own[torch.from_numpy(partners)])


def test_the_area_of_a_rectangle_is_the_share_that_was_drawn() -> None:
    shares, areas = [], []
    for seed in range(200):
        _, _, targets = mixed("cutmix", [(CANVAS, CANVAS), (CANVAS, CANVAS)], seed=seed)
        rng = np.random.default_rng(seed)
        partners = rng.permutation(2)
        if partners[0] == 1:
            shares.append(1 - float(rng.beta(1.0, 1.0)))
            areas.append(float(targets[0, 1]))
    assert len(shares) > 50
    assert np.abs(np.array(shares) - areas).max() < 1.1 / CANVAS  # sides are whole pixels


def test_a_small_alpha_mixes_little() -> None:
    sides = [(CANVAS, CANVAS)] * 4
    amounts = {
        alpha: np.mean(
            [float((1 - mixed("mixup", sides, seed=seed, alpha=alpha)[2].amax(1)).mean()) for seed in range(60)]
        )
        for alpha in (0.05, 2.0)
    }
    assert amounts[0.05] < amounts[2.0] / 3


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_several_labels_are_mixed_one_by_one_and_what_is_unknown_stays_unknown(
    kind: Literal["mixup", "cutmix"],
) -> None:
    labels = torch.tensor([[1.0, 0.0, torch.nan], [1.0, 1.0, 0.0]])
    batch = dataclasses.replace(made_batch([(20, 20), (20, 20)]), labels=labels)
    swapping = next(seed for seed in range(20) if np.random.default_rng(seed).permutation(2)[0] == 1)
    chosen = MixSettings(kind=kind, alpha=1.0)
    found, targets = mix_batch(batch, chosen, num_classes=3, rng=np.random.default_rng(swapping))
    assert targets[:, 0].tolist() == pytest.approx([1, 1])
    assert targets[:, 2].isnan().all()
    seen = [float(found.images[place, 0, :20, :20].mean()) for place in (0, 1)]  # fillings are 1 and 2
    assert targets[:, 1].tolist() == pytest.approx([mean - 1 for mean in seen], abs=1e-5)
