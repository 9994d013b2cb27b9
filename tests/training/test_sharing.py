"""Shares of a batch put together are the batch; dropout of the shares is the dropout of the whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from radpath.errors import DeviceError
from radpath.training.sharing import Share, SharedDropout, require_divisible


@settings(max_examples=40, deadline=None)
@given(batch_size=st.integers(1, 40), world_size=st.integers(1, 9))
def test_every_image_of_a_batch_counts_in_one_process(batch_size: int, world_size: int) -> None:
    shares = [Share(rank=rank, world_size=world_size) for rank in range(world_size)]
    counted = [share.rows(batch_size) for share in shares if share.counts(batch_size)]
    assert np.concatenate(counted).tolist() == list(range(batch_size))
    assert all(len(share.rows(batch_size)) for share in shares)


@pytest.mark.parametrize("shape", [(5, 3), (5, 4, 2, 2)])
def test_dropout_of_the_shares_is_that_of_the_whole(shape: tuple[int, ...]) -> None:
    network, values = nn.Sequential(nn.Dropout(0.4), nn.ReLU(), nn.Dropout(0.2)), torch.rand(shape)
    torch.manual_seed(1)
    whole = network(values)
    parts, after = [], []
    for rank in range(3):
        share = Share(rank=rank, world_size=3)
        torch.manual_seed(1)
        with SharedDropout(share, batch_size=5):
            parts.append(network(values[share.rows(5)]))
        after.append(torch.rand(1))
    assert torch.equal(torch.cat(parts), whole)
    assert after[0] == after[1] == after[2]


def test_without_training_nothing_is_dropped() -> None:
    values = torch.rand(3, 2)
    with SharedDropout(Share(rank=0, world_size=2), batch_size=6):
        assert torch.equal(nn.Dropout(0.5).eval()(values), values)


def test_statistics_of_a_batch_cannot_be_divided() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    with pytest.raises(DeviceError, match=r"BatchNorm would take .*; set model\.norm_statistics = 'frozen' and"):
        require_divisible(network)
    network[1].eval()
    require_divisible(network)
