from collections.abc import Callable

from radpath.reporting.content import ReportContent
from radpath.reporting.limits import derived_limits

ContentMaker = Callable[..., ReportContent]


def test_the_limits_say_what_few_cases_cannot_show(two_classes: ReportContent) -> None:
    text = " ".join(derived_limits(two_classes))
    assert "With 6 cases" in text or "6 positive" in text
    # Clopper and Pearson: with n of n right the lower bound is (alpha / 2) ** (1 / n).
    assert f"as low as {100 * 0.025 ** (1 / 6):.0f}\N{NO-BREAK SPACE}%" in text


def test_no_medical_device_and_no_other_hospital_are_always_said(two_classes: ReportContent) -> None:
    text = " ".join(derived_limits(two_classes))
    assert "not a medical device" in text
    assert "another hospital" in text


def test_a_leak_that_was_allowed_is_a_limit(new_content: ContentMaker) -> None:
    assert '"No identical image on two sides" does not hold' in " ".join(derived_limits(new_content(leaks="failed")))


def test_an_assumed_case_is_a_limit(new_content: ContentMaker) -> None:
    assert "The case of 5 images is assumed" in " ".join(derived_limits(new_content(num_cases_assumed=5)))


def test_a_missing_test_side_is_a_limit(new_content: ContentMaker) -> None:
    text = " ".join(derived_limits(new_content(sides=("train", "validation"))))
    assert "There is no test side. The results are of the validation side" in text
