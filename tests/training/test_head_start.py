"""The head starts as the logistic regression that scikit-learn finds, whatever the seed and the scale of features."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional

from radpath.errors import SettingsError
from radpath.models.heads import HeadSettings, build_head
from radpath.training.head_start import fit_head
from radpath.training.losses import class_weights


def made_features(num_classes: int, *, num_images: int = 90, num_features: int = 6) -> tuple[Tensor, Tensor]:
    """Return overlapping classes of different frequencies; features of different scales and means."""
    rng = np.random.default_rng(num_classes)
    labels = rng.choice(num_classes, size=num_images, p=np.arange(1, num_classes + 1) / sum(range(1, num_classes + 1)))
    centres = rng.normal(size=(num_classes, num_features))
    values = (rng.normal(size=(num_images, num_features)) + centres[labels]) * np.logspace(-2, 2, num_features) + 5
    return torch.from_numpy(values).float(), torch.from_numpy(labels)


def started(features: Tensor, labels: Tensor, *, num_classes: int, decay: float = 0.02, seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    head = nn.Linear(features.shape[1], num_classes)
    weights = class_weights(labels.numpy(), num_classes=num_classes, kind="balanced")
    fit_head(head, features, labels, weights=weights, decay=decay)
    return head


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_the_probabilities_are_those_of_scikit_learns_logistic_regression(num_classes: int) -> None:
    features, labels = made_features(num_classes)
    decay = 0.02
    head = started(features, labels, num_classes=num_classes, decay=decay)
    ours = head(features).double().softmax(1).detach().numpy()
    standard = StandardScaler().fit_transform(features.double().numpy())
    # scikit-learn sums losses and has C before them; balanced weights sum to the number of images. With two classes it
    # has one vector of slopes, the difference of our two, whose opposite halves have half of its squared length.
    strength = decay * len(labels) * (0.5 if num_classes == 2 else 1.0)
    theirs = LogisticRegression(C=1 / strength, class_weight="balanced", tol=1e-10, max_iter=10_000)
    expected = theirs.fit(standard, labels.numpy()).predict_proba(standard)
    assert ours == pytest.approx(expected, abs=1e-4)


def test_the_loss_that_is_returned_is_the_weighted_cross_entropy_of_the_head() -> None:
    features, labels = made_features(3)
    head = nn.Linear(features.shape[1], 3)
    weights = class_weights(labels.numpy(), num_classes=3, kind="balanced")
    loss = fit_head(head, features, labels, weights=weights, decay=0.5)
    assert loss == pytest.approx(
        float(functional.cross_entropy(head(features), labels, weight=weights).detach()), abs=1e-5
    )


def test_a_head_with_layers_is_refused() -> None:
    features, labels = made_features(2)
    head = build_head(HeadSettings(kind="nonlinear"), num_features=features.shape[1], num_classes=2)
    with pytest.raises(
        SettingsError, match=r"^training\.head_start is 'logistic', which fits linear heads only; set .*"
    ):
        fit_head(head, features, labels, weights=torch.ones(2), decay=1.0)


def test_the_start_depends_on_no_seed() -> None:
    features, labels = made_features(3)
    one, other = (started(features, labels, num_classes=3, seed=seed) for seed in (1, 2))
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    features, labels = made_features(2)
    features[:, 0] = 7.0
    head = started(features, labels, num_classes=2)
    assert torch.isfinite(head(features)).all()
    assert float(head.weight[:, 0].abs().max().detach()) < 1e-3


def test_the_start_learns_bright_from_dark() -> None:
    brightness = torch.cat([torch.full((8, 4), 0.2), torch.full((8, 4), 0.8)]) + torch.linspace(0, 0.01, 16)[:, None]
    truth = torch.arange(16) // 8
    head = started(brightness, truth, num_classes=2)
    assert (head(brightness).argmax(1) == truth).all()


def test_several_labels_start_as_one_logistic_regression_each_on_what_is_known_of_it() -> None:
    features, classes = made_features(3)
    labels = functional.one_hot(classes, 3).float()[:, :2]
    labels[::5, 0] = torch.nan
    labels[3::7, 1] = torch.nan
    decay, head = 0.02, nn.Linear(features.shape[1], 2)
    loss = fit_head(head, features, labels, weights=torch.ones(2, 2), decay=decay, link="sigmoid")
    ours = head(features).double().sigmoid().detach().numpy()
    standard = StandardScaler().fit_transform(features.double().numpy())
    known = ~labels.isnan().numpy()
    for place in (0, 1):
        rows = known[:, place]
        theirs = LogisticRegression(C=1 / (decay * rows.sum()), tol=1e-10, max_iter=10_000)
        expected = theirs.fit(standard[rows], labels[rows, place].numpy()).predict_proba(standard)[:, 1]
        assert ours[:, place] == pytest.approx(expected, abs=1e-4)
    assert loss == pytest.approx(log_loss(labels.numpy()[known], ours[known]), abs=1e-5)
