"""Images are looked at one by one, with the scores that predictions are made of."""

from collections.abc import Callable

import numpy as np
import torch

from radpath.data.batches import Batch
from radpath.explanation.looking import class_scores, evaluating, images_of
from radpath.models.classifier import Classifier
from radpath.training.prediction import class_probabilities


def test_each_image_is_alone_and_visible_without_its_padding(make_batch: Callable[..., Batch]) -> None:
    batch = make_batch([(40, 64), (64, 20)], canvas=64)
    first, second = images_of(batch, torch.device("cpu"))
    assert (first.height_px, first.width_px, second.height_px, second.width_px) == (40, 64, 64, 20)
    assert torch.equal(second.visible, batch.images[1:2, :, :64, :20])


def test_scores_rank_classes_as_probabilities_do(make_model: Callable[..., Classifier]) -> None:
    logits = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    for link, outputs in (("softmax", logits), ("ordinal", logits[:, :2])):
        model = make_model("simple_cnn", link=link)
        scores = class_scores(model, outputs)
        assert scores.shape == (20, 3)
        decided = class_probabilities(outputs, link=model.link).argmax(axis=1)
        assert np.array_equal(scores.argmax(dim=1).numpy(), decided)


def test_a_model_that_trains_goes_on_training(make_model: Callable[..., Classifier]) -> None:
    model = make_model("simple_cnn").train()
    with evaluating(model):
        during = [part.training for part in (model, model.head)]
    assert during == [False, False]
    assert [part.training for part in (model, model.head)] == [True, True]
