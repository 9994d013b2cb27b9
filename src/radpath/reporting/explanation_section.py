"""Where the model looked, as a part of the report: pictures, what they mean, and what was checked of them.

In: what ``radpath explain`` wrote, and the small pictures that it names. Out: a ``Section``.
"""

from collections.abc import Mapping
from typing import Final

from radpath.data.findings import counted
from radpath.evaluation.explanations import (
    DEPENDS_BELOW,
    Explained,
    Explanations,
    MapChange,
    MethodExplanations,
    Sanity,
)
from radpath.reporting.blocks import Block, Gallery, Note, Number, Paragraph, Picture, Section, Table

METHOD_TITLES: Final[Mapping[str, str]] = {
    "grad_cam": "Grad-CAM",
    "grad_cam_pp": "Grad-CAM++",
    "hires_cam": "HiResCAM",
    "integrated_gradients": "Integrated gradients",
    "occlusion": "Occlusion",
    "attention_rollout": "Attention rollout",
}

_METHOD_SENTENCES: Final[Mapping[str, str]] = {
    "grad_cam": "Grad-CAM weighs each channel of a feature map by its mean gradient (Selvaraju et al. 2017).",
    "grad_cam_pp": "Grad-CAM++ weighs each channel of a feature map by its positive gradients "
    "(Chattopadhay et al. 2018).",
    "hires_cam": "HiResCAM weighs each position of a feature map by its own gradient (Draelos and Carin 2020).",
    "integrated_gradients": "Integrated gradients add up the gradients on the way from an image with nothing to see "
    "(Sundararajan et al. 2017).",
    "occlusion": "Occlusion hides one square after the other, and shows where that lowers the score of the class "
    "(Zeiler and Fergus 2014).",
    "attention_rollout": "Attention rollout follows a transformer's attention through all blocks "
    "(Abnar and Zuidema 2020); it is the same for every class.",
}

_CAUTION: Final = (
    "A map shows which places raised the score of a class in this network. It is no outline of a lesion, and a "
    "plausible map does not show that a decision is right, nor that it was made for the right reason."
)


def picture_names(found: Explanations) -> tuple[str, ...]:
    """Return the paths, below the run, of the pictures that the section shows."""
    return tuple(one.picture for method in found.methods for one in method.shown)


def explanation_section(found: Explanations, pictures: Mapping[str, bytes]) -> Section:
    """Return the section; pictures that are not there any more are left out, which it says."""
    blocks: list[Block] = [Note(text=_CAUTION)]
    for method in found.methods:
        blocks += _method_blocks(method, pictures)
    return Section(anchor="explanation", title="Where the model looked", blocks=tuple(blocks))


def _method_blocks(method: MethodExplanations, pictures: Mapping[str, bytes]) -> list[Block]:
    blocks: list[Block] = [Paragraph(text=_method_text(method))]
    there = [one for one in method.shown if one.picture in pictures]
    if there:
        caption = (
            f"{METHOD_TITLES[method.method]}: the image as the network saw it and, below it, the evidence for the "
            "class, from violet (none) to yellow (the most of this image)."
        )
        shown = tuple(_picture(one, method.method, pictures[one.picture]) for one in there)
        blocks.append(Gallery(caption=caption, pictures=shown))
    if len(there) < len(method.shown):
        missing = counted(len(method.shown) - len(there), "picture")
        blocks.append(Note(text=f"{missing} of {METHOD_TITLES[method.method]} cannot be found; run radpath explain."))
    if method.sanity is not None:
        blocks += _sanity_blocks(method.method, method.sanity)
    return blocks


def _method_text(method: MethodExplanations) -> str:
    sentences = [_METHOD_SENTENCES[method.method]]
    if method.layers:
        sentences.append(f"It was read behind {_joined(method.layers)}.")
    sentences.append(f"{counted(method.num_explained, 'image')} explained.")
    if method.num_without_evidence:
        sentences.append(f"In {method.num_without_evidence} of them nothing was found that speaks for the class.")
    return " ".join(sentences)


def _joined(layers: tuple[str, ...]) -> str:
    """Return the stages in words.

    >>> _joined(("stage2", "stage3", "stage4"))
    'stage2, stage3 or stage4, the deepest that still tells the places of an image of its size apart'
    """
    if len(layers) == 1:
        return layers[0]
    named = f"{', '.join(layers[:-1])} or {layers[-1]}"
    return f"{named}, the deepest that still tells the places of an image of its size apart"


def _picture(one: Explained, method: str, content: bytes) -> Picture:
    truth = "truth unknown" if one.truth is None else f"truth {one.truth}"
    evidence = f"evidence for {one.explained_class}"
    if not one.has_evidence:
        evidence = f"no evidence for {one.explained_class} found"
    lines = (one.record_id, f"{truth}, decided {one.decision}", f"{evidence} (probability {one.probability:.2f})")
    alternative = f"{one.record_id} beside its map by {METHOD_TITLES[method]}: {evidence}; {lines[1]}"
    return Picture(picture=content, alternative=alternative, lines=lines)


def _sanity_blocks(method: str, sanity: Sanity) -> list[Block]:
    title = METHOD_TITLES[method]
    rows = tuple(_change_row(change) for change in sanity.changes)
    table = Table(
        name=f"explanation-check-{method.replace('_', '-')}",
        caption=f"{title}: how alike its maps stay when weights are drawn anew from the head down "
        f"({counted(sanity.num_images, 'image')}, {counted(sanity.num_cases, 'case')}; "
        f"{sanity.confidence:.0%} intervals by case).",
        columns=("Random down to", "Rank correlation with the trained network's maps", "Structural similarity"),
        rows=rows,
    )
    verdict = sanity_sentence(method, sanity)
    return [table, Paragraph(text=verdict) if sanity.depends_on_weights else Note(text=verdict, kind="warning")]


def _change_row(change: MapChange) -> tuple[str | Number, ...]:
    correlation, note = change.rank_correlation, ""
    if change.num_constant:
        note = f"{counted(change.num_constant, 'map')} without ranks, the same number everywhere, left out"
    ranks = Number(
        text="none" if correlation is None else f"{correlation:.2f}",
        value=correlation,
        low=change.low,
        high=change.high,
        note=note,
    )
    alike = Number(
        text="none" if change.similarity is None else f"{change.similarity:.2f}", value=change.similarity, note=""
    )
    return change.down_to, ranks, alike


def sanity_sentence(method: str, sanity: Sanity) -> str:
    """Return what the check says, and what it does not say."""
    title, last = METHOD_TITLES[method], sanity.changes[-1].rank_correlation
    edges = ""
    if sanity.edges is not None:
        edges = f" With the edges in the images, which need no network, the maps correlate by {sanity.edges:.2f}."
    if last is None:
        return f"With all weights random, {title} gave maps without ranks, so that nothing can be compared.{edges}"
    found = f"with all weights random, its maps correlate by {last:.2f} with those of the trained network"
    if sanity.depends_on_weights:
        return (
            f"{title} passes: {found}, and below {DEPENDS_BELOW} they count as depending on what was learned (Adebayo "
            f"et al. 2018). Every explanation must pass this; it does not show that these are right.{edges}"
        )
    return (
        f"{title} fails: {found}. From {DEPENDS_BELOW} on maps show the images more than what was learned (Adebayo et "
        f"al. 2018); choose another method.{edges}"
    )
