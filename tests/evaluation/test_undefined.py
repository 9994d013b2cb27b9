import math

import numpy as np

from radpath.evaluation.undefined import number_or_none, ratio


def test_a_division_by_nothing_is_undefined_and_warns_nobody() -> None:
    quotient = ratio(np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([[4.0, 0.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(quotient, [[0.25, math.nan], [math.nan, 2.0]])


def test_an_undefined_number_leaves_as_none_and_others_as_they_are() -> None:
    assert number_or_none(math.nan) is None
    assert number_or_none(0.0) == 0.0
