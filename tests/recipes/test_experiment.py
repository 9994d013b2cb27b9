"""The experiment: complete when written, the same when read again, strict, and explained."""

from pathlib import Path

import pytest

from radpath.data.augmentation.settings import RANGES
from radpath.errors import SettingsError
from radpath.recipes.experiment import Experiment, compose_experiment, read_experiment, render_experiment
from radpath.settings import flatten, setting_names

BARE = {"data": {"images": "images"}}


def test_a_written_experiment_is_read_as_the_same(tmp_path: Path) -> None:
    wishes = [
        "training.learning_rate=1e-4",
        "split.test_cases=['a', 'b']",
        'data.name_pattern=(?P<case>\\d+)"',
        "question=Is it?",
    ]
    experiment = compose_experiment(BARE, wishes)
    path = tmp_path / "experiment.toml"
    path.write_text(render_experiment(experiment, reasons={}), encoding="utf-8")
    assert read_experiment(path, []) == experiment
    assert read_experiment(path, ["training.epochs=3"]).training.epochs == 3


def test_a_written_experiment_holds_every_setting_with_its_meaning_and_reason() -> None:
    text = render_experiment(compose_experiment(BARE, []), reasons={"pixels.size_px": "of the images"})
    for key in setting_names(Experiment):
        name = key.rsplit(".", 1)[-1]
        assert f"\n{name} = " in text or f"\n# {name} is not set\n" in text, key
    assert "# Chosen because of the images\nsize_px = 224\n" in text
    assert text.startswith("# A complete radpath experiment")


def test_every_setting_is_documented() -> None:
    def undocumented(kind: type, prefix: str = "") -> list[str]:
        found = []
        for name, field in kind.model_fields.items():  # type: ignore[attr-defined] # every group is a pydantic model
            if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                found += undocumented(field.annotation, f"{prefix}{name}.")
            elif not field.description:
                found.append(f"{prefix}{name}")
        return found

    assert undocumented(Experiment) == []


def test_values_are_plain_after_a_journey_through_toml() -> None:
    flat = flatten(compose_experiment(BARE, []).model_dump(mode="json"))
    assert set(flat) == set(setting_names(Experiment))
    assert all(isinstance(value, str | int | float | bool | list | dict | None) for value in flat.values())


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (["model.weights=none"], r"^--set: model: model.weights = 'none' starts from random weights"),
        (
            ["training.loss.kind=ordinal"],
            r"^--set: training\.loss\.kind is 'ordinal', and data\.class_order does not say",
        ),
        (
            ["training.thaw_every=2"],
            r"^--set: training\.thaw_every is 2, but model\.freeze = 'none' leaves nothing to th",
        ),
        (
            ["training.thaw_every=2", "model.freeze=all", "device.num_devices=2"],
            r"^--set: training\.thaw_every is 2, but several devices agree once, at the beginning, on what learns; ",
        ),
        (
            ["training.sampling=balanced"],
            r"^--set: training: training\.sampling is 'balanced' and training\.loss\.class_weights is 'balanced', w",
        ),
        (["pixels.sise=native"], r"^--set: unknown setting 'pixels.sise'; did you mean 'pixels.size'\?$"),
        (["training=3"], r"^--set: setting 'training' is 3; it must be"),
        (["training.epochs.more=3"], r"."),
        (
            ["model.head.kind=conv"],
            r"^--set: training.head_start is 'logistic', which fits linear heads only; set train",
        ),
        (
            ["model.head.kernel_size=4"],
            r"^--set: model.head: model.head.kernel_size is 4, which a head of kind 'linear'",
        ),
        (["model.dropout=0.1"], r"^--set: unknown setting 'model.dropout'; did you mean 'model.head.dropout'\?$"),
        (
            ["model.grey=sum"],
            r"^--set: model.grey is 'sum', .* pixels.channels is 'rgb'; set pixels.channels to 'grey'",
        ),
        (["model.attention=cbam", "model.freeze=all"], r"^--set: model: model.attention = 'cbam' begins as no change"),
    ],
)
def test_what_cannot_be_is_refused(wishes: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        compose_experiment({**BARE, "training": {"epochs": 2}}, wishes)


def test_random_views_need_random_changes() -> None:
    off = [f"augmentation.{name}=0" for name in RANGES.values()]
    with pytest.raises(SettingsError, match=r"prediction.augmented_views needs random changes"):
        compose_experiment(BARE, ["prediction.augmented_views=2", *off])
    wanted = [*off, "prediction.augmented_views=2", "augmentation.noise=0.1"]
    assert compose_experiment(BARE, wanted).prediction.augmented_views == 2


def test_kept_views_that_would_all_be_the_same_are_refused() -> None:
    still = [f"augmentation.{name}=0" for name in ("rotation_deg", "scale", "shift", "brightness", "contrast")]
    with pytest.raises(SettingsError, match=r"training.kept_views is 3, but \[augmentation\] changes nothing"):
        compose_experiment({"data": {"images": "x"}}, [*still, "augmentation.flips=none", "training.kept_views=3"])
    flipped = [*still, "augmentation.flips=horizontal", "training.kept_views=3"]
    assert compose_experiment({"data": {"images": "x"}}, flipped).training.kept_views == 3
