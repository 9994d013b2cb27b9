"""The plan: each rule by made fingerprints, that wishes win, and that every reason reads well behind "because"."""

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.fingerprint import Fingerprint, Quantiles, measure
from radpath.data.manifest import Manifest
from radpath.models.backbones import Backbone, BackboneSettings, build_backbone
from radpath.recipes.experiment import compose_experiment
from radpath.recipes.planning import Plan, derive_plan, describe_sizes, follow_wishes
from radpath.settings import flatten


@cache
def backbone(name: str = "test_resnet") -> Backbone:
    return build_backbone(BackboneSettings(backbone=name, weights="none"))


def fingerprint(sizes: list[tuple[int, int]], **changes: object) -> Fingerprint:
    rows = [
        {
            "record_id": f"{place}.png",
            "path": f"{place}.png",
            "case": f"case {place}",
            "case_assumed": False,
            "label": "ab"[place % 2],
            "width_px": width,
            "height_px": height,
            "channels": 3,
            "bit_depth": 8,
            "mode": "RGB",
            "format": "PNG",
        }
        for place, (width, height) in enumerate(sizes)
    ]
    return dataclasses.replace(measure(Manifest.from_rows(Path(), rows)), **changes)  # type: ignore[arg-type] # any field


def plan(
    found: Fingerprint,
    *,
    sides_given: bool = False,
    asked: dict[str, Any] | None = None,
    network: str = "test_resnet",
    accelerator: str = "cpu",
) -> dict[str, tuple[str, str]]:
    derived = derive_plan(
        found, sides_given=sides_given, asked=asked or {}, backbone=backbone(network), accelerator=accelerator
    )
    return {choice.setting: (choice.value, choice.reason) for choice in derived.choices}


ALIKE = fingerprint([(28, 28)] * 20)
VARIED = fingerprint([(30 + 8 * place, 40 + 6 * place) for place in range(20)])


# Split


def test_sides_that_were_given_are_used_and_their_leaks_excluded() -> None:
    made = plan(ALIKE, sides_given=True)
    assert made["split.source"] == ("given", "the data say which images are for train, validation and test")
    assert made["split.leaks"][0] == "exclude"


def test_without_sides_cases_are_dealt_out_and_leaks_stay_forbidden() -> None:
    made = plan(ALIKE)
    assert made["split.source"] == (
        "fractions",
        "nothing says which side an image is on: 20 cases are dealt out by class",
    )
    assert "split.leaks" not in made


def test_listed_cases_need_no_second_wish() -> None:
    asked = {"split.test_cases": ["case 1"]}
    for sides_given in (False, True):
        made = plan(ALIKE, sides_given=sides_given, asked=asked)
        assert made["split.source"] == ("cases", "you list the cases of a side")
    assert follow_wishes(asked).values == {"split": {"source": "cases"}}


def test_a_new_split_of_data_with_sides_allows_no_leak() -> None:
    assert "split.leaks" not in plan(ALIKE, sides_given=True, asked={"split.source": "fractions"})


# Pixels


def test_images_of_one_size_get_that_size_or_what_the_weights_need() -> None:
    made = plan(ALIKE)
    assert made["pixels.size"] == ("fixed", "every image has 28 x 28 px")
    assert made["pixels.size_px"][0] == "96"
    assert "see too little below 96 px" in made["pixels.size_px"][1]
    assert plan(fingerprint([(130, 90)] * 4))["pixels.size_px"] == ("128", "the median of the long sides is 130 px")
    assert plan(fingerprint([(2000, 900)] * 4))["pixels.size_px"][0] == "224"


def test_small_images_of_many_sizes_keep_them() -> None:
    made = plan(VARIED)
    assert made["pixels.size"][0] == "native"
    assert "long sides run from 40 to 182 px, 90 % within a factor of" in made["pixels.size"][1]


def test_large_images_of_many_sizes_are_scaled() -> None:
    assert plan(fingerprint([(300 + 90 * place, 400) for place in range(20)]))["pixels.size"][0] == "fixed"


