"""From a fingerprint of the data to a complete plan, by written rules, each with its reason.

In: what was measured, and what the user asked for. Out: values for an experiment and, for each, why. A rule looks at
numbers only (sizes, counts, depth), never at a data set's name; whatever the user sets with --set wins.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from radpath.data.findings import counted
from radpath.data.fingerprint import Fingerprint
from radpath.data.pixels import REDUCE_ABOVE
from radpath.models.backbones import Backbone
from radpath.models.freezing import learns_nothing_of_the_backbone
from radpath.records import SIDES
from radpath.reporting.content import Choice

_COMMON_SIZES_SPREAD: Final = 1.5
"""Where the long sides of 90 % of the images differ by less than this factor, one size serves all."""
_FINE_TUNING_MEGAPIXELS: Final = 20.0
"""Two cores learn from about half a megapixel a second with the bundled backbone, so 14 epochs of more than this
would take them over ten minutes."""
_MANY_VIEWED: Final = ("rotation_deg", "scale", "shift", "brightness", "contrast")
_ENLARGED_PX: Final = 96
_LARGEST_PX: Final = 224
_LARGEST_NATIVE_PX: Final = 512
_SMALLEST_REDUCTION: Final = 2  # a JPEG can be decoded at a half, a quarter or an eighth of its size
_GROUPS: Final = ("split", "pixels", "augmentation", "model", "training", "device")
_GREY_REASON: Final = "few grey images use the whole range of levels, and a few odd pixels should not decide"
_EIGHT_BIT_REASON: Final = "a window was applied to 8-bit images, so that differences in brightness may mean something"
_ASKED: Final = "you set it"

Rule = tuple[str, Any, str]
"""A setting's dotted name, its value, and the reason, which reads well behind "because"."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Settings for an experiment, as nested tables, with the choices that led to them."""

    values: Mapping[str, Any]
    choices: tuple[Choice, ...]

    @classmethod
    def of(cls, rules: Sequence[Rule]) -> "Plan":
        """Gather what rules chose."""
        values: dict[str, Any] = {}
        for setting, value, _ in rules:
            *groups, name = setting.split(".")
            table = values
            for group in groups:
                table = table.setdefault(group, {})
            table[name] = value
        choices = tuple(Choice(setting=setting, value=str(value), reason=reason) for setting, value, reason in rules)
        return cls(values=values, choices=choices)


def follow_wishes(asked: Mapping[str, Any]) -> Plan:
    """Derive what follows from the user's settings alone, so that one wish does not need another beside it.

    Args:
        asked: the settings that the user gave, by dotted name.
    """
    return Plan.of(_wish_rules(asked))


def derive_plan(
    fingerprint: Fingerprint, *, sides_given: bool, asked: Mapping[str, Any], backbone: Backbone, accelerator: str
) -> Plan:
    """Derive the settings that depend on the data.

    Args:
        fingerprint: of the images that take part.
        sides_given: whether folders, a column or an array file say which side an image is on.
        asked: the settings that the user gave, by dotted name.
        backbone: what it demands of the images' sizes is met.
        accelerator: "cpu", or what computes faster.
    """
    wishes = _wish_rules(asked)
    pixels = _pixel_rules(fingerprint, asked=asked, backbone=backbone)
    rules = [
        *_split_rules(fingerprint, sides_given=sides_given, asked=asked),
        *pixels,
        *_learning_rules(fingerprint, asked=asked, pixels=Plan.of(pixels).values["pixels"], accelerator=accelerator),
    ]
    settled = {setting for setting, _, _ in wishes}
    remaining = [rule for rule in rules if rule[0] not in settled]
    return Plan.of(sorted([*wishes, *remaining], key=lambda rule: _GROUPS.index(rule[0].partition(".")[0])))


def _wish_rules(asked: Mapping[str, Any]) -> list[Rule]:
    rules: list[Rule] = []
    if any(asked.get(f"split.{side}_cases") for side in SIDES) and "split.source" not in asked:
        rules.append(("split.source", "cases", "you list the cases of a side"))
    head = asked.get("model.head.kind", "linear")
    if head != "linear":
        rules.append(("training.head_start", "random", f"the logistic start fits linear heads, and yours is {head}"))
    if asked.get("model.weights") == "none":
        rules.append(("model.norm_statistics", "batch", "random weights bring no statistics that could be kept"))
        # Without epochs, fitting the head is all that is learned.
        if head == "linear" and asked.get("training.epochs") != 0:
            rules.append(("training.head_start", "random", "features of random weights say little to fit a head on"))
    if asked.get("model.grey") == "sum":
        rules.append(("pixels.channels", "grey", "model.grey = 'sum' makes a network of one channel"))
    if asked.get("pixels.intensity") == "zscore":
        rules.append(("model.normalisation", "none", "z-scores are centred and scaled already"))
    return [*rules, *_optimisation_wishes(asked)]


