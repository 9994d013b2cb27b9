"""A trial decides as a prediction would; its steps are tested in test_rate_test and test_overfit."""

import pytest
import torch

from radpath.models.classifier import Link
from radpath.training.prediction import class_probabilities
from radpath.training.trial import decisions


@pytest.mark.parametrize("link", ["softmax", "ordinal"])
def test_decisions_are_the_most_probable_classes(link: Link) -> None:
    logits = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 3
    probable = class_probabilities(logits, link=link).argmax(axis=1)
    assert decisions(logits, link=link).tolist() == probable.tolist()
    assert len(set(probable.tolist())) > 2