def test_a_transformer_gets_its_only_size_with_the_reason() -> None:
    made = plan(VARIED, network="test_vit")
    assert made["pixels.size"][0] == "fixed"
    assert "but backbone 'test_vit' needs one size: " in made["pixels.size"][1]
    assert made["pixels.size_px"] == ("160", "backbone 'test_vit' takes no other size")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"training.sampling": "balanced"}, {"loss": {"class_weights": "none"}}),
        ({"training.loss.kind": "cost_matrix"}, {"loss": {"class_weights": "none"}}),
        ({"training.loss.costs.a.b": 2.0}, {"loss": {"kind": "cost_matrix", "class_weights": "none"}}),
        ({"training.loss.given_weights.a": 2.0}, {"loss": {"class_weights": "given"}}),
        ({"training.optimiser.kind": "adam"}, {"optimiser": {"weight_decay": 1e-4}}),
        ({"training.optimiser.kind": "sgd"}, {"optimiser": {"weight_decay": 1e-4}, "learning_rate": 0.01}),
    ],
    ids=str,
)
def test_a_wish_for_a_loss_or_an_optimiser_gets_what_goes_with_it(
    asked: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert follow_wishes(asked).values == {"training": expected}
    made = plan(ALIKE, asked=asked)
    assert all(value != "" and reason for value, reason in made.values())


@pytest.mark.parametrize("asked", [{"training.mix.kind": "mixup"}, {"training.thaw_every": 1}], ids=str)
def test_what_needs_every_pixel_in_every_epoch_keeps_its_augmentation(asked: dict[str, Any]) -> None:
    many = dataclasses.replace(ALIKE, num_images=100_000)
    assert "augmentation.rotation_deg" in plan(many)
    assert "augmentation.rotation_deg" not in plan(many, asked=asked)


def test_a_network_of_one_channel_gets_grey_pixels() -> None:
    assert follow_wishes({"model.grey": "sum"}).values == {"pixels": {"channels": "grey"}}
    assert plan(VARIED, asked={"model.grey": "sum"})["pixels.channels"][0] == "grey"


def test_attention_learns_where_a_cpu_would_freeze_everything() -> None:
    many = dataclasses.replace(ALIKE, num_images=100_000)
    assert plan(many, asked={"model.attention": "cbam"})["model.freeze"][0] == "top-1"


@pytest.mark.parametrize(("wish", "found"), [("fixed", VARIED), ("native", ALIKE)])
def test_a_wished_kind_of_size_gets_the_settings_that_go_with_it(wish: str, found: Fingerprint) -> None:
    made = plan(found, asked={"pixels.size": wish})
    assert made["pixels.size"] == (wish, "you set it")
    assert ("pixels.size_px" in made) == (wish == "fixed")


def test_grey_and_deep_files_are_recognised() -> None:
    made = plan(fingerprint([(9, 9)] * 4, colour="grey", bit_depths={"16": 1, "8": 3}))
    assert made["pixels.channels"] == ("grey", "every image is grey")
    assert made["pixels.intensity"][0] == "percentile"
    assert "pixels.intensity_scope" not in made
    shallow = plan(fingerprint([(9, 9)] * 4, colour="grey", bit_depths={"8": 4}))
    assert [shallow[name][0] for name in ("pixels.intensity", "pixels.intensity_scope")] == ["percentile", "training"]
    deep = plan(fingerprint([(9, 9)] * 4, colour="colour", bit_depths={"16": 1, "8": 3}))
    assert deep["pixels.intensity"] == ("minmax", "of files with more than 8 bits (1 image) few use the whole range")
    assert "pixels.intensity" not in plan(ALIKE)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([(28, 28)] * 3, "every image has 28 x 28 px"),
        ([(28, 20), (20, 28)], "every long side has 28 px"),
        ([(300, 20)] * 40 + [(100, 20)], "long sides run from 100 to 300 px, 90 % of them nearly the same"),
        ([(300, 20), (100, 20)] * 20, "long sides run from 100 to 300 px, 90 % within a factor of 3.0"),
    ],
)
def test_sizes_are_described_in_one_phrase(sizes: list[tuple[int, int]], words: str) -> None:
    assert describe_sizes(fingerprint(sizes)) == words


PHOTOS = fingerprint([(4000, 3000)] * 20, formats={"JPEG": 11, "PNG": 9})


def test_large_photographs_are_decoded_at_a_fraction_of_their_size() -> None:
    made = plan(PHOTOS)
    reason = (
        "11 images of 20 are JPEG files, and the median of the long sides, 4000 px, is 18 times the target: faster, "
        "and within 2 levels of 255"
    )
    assert made["pixels.jpeg"] == ("scaled", reason)


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (dataclasses.replace(PHOTOS, formats={"JPEG": 10, "PNG": 10}), {}),
        (fingerprint([(1700, 1500)] * 20, formats={"JPEG": 20}), {}),
        (PHOTOS, {"pixels.size_px": 512}),
        (PHOTOS, {"pixels.size": "native"}),
        (PHOTOS, {"pixels.stain.method": "macenko"}),
        (PHOTOS, {"pixels.steps.before": ["otsu"]}),
    ],
)
def test_other_images_and_wishes_need_every_pixel(found: Fingerprint, asked: dict[str, Any]) -> None:
    assert "pixels.jpeg" not in plan(found, asked=asked)


# Learning


def test_few_images_adapt_every_layer_and_many_only_the_head() -> None:
    few, many = plan(ALIKE), plan(dataclasses.replace(ALIKE, num_images=100_000))
    assert few["model.freeze"][0] == "none"
    assert "augmentation.rotation_deg" not in few
    assert many["model.freeze"][0] == "all"
    assert many["augmentation.rotation_deg"][0] == "0.0"


def test_a_gpu_adapts_every_layer_to_many_images_too() -> None:
    made = plan(dataclasses.replace(ALIKE, num_images=100_000), accelerator="cuda")
    assert made["model.freeze"][0] == "none"
    assert "a GPU can adapt every layer to 100,000 images" in made["model.freeze"][1]