def _optimisation_wishes(asked: Mapping[str, Any]) -> list[Rule]:
    """Derive what a wish for a loss, a sampling or an optimiser needs beside it."""
    rules: list[Rule] = []
    if _group_of(asked, "training.loss.costs") and "training.loss.kind" not in asked:
        rules.append(("training.loss.kind", "cost_matrix", "you say what mistakes cost"))
    costs = bool(rules) or asked.get("training.loss.kind") == "cost_matrix"
    if _group_of(asked, "training.loss.given_weights"):
        rules.append(("training.loss.class_weights", "given", "you give the weights"))
    elif costs:
        rules.append(("training.loss.class_weights", "none", "the costs say already what each mistake weighs"))
    elif asked.get("training.sampling") == "balanced":
        rules.append(("training.loss.class_weights", "none", "balanced sampling helps rare classes already"))
    kind = asked.get("training.optimiser.kind", "adamw")
    if kind != "adamw":
        reason = f"{kind} adds it to the gradient, where the usual penalty is far smaller than that of adamw"
        rules.append(("training.optimiser.weight_decay", 1e-4, reason))
    if kind == "sgd":
        rules.append(("training.learning_rate", 0.01, "sgd does not scale its steps, and needs a far higher rate"))
    return rules


def _split_rules(fingerprint: Fingerprint, *, sides_given: bool, asked: Mapping[str, Any]) -> list[Rule]:
    if sides_given and asked.get("split.source", "given") == "given":
        return [
            ("split.source", "given", f"the data say which images are for {', '.join(SIDES[:-1])} and {SIDES[-1]}"),
            ("split.leaks", "exclude", "a split that was given may hold an image twice: the training copy is dropped"),
        ]
    if sides_given:
        return [("split.source", "given", "the data say which side an image is on")]
    cases = counted(fingerprint.num_cases, "case")
    return [("split.source", "fractions", f"nothing says which side an image is on: {cases} are dealt out by class")]


def _pixel_rules(fingerprint: Fingerprint, *, asked: Mapping[str, Any], backbone: Backbone) -> list[Rule]:
    rules: list[Rule] = []
    if fingerprint.colour == "grey":
        rules.append(("pixels.channels", "grey", "every image is grey"))
        rules.append(("pixels.intensity", "percentile", _GREY_REASON))
        if set(fingerprint.bit_depths) == {"8"}:
            rules.append(("pixels.intensity_scope", "training", _EIGHT_BIT_REASON))
    elif {"16", "32"} & set(fingerprint.bit_depths):
        deep = counted(sum(fingerprint.bit_depths.get(bits, 0) for bits in ("16", "32")), "image")
        rules.append(("pixels.intensity", "minmax", f"of files with more than 8 bits ({deep}) few use the whole range"))
    rules += _size_rules(fingerprint, asked=asked, backbone=backbone)
    return [*rules, *_jpeg_rules(fingerprint, {**Plan.of(rules).values["pixels"], **_group_of(asked, "pixels")})]


def _jpeg_rules(fingerprint: Fingerprint, pixels: Mapping[str, Any]) -> list[Rule]:
    """Decode JPEG files at a fraction of their size where that is possible for at least half of all images."""
    target_px = int(pixels["size_px" if pixels["size"] == "fixed" else "max_side_px"])
    median_px, num_jpeg = fingerprint.long_side_px.median, fingerprint.formats.get("JPEG", 0)
    needs_all = pixels.get("stain.method", "none") != "none" or pixels.get("steps.before")
    if (
        needs_all
        or median_px < _SMALLEST_REDUCTION * REDUCE_ABOVE * target_px
        or 2 * num_jpeg <= fingerprint.num_images
    ):
        return []
    reason = (
        f"{counted(num_jpeg, 'image')} of {fingerprint.num_images:,} are JPEG files, and the median of the long sides, "
        f"{median_px:.0f} px, is {median_px / target_px:.0f} times the target: faster, and within 2 levels of 255"
    )
    return [("pixels.jpeg", "scaled", reason)]


def _size_rules(fingerprint: Fingerprint, *, asked: Mapping[str, Any], backbone: Backbone) -> list[Rule]:
    median_px = fingerprint.long_side_px.median
    varied = fingerprint.size_spread > _COMMON_SIZES_SPREAD and median_px <= _LARGEST_PX
    sizes = describe_sizes(fingerprint)
    wish = asked.get("pixels.size")
    if wish == "native" or (wish is None and varied and backbone.padding_problem is None):
        reason = _ASKED if wish else f"{sizes}, and one size for all would hide how large things are"
        limit = "larger images would dominate the time and say little more"
        return [("pixels.size", "native", reason), ("pixels.max_side_px", _LARGEST_NATIVE_PX, limit)]
    if wish is None and varied:
        sizes += f", but backbone '{backbone.name}' needs one size: {backbone.padding_problem}"
    return [("pixels.size", "fixed", _ASKED if wish else sizes), _side_rule(median_px, backbone)]


