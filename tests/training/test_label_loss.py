"""The loss of several labels an image is the mean of binary losses over what is known."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from torch import Tensor

from radpath.errors import SettingsError
from radpath.settings import parse_settings
from radpath.training.label_loss import LabelLoss, label_weights
from radpath.training.loss_settings import LossSettings
from radpath.training.losses import build_loss, require_fitting_loss

NAMES = ("effusion", "mass", "nodule")


def made_batch(seed: int = 0, *, num_images: int = 20) -> tuple[Tensor, Tensor]:
    """Return logits, and answers of which a quarter is not known."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (num_images, len(NAMES))).astype(np.float32)
    labels[:2] = [[0] * len(NAMES), [1] * len(NAMES)]
    labels[2:][rng.random((num_images - 2, len(NAMES))) < 0.25] = np.nan
    return torch.from_numpy(rng.normal(0, 2, labels.shape)).float(), torch.from_numpy(labels)


def made_loss(labels: Tensor, **values: Any) -> LabelLoss:
    settings_ = parse_settings(LossSettings, {"kind": "binary", "class_weights": "none", **values}, source="x")
    loss = build_loss(settings_, labels.numpy(), classes=NAMES)
    assert isinstance(loss, LabelLoss)
    return loss


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_it_is_the_log_loss_of_what_is_known(seed: int) -> None:
    logits, labels = made_batch(seed)
    known = ~labels.isnan()
    probabilities = logits.sigmoid()[known].double().numpy()
    expected = log_loss(labels[known].numpy(), probabilities, labels=[0, 1])
    loss = made_loss(labels)
    assert float(loss(logits, labels)) == pytest.approx(expected, rel=1e-4)
    assert loss.of_probabilities(logits.sigmoid().double().numpy(), labels.numpy()) == pytest.approx(expected, rel=1e-4)
    assert loss.of_equal_logits(labels.numpy()) == pytest.approx(np.log(2))


@pytest.mark.parametrize("kind", ["binary", "binary_focal"])
def test_what_is_not_known_gives_no_gradient(kind: str) -> None:
    logits, labels = made_batch()
    logits.requires_grad_()
    made_loss(labels, kind=kind, focal_gamma=0.5)(logits, labels).backward()  # type: ignore[no-untyped-call] # PyTorch leaves it untyped
    assert logits.grad is not None
    assert (logits.grad[labels.isnan()] == 0).all()
    assert (logits.grad[~labels.isnan()] != 0).all()


def test_a_batch_of_which_nothing_is_known_costs_nothing() -> None:
    logits, labels = made_batch()
    logits.requires_grad_()
    loss = made_loss(labels)(logits, torch.full_like(labels, torch.nan))
    loss.backward()  # type: ignore[no-untyped-call] # PyTorch leaves it untyped
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_without_gamma_the_focal_loss_is_the_plain_one_and_with_it_sure_answers_count_less() -> None:
    logits, labels = made_batch()
    plain = float(made_loss(labels)(logits, labels))
    assert float(made_loss(labels, kind="binary_focal", focal_gamma=0.0)(logits, labels)) == pytest.approx(plain)
    assert float(made_loss(labels, kind="binary_focal")(logits, labels)) < plain
    focal = made_loss(labels, kind="binary_focal")
    by_hand = focal.of_probabilities(logits.sigmoid().double().numpy(), labels.numpy())
    assert float(focal(logits, labels)) == pytest.approx(by_hand, rel=1e-4)


def test_weights_balance_each_label_by_what_is_known_of_it() -> None:
    labels = np.array([[1, np.nan], [0, 1], [0, 0], [0, 0]], dtype=np.float32)
    of = {
        kind: label_weights(LossSettings(kind="binary", class_weights=kind), labels, names=("a", "b"))
        for kind in ("balanced", "none")
    }
    assert of["balanced"].tolist() == [[pytest.approx(4 / 6), 2.0], [0.75, 1.5]]
    assert of["none"].tolist() == [[1, 1], [1, 1]]
    given_ = LossSettings(kind="binary", class_weights="given", given_weights={"b": 3.0, "a": 2.0})
    assert label_weights(given_, labels, names=("a", "b")).tolist() == [[1, 2], [1, 3]]
    milder = label_weights(LossSettings(kind="binary", class_weights="effective_number"), labels, names=("a", "b"))
    assert milder.sum(dim=1).tolist() == pytest.approx([2.0, 2.0])
    assert milder[0, 1] > milder[0, 0]


def test_balanced_weights_make_both_answers_weigh_the_same() -> None:
    _, labels = made_batch(3)
    loss = made_loss(labels, class_weights="balanced")
    for place in range(len(NAMES)):
        totals = [float((labels[:, place] == answer).sum() * loss.weights[place, answer]) for answer in (0, 1)]
        assert totals[0] == pytest.approx(totals[1])


def test_shares_of_mixed_images_lie_between_both_answers() -> None:
    logits, labels = made_batch()
    labels = labels.nan_to_num(0.0)
    loss = made_loss(labels)
    halves = torch.full_like(labels, 0.5)
    both = (loss(logits, torch.ones_like(labels)) + loss(logits, torch.zeros_like(labels))) / 2
    assert float(loss(logits, halves)) == pytest.approx(float(both), rel=1e-5)


def test_batches_are_put_together_by_their_weights() -> None:
    logits, labels = made_batch()
    loss = made_loss(labels, class_weights="balanced", label_smoothing=0.1)
    parts = [(logits[:5], labels[:5]), (logits[5:], labels[5:])]
    total = sum(float(loss.total_weight(truth)) for _, truth in parts)
    together = sum(float(loss(scores, truth) * loss.total_weight(truth)) / total for scores, truth in parts)
    assert together == pytest.approx(float(loss(logits, labels)), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "several", "message"),
    [
        (
            "cross_entropy",
            True,
            r"^training.loss.kind is 'cross_entropy', but the images have several labels; set it to 'binary'",
        ),
        (
            "binary",
            False,
            r"^training.loss.kind is 'binary', but the images have one class each; set it to 'cross_entr",
        ),
    ],
)
def test_a_loss_of_other_labels_is_refused(kind: Any, several: bool, message: str) -> None:  # noqa: FBT001 - a parameter
    with pytest.raises(SettingsError, match=message):
        require_fitting_loss(LossSettings(kind=kind), has_several_labels=several)