def test_a_wished_freezing_decides_the_augmentation() -> None:
    assert plan(ALIKE, asked={"model.freeze": "all"})["augmentation.scale"][0] == "0.0"
    many = dataclasses.replace(ALIKE, num_images=100_000)
    assert "augmentation.scale" not in plan(many, asked={"model.freeze": "none"})


def test_features_that_change_are_no_reason_against_augmentation() -> None:
    assert "augmentation.scale" not in plan(ALIKE, asked={"model.freeze": "top-1"})
    assert "augmentation.scale" not in plan(ALIKE, asked={"model.freeze": "all", "model.pooling": "attention"})


def test_heads_with_layers_start_from_drawn_weights() -> None:
    wishes = follow_wishes({"model.head.kind": "conv", "model.weights": "none"})
    assert wishes.values["training"] == {"head_start": "random"}
    assert [choice.setting for choice in wishes.choices].count("training.head_start") == 1
    assert "the logistic start fits linear heads, and yours is conv" in wishes.choices[0].reason
    assert "training" not in follow_wishes({"model.head.kind": "linear"}).values


def test_random_weights_learn_everything_and_their_own_statistics() -> None:
    asked = {"model.weights": "none"}
    made = plan(dataclasses.replace(ALIKE, num_images=100_000), asked=asked)
    assert made["model.freeze"] == ("none", "random weights have everything to learn")
    assert made["model.norm_statistics"][0] == "batch"
    assert follow_wishes(asked).values == {
        "model": {"norm_statistics": "batch"},
        "training": {"head_start": "random"},
    }
    assert "training" not in follow_wishes({**asked, "training.epochs": 0}).values


def test_z_scores_are_not_normalised_again() -> None:
    assert follow_wishes({"pixels.intensity": "zscore"}).values == {"model": {"normalisation": "none"}}


def test_stains_mean_that_there_is_no_up() -> None:
    assert plan(dataclasses.replace(ALIKE, stains={"he": 20}))["augmentation.flips"][0] == "dihedral"
    assert "augmentation.flips" not in plan(ALIKE)


# All rules together


@settings(max_examples=40, deadline=None)
@given(
    num_images=st.integers(1, 2_000_000),
    sides_px=st.lists(st.floats(2, 5000), min_size=5, max_size=5).map(sorted),
    colour=st.sampled_from(["grey", "colour", "mixed"]),
    depth=st.sampled_from(["8", "16"]),
    sides_given=st.booleans(),
    stained=st.booleans(),
    network=st.sampled_from(["test_resnet", "test_vit"]),
    accelerator=st.sampled_from(["cpu", "cuda"]),
)
def test_every_plan_is_a_valid_experiment_whose_reasons_can_be_read(
    num_images: int,
    sides_px: list[float],
    colour: Any,
    depth: str,
    *,
    sides_given: bool,
    stained: bool,
    network: str,
    accelerator: str,
) -> None:
    quantiles = Quantiles(**dict(zip(("minimum", "p5", "median", "p95", "maximum"), sides_px, strict=True)))
    found = dataclasses.replace(
        ALIKE,
        num_images=num_images,
        long_side_px=quantiles,
        size_spread=quantiles.p95 / quantiles.p5,
        most_common_size_share=0.5,
        colour=colour,
        bit_depths={depth: num_images},
        stains={"he": num_images} if stained else {},
    )
    derived = derive_plan(found, sides_given=sides_given, asked={}, backbone=backbone(network), accelerator=accelerator)
    experiment = compose_experiment({**derived.values, "data": {"images": "images"}}, [])
    chosen = flatten(experiment.model_dump(mode="json"))
    for choice in derived.choices:
        assert str(chosen[choice.setting]) == choice.value
        assert choice.reason[-1] not in ".;,"
        assert not choice.reason.startswith(("because", "Because"))
        assert "nan" not in choice.reason
    groups = [choice.setting.split(".")[0] for choice in derived.choices]
    assert [group for place, group in enumerate(groups) if group not in groups[:place]] == list(dict.fromkeys(groups))
    assert groups == sorted(groups, key=["split", "pixels", "augmentation", "model", "training", "device"].index)


def test_a_plan_is_nested_tables_and_choices() -> None:
    made = Plan.of([("pixels.size_px", 96, "of this"), ("model.freeze", "all", "of that")])
    assert made.values == {"pixels": {"size_px": 96}, "model": {"freeze": "all"}}
    assert [choice.value for choice in made.choices] == ["96", "all"]
    assert [choice.reason for choice in made.choices] == ["of this", "of that"]


def test_several_labels_get_a_loss_of_their_own_without_weights() -> None:
    found = plan(dataclasses.replace(ALIKE, several_labels=True))
    assert found["training.loss.kind"][0] == "binary"
    assert found["training.loss.class_weights"][0] == "none"
    assert "training.loss.kind" not in plan(ALIKE)