def _side_rule(median_px: float, backbone: Backbone) -> Rule:
    if backbone.required_size_px is not None:
        return ("pixels.size_px", backbone.required_size_px, f"backbone '{backbone.name}' takes no other size")
    size_px = min(max(_ENLARGED_PX, 32 * round(median_px / 32)), _LARGEST_PX)
    reason = f"the median of the long sides is {median_px:.0f} px"
    if median_px < _ENLARGED_PX:
        reason += f", and the usual weights see too little below {_ENLARGED_PX} px"
    elif median_px > _LARGEST_PX:
        reason += f", and more than {_LARGEST_PX} px take long"
    return ("pixels.size_px", size_px, reason)


def describe_sizes(fingerprint: Fingerprint) -> str:
    """Return how the sizes of images differ, in one phrase."""
    width_px, height_px = fingerprint.most_common_size_px
    if fingerprint.most_common_size_share == 1:
        return f"every image has {width_px} x {height_px} px"
    sides = fingerprint.long_side_px
    if sides.minimum == sides.maximum:
        return f"every long side has {sides.minimum:.0f} px"
    spread = f"long sides run from {sides.minimum:.0f} to {sides.maximum:.0f} px"
    if f"{fingerprint.size_spread:.1f}" == "1.0":
        return f"{spread}, 90 % of them nearly the same"
    return f"{spread}, 90 % within a factor of {fingerprint.size_spread:.1f}"


def _learning_rules(
    fingerprint: Fingerprint, *, asked: Mapping[str, Any], pixels: Mapping[str, Any], accelerator: str
) -> list[Rule]:
    rules: list[Rule] = []
    if fingerprint.several_labels:
        rules.append(("training.loss.kind", "binary", "an image has several labels, each a question of its own"))
        rules.append(("training.loss.class_weights", "none", "weights for rare labels would move their probabilities"))
    if fingerprint.stains:
        rules.append(("augmentation.flips", "dihedral", "the names carry a stain: histology, which has no up"))
    freeze, reason = _freeze_rule(fingerprint, asked=asked, pixels=pixels, accelerator=accelerator)
    rules.append(("model.freeze", freeze, reason))
    sees_all_each_time = (
        asked.get("model.pooling", "mean") != "mean"
        or asked.get("training.mix.kind", "none") != "none"
        or asked.get("training.thaw_every", 0) > 0
    )
    if sees_all_each_time or not learns_nothing_of_the_backbone(freeze):
        measured = "what is fastest differs from network to network: some seconds are spent on measuring it here"
        return [*rules, ("device.precision", "auto", measured), ("device.memory_format", "auto", measured)]
    views = "the features of flipped images can be kept, those of other changes cannot"
    return [*rules, *((f"augmentation.{name}", 0.0, views) for name in _MANY_VIEWED)]


def _freeze_rule(
    fingerprint: Fingerprint, *, asked: Mapping[str, Any], pixels: Mapping[str, Any], accelerator: str
) -> tuple[str, str]:
    if "model.freeze" in asked:
        return str(asked["model.freeze"]), _ASKED
    if asked.get("model.weights") == "none":
        return "none", "random weights have everything to learn"
    megapixels = _megapixels(fingerprint, {**pixels, **_group_of(asked, "pixels")})
    images = f"{counted(fingerprint.num_images, 'image')} of {megapixels:,.1f} megapixels in all"
    if accelerator != "cpu":
        return "none", f"a GPU can adapt every layer to {images}"
    if megapixels <= _FINE_TUNING_MEGAPIXELS:
        return "none", f"{images} are few enough to adapt every layer in minutes"
    if asked.get("model.attention", "none") != "none":
        return "top-1", f"{images} would take a CPU too long, but attention has to learn behind one stage at least"
    return "all", f"{images} would take a CPU too long; a frozen backbone sees each image only once"


def _group_of(asked: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return the settings of one table by their names in it."""
    return {key.removeprefix(f"{group}."): value for key, value in asked.items() if key.startswith(f"{group}.")}


def _megapixels(fingerprint: Fingerprint, pixels: Mapping[str, Any]) -> float:
    """Return how many megapixels the network sees in one pass over all images."""
    if pixels["size"] == "native":
        return fingerprint.total_megapixels
    return fingerprint.num_images * int(pixels["size_px"]) ** 2 / 1e6
