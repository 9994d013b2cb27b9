"""Which share of the evidence lies inside a planted marker that alone decides the class, by method.

    python benchmarks/explanation.py --backbone simple_cnn

The images are those of ``radpath.data.synthetic.marker``: both classes have the same marker but for its inside, and
sharper edges around it. Beside each method stand what chance gives, which is the marker's area, and a plain edge
detector. The network is trained here; shares are of images that it has not seen.
"""

import argparse
import datetime as dt
import platform
from pathlib import Path

import numpy as np
import torch
from torch import nn

from radpath.data.batches import Batch
from radpath.data.synthetic.marker import MarkedImages, draw_marked
from radpath.evaluation.explanations import edges_of, peak_is_inside, share_inside
from radpath.explanation.maps import make_explainer, possible_methods
from radpath.explanation.settings import ExplanationSettings
from radpath.models.classifier import Classifier, ModelSettings, build_classifier

RESULTS = Path(__file__).parent / "results"


def batch_of(drawn: MarkedImages) -> Batch:
    """Return drawn images as a network takes them."""
    count, side = drawn.images.shape[:2]
    return Batch(
        images=torch.from_numpy(drawn.images).permute(0, 3, 1, 2).float() / 255,
        heights_px=torch.full((count,), side),
        widths_px=torch.full((count,), side),
        labels=torch.from_numpy(drawn.labels),
        positions=np.arange(count),
    )


def learn(model: Classifier, batch: Batch, *, steps: int) -> None:
    """Train on all images in turn, 32 at a time."""
    model.train()
    descend = torch.optim.Adam([one for one in model.parameters() if one.requires_grad], lr=3e-3)
    for step in range(steps):
        some = torch.arange(32 * step, 32 * step + 32) % len(batch.labels)
        descend.zero_grad()
        logits = model(batch.images[some], batch.heights_px[some], batch.widths_px[some])
        nn.functional.cross_entropy(logits, batch.labels[some]).backward()  # type: ignore[no-untyped-call] # PyTorch's
        descend.step()
    model.eval()


def row(name: str, found: list[np.ndarray], drawn: MarkedImages) -> str:
    """Return a line of the table; an image without evidence counts as none inside."""
    pairs = list(zip(found, drawn.markers, strict=True))
    shares = [share_inside(one, marker) or 0.0 for one, marker in pairs]
    peaks = [bool(peak_is_inside(one, marker)) for one, marker in pairs]
    return f"| {name} | {np.mean(shares):.2f} | {np.mean(peaks):.2f} |"


def main() -> None:
    """Train, explain, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--side-px", type=int, default=128)
    parser.add_argument("--marker-px", type=int, default=40)
    parser.add_argument("--train", type=int, default=800)
    parser.add_argument("--test", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    size = {"side_px": given.side_px, "marker_px": given.marker_px}
    drawn = draw_marked(given.test, seed=1, **size)
    bundled = given.backbone == "tf_efficientnet_lite0"
    weights = {"weights": "bundled"} if bundled else {"weights": "none", "norm_statistics": "batch"}
    model = build_classifier(
        ModelSettings.model_validate({"backbone": given.backbone, **weights}), num_classes=2, seed=1
    )
    learn(model, batch_of(draw_marked(given.train, **size)), steps=given.steps)
    test = batch_of(drawn)
    with torch.no_grad():
        decided = model(test.images, test.heights_px, test.widths_px).argmax(dim=1)
    accuracy = float((decided == test.labels).float().mean())
    lines = ["| method | share of the evidence inside | peak inside |", "|---|---|---|"]
    for method in possible_methods(model):
        explainer = make_explainer(model, ExplanationSettings(method=method))
        lines.append(row(method, list(explainer.maps(test, test.labels.tolist())), drawn))
    lines.append(row("edge detector", [edges_of(image) for image in drawn.images], drawn))
    lines.append(f"| chance (the marker's area) | {drawn.markers.mean():.2f} | {drawn.markers.mean():.2f} |")
    told = (
        f"{given.backbone}, {given.side_px} px, marker {given.marker_px} px, {given.train} training images, "
        f"{given.steps} steps; accuracy on {given.test} unseen images {accuracy:.2f}."
    )
    machine = f"{platform.machine()}, {platform.processor() or 'CPU'}, torch {torch.__version__}"
    command = f"python benchmarks/explanation.py --backbone {given.backbone} --side-px {given.side_px} "
    command += f"--marker-px {given.marker_px} --train {given.train} --test {given.test} --steps {given.steps}"
    text = "\n".join(["# Evidence inside a planted marker", "", told, "", *lines, "", f"`{command}`; {machine}", ""])
    print(text)
    date = dt.datetime.now(tz=dt.UTC).date().isoformat()
    (RESULTS / f"explanation-{given.backbone}-{date}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
