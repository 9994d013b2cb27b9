"""The section about explanations: pictures with words, checks that do not say too much, and pictures that are gone."""

import dataclasses
from typing import get_args

from radpath.evaluation.explanations import Explained, Explanations, MapChange, MethodExplanations, Sanity
from radpath.explanation.settings import Method
from radpath.reporting.blocks import Gallery, Note, Number, Paragraph, Table
from radpath.reporting.explanation_section import METHOD_TITLES, explanation_section, picture_names, sanity_sentence

ONE = Explained(
    record_id="a.png",
    case="1",
    side="test",
    truth="benign",
    decision="malignant",
    explained_class="malignant",
    probability=0.81,
    has_evidence=True,
    picture="explanations/pictures/a.jpg",
)
OTHER = dataclasses.replace(
    ONE, record_id="b.png", truth=None, has_evidence=False, picture="explanations/pictures/b.jpg"
)
CHANGES = (
    MapChange(down_to="head", rank_correlation=0.9, low=0.8, high=0.95, similarity=0.7, num_constant=0),
    MapChange(down_to="stem", rank_correlation=0.1, low=-0.1, high=0.3, similarity=0.2, num_constant=2),
)
SANITY = Sanity(num_images=4, num_cases=3, confidence=0.95, changes=CHANGES, edges=0.3)
FOUND = Explanations(
    model="digest",
    methods=(
        MethodExplanations(
            method="grad_cam",
            num_explained=30,
            num_without_evidence=1,
            layers=("stage3", "stage4"),
            shown=(ONE, OTHER),
            sanity=SANITY,
        ),
    ),
)
PICTURES = {ONE.picture: b"first", OTHER.picture: b"second"}


def test_every_method_has_a_title() -> None:
    assert set(METHOD_TITLES) == set(get_args(Method))


def test_pictures_stand_with_truth_decision_and_what_was_found() -> None:
    blocks = explanation_section(FOUND, PICTURES).blocks
    (gallery,) = (block for block in blocks if isinstance(block, Gallery))
    first, second = gallery.pictures
    assert (first.picture, second.picture) == (b"first", b"second")
    assert first.lines == (
        "a.png",
        "truth benign, decided malignant",
        "evidence for malignant (probability 0.81)",
    )
    assert second.lines[1:] == (
        "truth unknown, decided malignant",
        "no evidence for malignant found (probability 0.81)",
    )
    assert "Grad-CAM: evidence for malignant" in first.alternative
    assert picture_names(FOUND) == tuple(PICTURES)


def test_the_section_begins_with_what_a_map_is_not() -> None:
    first, second, *_ = explanation_section(FOUND, PICTURES).blocks
    assert isinstance(first, Note)
    assert "does not show that a decision is right" in first.text
    assert isinstance(second, Paragraph)
    assert "30 images explained. In 1 of them nothing was found" in second.text


def test_pictures_that_are_gone_are_missed() -> None:
    blocks = explanation_section(FOUND, {ONE.picture: b"first"}).blocks
    assert [len(block.pictures) for block in blocks if isinstance(block, Gallery)] == [1]
    assert "1 picture of Grad-CAM cannot be found; run radpath explain." in [
        block.text for block in blocks if isinstance(block, Note)
    ]


def test_the_check_is_a_table_with_intervals() -> None:
    (table,) = (block for block in explanation_section(FOUND, PICTURES).blocks if isinstance(block, Table))
    head, stem = table.rows
    assert (table.name, head[0], stem[0]) == ("explanation-check-grad-cam", "head", "stem")
    assert isinstance(head[1], Number)
    assert (head[1].text, head[1].value, head[1].low, head[1].high, head[1].note) == ("0.90", 0.9, 0.8, 0.95, "")
    assert isinstance(stem[1], Number)
    assert stem[1].note == "2 maps without ranks, the same number everywhere, left out"


def test_a_check_says_no_more_than_it_knows() -> None:
    passed = sanity_sentence("grad_cam", SANITY)
    assert passed.startswith("Grad-CAM passes: with all weights random, its maps correlate by 0.10")
    assert "it does not show that these are right" in passed
    worst = dataclasses.replace(CHANGES[1], rank_correlation=0.9)
    failing = dataclasses.replace(SANITY, changes=(CHANGES[0], worst))
    assert sanity_sentence("grad_cam", failing).startswith("Grad-CAM fails: ")
    nothing = dataclasses.replace(SANITY, changes=(dataclasses.replace(worst, rank_correlation=None),), edges=None)
    assert sanity_sentence("occlusion", nothing) == (
        "With all weights random, Occlusion gave maps without ranks, so that nothing can be compared."
    )
    method = dataclasses.replace(FOUND.methods[0], sanity=failing)
    blocks = explanation_section(dataclasses.replace(FOUND, methods=(method,)), PICTURES).blocks
    assert isinstance(blocks[-1], Note)
    assert blocks[-1].kind == "warning"
