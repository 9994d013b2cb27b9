"""What model.freeze means: in stages, and in the older programs' words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.errors import SettingsError
from radpath.models.classifier import ModelSettings
from radpath.models.freezing import read_freeze
from radpath.models.stages import Stage
from radpath.settings import parse_settings

STAGES = tuple(
    Stage(name=name, modules=(name,), num_parameters=1) for name in ("stem", "stage1", "stage2", "stage3", "stage4")
)

# What each count reached, module by module, from the last: the weights it freed, in the older program's own lists.
RESNET50 = ["", "layer4", "layer3", "layer2", "layer1", "", "", "bn1", "conv1"]
INCEPTION = [
    *("", "", "7c", "7b", "7a", "6e", "6d", "6c", "6b", "6a", "5d", "5c", "5b", "", "4a", "3b", "", "2b", "2a", "1a"),
]
OWN_STAGE = {"layer4": 4, "layer3": 3, "layer2": 2, "layer1": 1, "bn1": 0, "conv1": 0}


def stage_of(module: str) -> int:
    return OWN_STAGE[module] if module in OWN_STAGE else {"7": 4, "6": 3, "5": 2, "4": 1, "3": 1}.get(module[0], 0)


def whole_stages_of(modules: list[str], count: int) -> int | None:
    """Return how many stages a count freed, by taking the modules one after the other; None where it cut one apart."""
    freed = {module for module in modules[:count] if module}
    stages = {stage_of(module) for module in freed}
    complete = {module for module in modules if module and stage_of(module) in stages}
    return len(stages) if freed and complete == freed else None


@given(st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_top_n_leaves_n_stages_to_learn(number: int) -> None:
    assert read_freeze(f"top-{number}", STAGES, backbone="any").num_frozen == 5 - number


def test_all_none_and_their_older_names() -> None:
    values = {name: read_freeze(name, STAGES, backbone="any") for name in ("all", "none", "freezeall", "unfreezeall")}
    assert [freezing.num_frozen for freezing in values.values()] == [5, 0, 5, 0]
    assert [bool(freezing.explanation) for freezing in values.values()] == [False, False, True, True]
    assert "left BatchNorm's statistics moving" in values["freezeall"].explanation


def test_more_stages_than_there_are_is_an_error_that_lists_them() -> None:
    message = (
        r"^model\.freeze is 'top-6', but backbone 'resnet18' has 5 stages \(stem, stage1, stage2, stage3, stage4\); "
        r"set at most 'top-5', which is 'none'$"
    )
    with pytest.raises(SettingsError, match=message):
        read_freeze("top-6", STAGES, backbone="resnet18")


@pytest.mark.parametrize(("backbone", "modules"), [("resnet50", RESNET50), ("inception_v3", INCEPTION)])
def test_an_older_count_frees_the_stages_that_it_freed_there_or_is_refused(backbone: str, modules: list[str]) -> None:
    for count in range(1, len(modules) + 1):
        expected = whole_stages_of(modules, count)
        if expected is None:
            with pytest.raises(SettingsError, match=rf"'unfreezetop{count}' meant the last {count} module"):
                read_freeze(f"unfreezetop{count}", STAGES, backbone=backbone)
        else:
            freezing = read_freeze(f"unfreezetop{count}", STAGES, backbone=backbone)
            assert freezing.num_frozen == 5 - expected, count
            assert f"'unfreezetop{count}' meant" in freezing.explanation


def test_a_count_that_freed_nothing_says_so() -> None:
    message = "^model.freeze: 'unfreezetop1' meant the last 1 module, avgpool, without any weights: .* set 'all'$"
    with pytest.raises(SettingsError, match=message):
        read_freeze("unfreezetop1", STAGES, backbone="resnet50.a1_in1k")


@pytest.mark.parametrize(
    ("freeze", "backbone", "message"),
    [
        ("unfreezetop2", "densenet121", "had only 1 module to count there"),
        ("unfreezetop11", "resnet50", "had only 9 modules to count there"),
        ("unfreezetop3", "convnext_tiny", "means nothing for backbone 'convnext_tiny'; set 'top-N'"),
    ],
)
def test_an_older_count_without_a_meaning_is_refused(freeze: str, backbone: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_freeze(freeze, STAGES, backbone=backbone)


def test_ends_of_the_older_lists_free_everything() -> None:
    for freeze, backbone in [
        ("unfreezetop10", "resnet50"),
        ("unfreezetop1", "densenet121"),
        ("unfreezetop20", "inception_v3"),
    ]:
        assert read_freeze(freeze, STAGES, backbone=backbone).num_frozen == 0


@pytest.mark.parametrize("freeze", ["top-0", "top", "top-1.5", "some", "unfreezetop0", "unfreezetop", ""])
def test_other_words_are_refused_with_the_key(freeze: str) -> None:
    with pytest.raises(SettingsError, match=r"^test: freeze: '.*' is no way to freeze; it must be all, none, or top-N"):
        parse_settings(ModelSettings, {"freeze": freeze}, source="test")
