"""A probability belongs to its image, whatever the batches, and is the mean over the flipped views."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from radpath.data.augmentation.apply import augment
from radpath.data.augmentation.draws import draw_changes
from radpath.data.augmentation.settings import AugmentationSettings, Flips
from radpath.data.augmentation.views import NUM_VIEWS, view_of
from radpath.data.batches import ImageSource
from radpath.errors import SettingsError
from radpath.models.classifier import Classifier, checksum
from radpath.training.device import DeviceSettings, connect
from radpath.training.prediction import PredictionSettings, average_views, class_probabilities, predict

ModelMaker = Callable[..., Classifier]
SourceMaker = Callable[..., ImageSource]

ROUNDING = 1e-5
"""Batches, padding and threads change the order of float32 sums; no probability may move by more than this."""


@pytest.fixture
def model(make_model: ModelMaker) -> Classifier:
    """Features of very different images differ by several units, so that a mix-up cannot hide."""
    model = make_model(num_classes=3)
    with torch.no_grad():
        model.head.weight.mul_(20)
    return model


@pytest.mark.parametrize("num_images", [0, 1, 256, 700])
def test_a_head_takes_some_images_at_a_time_and_answers_as_for_all(make_model: ModelMaker, num_images: int) -> None:
    model = make_model(num_classes=3, head={"kind": "conv", "dropout": 0.5})
    views = [torch.randn(num_images, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    sizes: list[int] = []
    handle = model.head.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    found = average_views(model.train(), views)
    handle.remove()
    assert model.head.training
    assert sum(sizes) == 2 * num_images
    assert max(sizes) <= 256
    with torch.no_grad():
        whole = [class_probabilities(model.head.eval()(view), link="softmax") for view in views]
    np.testing.assert_allclose(found, np.mean(whole, axis=0), atol=1e-6, rtol=0)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def by_hand(model: Classifier, source: ImageSource, views: range) -> np.ndarray:
    """Return the probabilities by definition: one image and one view at a time, without any padding."""
    model.eval()
    rows = []
    for position in range(len(source)):
        image = source.store.image(int(source.rows[position]))
        looks = [np.ascontiguousarray(view_of(image, view)) for view in views]
        tensors = [torch.from_numpy(look).permute(2, 0, 1)[None].float() / 255 for look in looks]
        with torch.no_grad():
            logits = [model(t, torch.tensor([t.shape[2]]), torch.tensor([t.shape[3]])).double() for t in tensors]
        powers = [np.exp(row.numpy()[0]) for row in logits]
        rows.append(np.mean([power / power.sum() for power in powers], axis=0))
    return np.array(rows)


@pytest.mark.parametrize("flips", ["none", "horizontal", "dihedral"])
def test_each_image_gets_the_mean_over_its_own_views(
    model: Classifier, bright_and_dark: SourceMaker, fabric: Fabric, flips: Flips
) -> None:
    source = bright_and_dark(11, contrast=60, batch_size=4)
    found = predict(model, source, PredictionSettings(flips=flips), fabric=fabric)
    expected = by_hand(model, source, range(NUM_VIEWS[flips]))
    assert found == pytest.approx(expected, abs=ROUNDING)
    distances = np.abs(expected[:, None] - expected[None]).max(axis=2) + np.eye(len(source))
    assert distances.min() > 10 * ROUNDING, "two images are so alike that a mix-up would not be seen"


@pytest.mark.parametrize("size", ["native", "fixed"])
def test_the_batches_change_nothing(model: Classifier, bright_and_dark: SourceMaker, fabric: Fabric, size: str) -> None:
    settings = PredictionSettings()
    one, three, all_at_once = (
        predict(model, bright_and_dark(13, size=size, batch_size=batch_size), settings, fabric=fabric)
        for batch_size in (1, 3, 13)
    )
    assert one == pytest.approx(three, abs=ROUNDING)
    assert one == pytest.approx(all_at_once, abs=ROUNDING)


@pytest.mark.usefixtures("two_threads")
def test_the_number_of_threads_changes_nothing(model: Classifier, bright_and_dark: SourceMaker, fabric: Fabric) -> None:
    two = predict(model, bright_and_dark(13), PredictionSettings(), fabric=fabric)
    torch.set_num_threads(1)
    assert predict(model, bright_and_dark(13), PredictionSettings(), fabric=fabric) == pytest.approx(two, abs=ROUNDING)


def test_rows_are_probabilities(model: Classifier, bright_and_dark: SourceMaker, fabric: Fabric) -> None:
    found = predict(model, bright_and_dark(9), PredictionSettings(), fabric=fabric)
    assert found.dtype == np.float64
    assert found.shape == (9, 3)
    assert (found > 0).all()
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-14)


def test_near_ties_and_large_logits_stay_apart() -> None:
    rows = class_probabilities(torch.tensor([[20.0, 20.000002], [1000.0, -1000.0]]), link="softmax")
    assert rows[0, 0] < rows[0, 1]
    assert rows[1].tolist() == [1.0, 0.0]


def test_looking_changes_neither_the_model_nor_its_mode(
    model: Classifier, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    model.train()
    before = checksum(model)
    predict(model, bright_and_dark(9), PredictionSettings(), fabric=fabric)
    assert checksum(model) == before
    assert model.head.training
    model.eval()
    predict(model, bright_and_dark(9), PredictionSettings(), fabric=fabric)
    assert not model.head.training


def test_16_bit_floats_give_nearly_the_same(model: Classifier, bright_and_dark: SourceMaker, fabric: Fabric) -> None:
    source = bright_and_dark(9)
    exact = predict(model, source, PredictionSettings(), fabric=fabric)
    halved = connect(DeviceSettings(device="cpu", precision="bf16-mixed"))
    rough = predict(model, source, PredictionSettings(), fabric=halved)
    assert rough.sum(axis=1) == pytest.approx(1, abs=1e-14)
    assert 0 < np.abs(rough - exact).max() < 0.05


MOVED = AugmentationSettings(rotation_deg=40, brightness=0.2, noise=0.1, flips="dihedral")


def random_view_by_hand(source: ImageSource, position: int, number: int) -> torch.Tensor:
    """Return an image without padding in a random view, through the plain function on images."""
    changes = draw_changes(np.array([number]), MOVED, seed=0, epoch=0)
    image = view_of(source.store.image(int(source.rows[position])), int(changes.views[0]))
    plain = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255
    return augment(plain, torch.tensor([plain.shape[2]]), torch.tensor([plain.shape[3]]), changes)


def test_random_views_are_averaged_with_the_flips(
    model: Classifier, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    source = dataclasses.replace(bright_and_dark(7, contrast=60, batch_size=3), random_views=MOVED)
    settings = PredictionSettings(flips="horizontal", augmented_views=3)
    found = predict(model, source, settings, fabric=fabric)
    flipped = by_hand(model, source, range(2))
    for position in range(len(source)):
        looks = [random_view_by_hand(source, position, number) for number in range(3)]
        sizes = [(torch.tensor([look.shape[2]]), torch.tensor([look.shape[3]])) for look in looks]
        with torch.no_grad():
            views = [model(look, *size).double().softmax(1)[0].numpy() for look, size in zip(looks, sizes, strict=True)]
        expected = (2 * flipped[position] + sum(views)) / 5
        assert found[position] == pytest.approx(expected, abs=1e-4)
        assert np.abs(expected - flipped[position]).max() > 1e-3, "the random views show nothing else"


def test_a_random_view_of_an_image_is_the_same_wherever_it_stands(
    model: Classifier, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    source = dataclasses.replace(bright_and_dark(7, batch_size=3), random_views=MOVED)
    settings = PredictionSettings(augmented_views=2)
    some = dataclasses.replace(source, rows=source.rows[[5, 2]], labels=source.labels[[5, 2]])
    everything = predict(model, source, settings, fabric=fabric)
    assert predict(model, some, settings, fabric=fabric) == pytest.approx(everything[[5, 2]], abs=1e-4)


@pytest.mark.parametrize("random_views", [None, AugmentationSettings().only(flips="dihedral")])
def test_random_views_without_random_changes_are_refused(
    model: Classifier, bright_and_dark: SourceMaker, fabric: Fabric, random_views: AugmentationSettings | None
) -> None:
    source = dataclasses.replace(bright_and_dark(3), random_views=random_views)
    with pytest.raises(SettingsError, match=r"^prediction.augmented_views needs random changes"):
        predict(model, source, PredictionSettings(augmented_views=1), fabric=fabric)
