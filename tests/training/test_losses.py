"""Each loss is its formula, for labels and for shares of classes; names that are no class are refused."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.nn import functional

from radpath.errors import SettingsError
from radpath.settings import parse_settings
from radpath.training.loss_settings import LossSettings
from radpath.training.losses import Loss, build_loss, class_weights, require_known_classes
from radpath.training.ordinal import ordinal_log_probabilities

CLASSES = ("a", "b", "c")
LABELS = np.array([0, 0, 0, 0, 1, 1, 2])


def made_loss(**values: object) -> Loss:
    return build_loss(parse_settings(LossSettings, values, source="x"), LABELS, classes=CLASSES)


def made_batch(outputs: int = 3, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(12, outputs, generator=generator), torch.randint(0, 3, (12,), generator=generator)


KINDS: list[dict[str, Any]] = [
    {},
    {"label_smoothing": 0.2},
    {"class_weights": "none"},
    {"class_weights": "effective_number", "effective_beta": 0.9},
    {"class_weights": "given", "given_weights": {"a": 1.0, "b": 2.0, "c": 0.5}},
    {"kind": "focal"},
    {"kind": "focal", "focal_gamma": 0.5, "label_smoothing": 0.1},
    {"kind": "cost_matrix", "class_weights": "none", "costs": {"a": {"b": 5}}},
    {"kind": "cost_matrix", "class_weights": "none", "cost_cross_entropy": 0.0},
    {"kind": "ordinal"},
]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_balanced_class_weights_are_those_of_scikit_learn(labels: list[int]) -> None:
    everyone = np.array([0, 1, 2, 3, *labels])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=everyone)
    assert class_weights(everyone, num_classes=4, kind="balanced").numpy() == pytest.approx(expected, rel=1e-6)


def test_without_balancing_every_class_counts_the_same() -> None:
    assert class_weights(np.array([0, 0, 1]), num_classes=3, kind="none").tolist() == [1, 1, 1]


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(1, 50), min_size=2, max_size=4), beta=st.floats(0.01, 0.99))
def test_effective_numbers_are_those_of_images_drawn_with_overlap(counts: list[int], beta: float) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    found = class_weights(labels, num_classes=len(counts), kind="effective_number", beta=beta).numpy()
    # The effective number of n draws is the sum of beta^0 ... beta^(n-1) (Cui et al. 2019, proposition 1).
    inverse = np.array([1 / sum(beta**draw for draw in range(count)) for count in counts])
    assert found == pytest.approx(inverse / inverse.mean(), rel=1e-5)


def test_cross_entropy_is_pytorchs_with_weights_and_smoothing() -> None:
    logits, labels = made_batch()
    loss = made_loss(label_smoothing=0.3)
    expected = functional.cross_entropy(logits, labels, weight=loss.weights, label_smoothing=0.3)
    assert torch.equal(loss(logits, labels), expected)


def test_focal_loss_is_the_formula() -> None:
    logits, labels = made_batch()
    loss = made_loss(kind="focal", focal_gamma=1.5)
    p = logits.softmax(1).numpy()[np.arange(12), labels.numpy()]
    weights = loss.weights.numpy()[labels.numpy()]
    expected = (weights * (1 - p) ** 1.5 * -np.log(p)).sum() / weights.sum()
    assert float(loss(logits, labels)) == pytest.approx(float(expected), rel=1e-5)


def test_a_focal_loss_without_focus_is_cross_entropy() -> None:
    logits, labels = made_batch()
    found, expected = made_loss(kind="focal", focal_gamma=0.0)(logits, labels), made_loss()(logits, labels)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


def test_the_focal_loss_of_a_sure_answer_has_a_finite_gradient() -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    made_loss(kind="focal", focal_gamma=0.5)(logits, torch.tensor([0])).backward()  # type: ignore[no-untyped-call] # PyTorch's
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_a_cost_matrix_is_the_expected_cost_of_the_probabilities() -> None:
    logits, labels = made_batch()
    table = np.array([[0, 5, 1], [1, 0, 1], [0.5, 1, 0]])
    costs = {"a": {"b": 5.0}, "c": {"a": 0.5}}
    p = logits.double().softmax(1).numpy()
    expected = np.mean([sum(p[i, j] * table[labels[i], j] for j in range(3)) for i in range(12)])
    alone = made_loss(kind="cost_matrix", class_weights="none", costs=costs, cost_cross_entropy=0.0)
    assert float(alone(logits, labels)) == pytest.approx(expected, rel=1e-5)
    mixed = made_loss(kind="cost_matrix", class_weights="none", costs=costs, cost_cross_entropy=2.0)
    expected += 2 * log_loss(labels, p, labels=[0, 1, 2])
    assert float(mixed(logits, labels)) == pytest.approx(expected, rel=1e-5)


def test_equal_probabilities_are_not_counted_twice() -> None:
    loss = made_loss(kind="cost_matrix", class_weights="none", costs={"a": {"b": 10.0}}, cost_cross_entropy=0.0)
    tied, nearly = torch.zeros(1, 3), torch.tensor([[0.0, -1e-4, 0.0]])
    both = [float(loss(logits, torch.tensor([0]))) for logits in (tied, nearly)]
    assert both[0] == pytest.approx((10 + 1) / 3)
    assert both[0] == pytest.approx(both[1], rel=1e-3)


def test_the_ordinal_loss_is_the_likelihood_of_the_classes() -> None:
    logits, labels = made_batch(outputs=2)
    loss = made_loss(kind="ordinal")
    expected = functional.nll_loss(ordinal_log_probabilities(logits), labels, weight=loss.weights)
    assert float(loss(logits, labels)) == pytest.approx(float(expected), rel=1e-6)
    assert loss.settings.link == "ordinal"
    assert made_loss().settings.link == "softmax"


@pytest.mark.parametrize("how", KINDS, ids=str)
def test_whole_shares_give_the_loss_of_labels(how: dict[str, Any]) -> None:
    loss = made_loss(**how)
    logits, labels = made_batch(outputs=2 if how.get("kind") == "ordinal" else 3)
    shares = functional.one_hot(labels, 3).float()
    assert float(loss(logits, shares)) == pytest.approx(float(loss(logits, labels)), rel=1e-5)
    assert float(loss.total_weight(shares)) == pytest.approx(float(loss.total_weight(labels)))


@pytest.mark.parametrize("how", [how for how in KINDS if how.get("kind") != "focal"], ids=str)
def test_the_loss_of_shares_is_the_share_of_the_losses(how: dict[str, Any]) -> None:
    loss = made_loss(**{**how, "class_weights": "none", "given_weights": {}})
    logits, labels = made_batch(outputs=2 if how.get("kind") == "ordinal" else 3)
    one, other = (functional.one_hot((labels + turn) % 3, 3).float() for turn in (0, 1))
    mixed = loss(logits, 0.3 * one + 0.7 * other)
    assert float(mixed) == pytest.approx(0.3 * float(loss(logits, one)) + 0.7 * float(loss(logits, other)), rel=1e-5)


@pytest.mark.parametrize("how", [how for how in KINDS if "label_smoothing" not in how], ids=str)
def test_the_loss_of_probabilities_is_that_of_their_logits(how: dict[str, Any]) -> None:
    loss = made_loss(**how)
    logits, labels = made_batch(outputs=2 if how.get("kind") == "ordinal" else 3)
    exact = logits.double()
    logs = ordinal_log_probabilities(exact) if how.get("kind") == "ordinal" else exact.log_softmax(1)
    found = loss.of_probabilities(logs.exp().numpy(), labels.numpy())
    assert found == pytest.approx(float(loss(logits, labels)), rel=1e-5)


def test_smoothing_is_not_in_the_loss_of_validation() -> None:
    logits, labels = made_batch()
    p = logits.double().softmax(1).numpy()
    assert made_loss(label_smoothing=0.3).of_probabilities(p, labels.numpy()) == made_loss().of_probabilities(
        p, labels.numpy()
    )


def test_batches_are_put_together_by_their_weights() -> None:
    loss = made_loss(kind="focal")
    logits, labels = made_batch()
    parts = [(logits[:5], labels[:5]), (logits[5:], labels[5:])]
    total = sum(float(loss.total_weight(truth)) for _, truth in parts)
    together = sum(float(loss(scores, truth) * loss.total_weight(truth)) / total for scores, truth in parts)
    assert together == pytest.approx(float(loss(logits, labels)), rel=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"class_weights": "given"}, r"^x: class_weights is 'given' and given_weights names 0 classes; set class_weig"),
        ({"given_weights": {"a": 1.0}}, r"^x: class_weights is 'balanced' and given_weights names 1 classes; set "),
        ({"costs": {"a": {"b": 2}}}, r"^x: costs are given, but kind is 'cross_entropy'; set kind = 'cost_matrix', or"),
        ({"kind": "cost_matrix"}, r"^x: kind is 'cost_matrix', whose costs class_weights = 'balanced' would multiply"),
        ({"kind": "ordinal", "label_smoothing": 0.1}, r"^x: kind is 'ordinal', and label_smoothing spreads a label ov"),
        ({"class_weights": "given", "given_weights": {"a": 0}}, r"^x: setting 'given_weights\.a' is 0; it must be gr"),
        ({"kind": "cost_matrix", "costs": {"a": {"b": -1}}}, r"^x: setting 'costs\.a\.b' is -1; it must be greater "),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(LossSettings, values, source="x")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"costs": {"a": {"z": 2.0}}},
            r"^training\.loss\.costs names 'z', which is no class; the classes are 'a', 'b', ",
        ),
        ({"costs": {"z": {"a": 2.0}}}, r"^training\.loss\.costs names 'z', which is no class"),
        ({"costs": {"a": {"a": 2.0}}}, r"^training\.loss\.costs gives a cost for 'a' taken for itself, which is right"),
        ({"given_weights": {"a": 1.0, "z": 1.0}}, r"^training\.loss\.given_weights names 'z', which is no class"),
        (
            {"given_weights": {"a": 1.0}},
            r"^training\.loss\.given_weights has no weight for 'b', 'c'; give one for every",
        ),
    ],
)
def test_names_that_are_no_class_are_refused(values: dict[str, Any], message: str) -> None:
    costly = {"kind": "cost_matrix", "class_weights": "none"} if "costs" in values else {"class_weights": "given"}
    settings_ = parse_settings(LossSettings, {**costly, **values}, source="x")
    with pytest.raises(SettingsError, match=message):
        require_known_classes(settings_, CLASSES)
