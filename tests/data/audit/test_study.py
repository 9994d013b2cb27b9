"""Tests of the audit as a whole, on a drawn study with planted faults."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from radpath.data.audit.collecting import Signatures
from radpath.data.audit.signature import signature_of
from radpath.data.audit.study import AuditSettings, StudyAudit, audit_study, find_near_duplicates
from radpath.data.manifest import Manifest

Draw = Callable[..., np.ndarray]
SETTINGS = AuditSettings()


def audit_of(rows: list[dict[str, object]], images: list[np.ndarray], settings: AuditSettings = SETTINGS) -> StudyAudit:
    complete = [
        {"record_id": f"{number:03}", "path": f"{number:03}.png", "width_px": 64, "height_px": 64, "bytes": 900, **row}
        for number, row in enumerate(rows)
    ]
    manifest = Manifest.from_rows(Path(), complete)
    signatures = Signatures.of({f"{number:03}": signature_of(image) for number, image in enumerate(images)})
    return audit_study(manifest, signatures, find_near_duplicates(manifest, signatures, settings), settings)


def cases(number: int) -> list[dict[str, object]]:
    """Rows of cases with random labels, and sides that have nothing to do with them."""
    generator = np.random.default_rng(0)
    labels, sides = generator.permutation(number) % 2, generator.permutation(number) % 3
    return [
        {"case": str(place), "label": f"class {labels[place]}", "split": ("train", "validation", "test")[sides[place]]}
        for place in range(number)
    ]


def kinds(found: StudyAudit) -> set[str]:
    return {finding.kind for finding in found.findings}


def test_a_clean_study_has_no_findings(draw_texture: Draw) -> None:
    found = audit_of(cases(40), [draw_texture(seed, side_px=48) for seed in range(40)])
    assert found.findings == ()
    assert found.pairs == ()
    assert found.label_check.columns


def test_planted_copies_across_sides_and_labels_are_found(draw_texture: Draw) -> None:
    rows, images = cases(30), [draw_texture(seed) for seed in range(30)]
    train = next(place for place, row in enumerate(rows) if row["split"] == "train")
    rows.append({"case": "copy", "label": "class 7", "split": "test"})
    found = audit_of(rows, [*images, images[train][2:, 2:]])
    assert [pair.record_ids for pair in found.pairs] == [(f"{train:03}", "030")]
    assert kinds(found) >= {
        "near-duplicates",
        "near-duplicates-across-sides",
        "near-duplicates-with-different-labels",
    }


def test_a_scanner_that_gives_the_label_away_is_a_warning_and_brightness_a_note(draw_texture: Draw) -> None:
    rows = cases(40)
    for row in rows:
        row["scanner"] = "A" if row["label"] == "class 0" else "B"
    images = [
        draw_texture(seed, side_px=48) // (2 if row["label"] == "class 0" else 1) for seed, row in enumerate(rows)
    ]
    found = audit_of(rows, images)
    severity = {finding.kind: finding.severity for finding in found.findings}
    assert severity == {"label-told-by-acquisition": "warning", "label-told-by-appearance": "note"}
    message = next(finding.message for finding in found.findings if finding.severity == "warning")
    assert message.startswith(
        "the label can be told from scanner (AUC 1.00, 95 % 1.00 to 1.00): a model can learn where"
    )


def test_a_border_on_one_class_is_a_warning(draw_texture: Draw) -> None:
    rows = cases(40)
    images = [draw_texture(seed, side_px=48) for seed in range(40)]
    for row, image in zip(rows, images, strict=True):
        if row["label"] == "class 1":
            image[:6] = 0
    assert "label-told-by-overlay" in kinds(audit_of(rows, images))


def test_a_side_that_can_be_told_from_sizes_is_a_warning(draw_texture: Draw) -> None:
    rows = cases(40)
    for row in rows:
        row["width_px"] = 80 if row["split"] == "test" else 64
    found = audit_of(rows, [draw_texture(seed, side_px=48) for seed in range(40)])
    assert "side-told-by-file" in kinds(found)


def test_what_the_settings_leave_out_is_not_looked_for(draw_texture: Draw) -> None:
    rows = [{**row, "width_px": 50 if row["label"] == "class 0" else 60} for row in cases(20)]
    settings = AuditSettings(near_duplicates="skip", confounders="skip")
    found = audit_of(rows, [draw_texture(0)] * 20, settings)
    assert found.findings == ()
    assert found.label_check.columns == ()


def test_images_without_labels_or_sides_are_only_compared(draw_texture: Draw) -> None:
    rows: list[dict[str, object]] = [{}, {}]
    found = audit_of(rows, [draw_texture(1), draw_texture(1)[::-1]])
    assert kinds(found) == {"near-duplicates"}
