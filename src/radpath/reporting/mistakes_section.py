"""The section on failures: the images that the model got most wrong, to be looked at.

In: ``ReportContent``. Out: a section: with two classes false positives and false negatives apart.
"""

from radpath.reporting.blocks import Block, Gallery, Paragraph, Picture, Section
from radpath.reporting.content import Mistake, ReportContent
from radpath.reporting.wording import SIDE_NAMES, reported_sides


def mistakes_section(content: ReportContent) -> Section:
    """Return the worst mistakes, with the map of where the model looked beside each, where there is one."""
    evaluation = content.evaluation
    side = SIDE_NAMES[reported_sides(evaluation)[0].side].lower()
    if not content.mistakes:
        return _section([Paragraph(text=_no_pictures(content, side))])
    maps = " The second picture shows where the model looked." if any(one.overlay for one in content.mistakes) else ""
    text = (
        f"Images of the {side} side to whose true class the model gave the lowest probability, the worst first. Look "
        f"at them: a wrong label, a bad image and a real failure look alike in a table.{maps}"
    )
    positive = evaluation.positive_class
    if positive is None:
        return _section([Paragraph(text=text), _gallery("Most wrong", content.mistakes)])
    missed = tuple(one for one in content.mistakes if one.truth == positive)
    alarms = tuple(one for one in content.mistakes if one.truth != positive)
    negative = next(name for name in evaluation.classes if name != positive)
    groups = (
        (f"False negatives: {positive}, decided {negative}", missed),
        (f"False positives: {negative}, decided {positive}", alarms),
    )
    return _section([Paragraph(text=text), *(_gallery(caption, group) for caption, group in groups)])


def _section(blocks: list[Block]) -> Section:
    return Section(anchor="mistakes", title="Most wrong", blocks=tuple(blocks))


def _no_pictures(content: ReportContent, side: str) -> str:
    if content.data is None:
        return "There are no images to show: the report was made from a table of predictions."
    return f"There are no images to show: no image of the {side} side was decided wrongly."


def _gallery(caption: str, mistakes: tuple[Mistake, ...]) -> Block:
    if not mistakes:
        return Paragraph(text=f"{caption}: none.")
    return Gallery(caption=caption, pictures=tuple(picture for one in mistakes for picture in _pictures(one)))


def _pictures(mistake: Mistake) -> list[Picture]:
    case = [] if mistake.case == mistake.record_id else [f"case {mistake.case}"]
    image = Picture(
        picture=mistake.picture,
        alternative=f"Image {mistake.record_id}: truth {mistake.truth}, decision {mistake.decision}",
        lines=(
            f"{mistake.truth}, decided {mistake.decision}",
            f"probability of truth {mistake.probability_of_truth:.3f}",
            ", ".join([mistake.record_id, *case]),
        ),
    )
    if mistake.overlay is None:
        return [image]
    words = f"Where the model looked in image {mistake.record_id}"
    return [image, Picture(picture=mistake.overlay, alternative=words, lines=("where the model looked",))]
