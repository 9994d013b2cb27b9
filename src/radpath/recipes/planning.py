"""From a fingerprint of the data to a complete plan, by written rules, each with its reason.

In: what was measured. Out: values for an experiment and, for each, why. A rule looks at numbers only (sizes, counts,
depth), never at a data set's name; whatever the user sets with --set wins.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from radpath.data.fingerprint import Fingerprint
from radpath.records import SIDES
from radpath.reporting.content import Choice

_COMMON_SIZES_SPREAD: Final = 1.5
"""Where the long sides of 90 % of the images differ by less than this factor, one size serves all."""
_FINE_TUNING_IMAGES: Final = 2000
"""Above this many images a CPU cannot fine-tune the bundled backbone in a quarter of an hour."""
_MANY_VIEWED: Final = ("rotation_deg", "scale", "shift", "brightness", "contrast")
_ENLARGED_PX: Final = 96
_LARGEST_PX: Final = 224
_LARGEST_NATIVE_PX: Final = 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Settings for an experiment, as nested tables, with the choices that led to them."""

    values: Mapping[str, Any]
    choices: tuple[Choice, ...]

    @property
    def reasons(self) -> dict[str, str]:
        """Return the reason of each setting by its dotted name."""
        return {choice.setting: choice.reason for choice in self.choices}


def derive_plan(fingerprint: Fingerprint, *, sides_given: bool) -> Plan:
    """Derive the settings that depend on the data.

    Args:
        fingerprint: of the images that take part.
        sides_given: whether folders, a column or an array file say which side an image is on.
    """
    choices: list[tuple[str, Any, str]] = [
        *_split_rules(fingerprint, sides_given=sides_given),
        *_pixel_rules(fingerprint),
        *_learning_rules(fingerprint),
    ]
    values: dict[str, Any] = {}
    for setting, value, _ in choices:
        group, name = setting.split(".")
        values.setdefault(group, {})[name] = value
    said = tuple(Choice(setting=setting, value=str(value), reason=reason) for setting, value, reason in choices)
    return Plan(values=values, choices=said)


def _split_rules(fingerprint: Fingerprint, *, sides_given: bool) -> list[tuple[str, Any, str]]:
    if not sides_given:
        reason = f"no side is given: {fingerprint.num_cases} cases are divided, classes in proportion"
        return [("split.source", "fractions", reason)]
    return [
        ("split.source", "given", f"the data say which images are for {', '.join(SIDES)}"),
        ("split.leaks", "exclude", "a given split may hold an image twice; the copy that was learned from is dropped"),
    ]


def _pixel_rules(fingerprint: Fingerprint) -> list[tuple[str, Any, str]]:
    rules: list[tuple[str, Any, str]] = []
    if fingerprint.colour == "grey":
        rules.append(("pixels.channels", "grey", "every image is grey"))
    if "16" in fingerprint.bit_depths:
        deep = fingerprint.bit_depths["16"]
        rules.append(("pixels.intensity", "minmax", f"{deep} images have 16 bits, which files seldom use in full"))
    return [*rules, *_size_rules(fingerprint)]


def _size_rules(fingerprint: Fingerprint) -> list[tuple[str, Any, str]]:
    sides = fingerprint.long_side_px
    spread = f"long sides run from {sides.minimum:.0f} to {sides.maximum:.0f} px, 90 % within a factor of "
    spread += f"{fingerprint.size_spread:.1f}"
    if fingerprint.size_spread > _COMMON_SIZES_SPREAD and sides.median <= _LARGEST_PX:
        limit = ("pixels.max_side_px", _LARGEST_NATIVE_PX, "larger images would dominate the time and say little more")
        return [("pixels.size", "native", f"{spread}: scaling them to one size would hide how large things are"), limit]
    size = min(max(_ENLARGED_PX, 32 * round(sides.median / 32)), _LARGEST_PX)
    reason = f"{spread}; the median is {sides.median:.0f} px"
    if sides.median < _ENLARGED_PX:
        reason += f", enlarged because the bundled weights see too little below {_ENLARGED_PX} px"
    return [("pixels.size", "fixed", spread), ("pixels.size_px", size, reason)]


def _learning_rules(fingerprint: Fingerprint) -> list[tuple[str, Any, str]]:
    rules: list[tuple[str, Any, str]] = []
    if fingerprint.stains:
        rules.append(("augmentation.flips", "dihedral", "the names carry a stain: histology, which has no up"))
    if fingerprint.num_images <= _FINE_TUNING_IMAGES:
        few = f"{fingerprint.num_images} images are few enough to adapt every layer in minutes"
        return [*rules, ("model.freeze", "none", few)]
    many = f"{fingerprint.num_images} images would take a CPU too long; a frozen backbone sees each image only once"
    views = "the features of flipped images can be kept, those of other changes cannot"
    changes = [(f"augmentation.{name}", 0.0, views) for name in _MANY_VIEWED]
    return [*rules, ("model.freeze", "all", many), *changes]
