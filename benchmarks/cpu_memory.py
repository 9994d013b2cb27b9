"""How much keeping freed memory in the process saves: one training step with and without, in turn, same run.

Usage: python benchmarks/cpu_memory.py [--rounds 5]
"""

import argparse
import os
import statistics
import subprocess
import sys

_STEP = """
import sys, time
import torch
from radpath.models.backbones import BackboneSettings, build_backbone
from radpath.training.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
backbone = build_backbone(BackboneSettings()).eval()
images = torch.rand(32, 3, 192, 192).contiguous(memory_format=torch.channels_last)
sizes = torch.full((32,), 192)
began = 0.0
for step in range(4):
    if step == 1:
        began = time.perf_counter()
    backbone(images, sizes, sizes).sum().backward()
print((time.perf_counter() - began) / 3)
"""


def seconds(kind: str) -> float:
    """Return the seconds of one training step in a fresh process."""
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    answer = subprocess.run(
        [sys.executable, "-c", _STEP, kind], env=environment, capture_output=True, text=True, check=True
    )
    return float(answer.stdout)


def main() -> None:
    """Print the median of each and the median of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    pairs = [(seconds("give"), seconds("keep")) for _ in range(rounds)]
    give, keep = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(first / second for first, second in pairs)
    print(f"default allocator {give:.2f} s a step, keeping freed memory {keep:.2f} s: {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
