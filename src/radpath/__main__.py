"""``python -m radpath`` is the same as ``radpath``."""

from radpath.cli.main import run

if __name__ == "__main__":
    run()
