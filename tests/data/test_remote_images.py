"""Images and labels in a real object store (S3), which the test starts on this machine."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from polars.testing import assert_frame_equal

from radpath.data.ingest import verify
from radpath.data.inputs import DataSettings
from radpath.data.labels import attach_labels
from radpath.data.location import RemotePath
from radpath.data.scan import scan
from radpath.data.split import SplitSettings, split_by_case
from radpath.data.synthetic import SyntheticStudy
from radpath.errors import DataError

server = pytest.importorskip("moto.server", reason="the extra dev brings moto")
pytest.importorskip("s3fs", reason="the extra remote brings s3fs")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The address of an empty bucket; who may read it is configured outside of the address, as it always is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        store = server.ThreadedMotoServer(port=0, verbose=False)
        store.start()
        host, port = store.get_host_and_port()
        patch.setitem(fsspec.config.conf, "s3", {"endpoint_url": f"http://{host}:{port}"})
        fsspec.filesystem("s3").mkdir("hospital")
        yield "s3://hospital"
        store.stop()


@pytest.fixture(scope="module")
def study(bucket: str, small_study: SyntheticStudy) -> RemotePath:
    """The drawn study with its table of labels, in the bucket."""
    filesystem = fsspec.filesystem("s3")
    for path in sorted(small_study.images.rglob("*")):
        if path.is_file():
            key = f"hospital/study/images/{path.relative_to(small_study.images).as_posix()}"
            filesystem.pipe_file(key, path.read_bytes())
    filesystem.pipe_file("hospital/study/labels.csv", small_study.labels.read_bytes())
    return RemotePath(f"{bucket}/study")


def settings_of(study: RemotePath | Path, small_study: SyntheticStudy) -> DataSettings:
    labels = study / "labels.csv" if isinstance(study, RemotePath) else small_study.labels
    images = study / "images" if isinstance(study, RemotePath) else study
    return DataSettings(images=images, labels=labels, name_pattern=small_study.name_pattern)


def test_the_data_half_of_a_run_is_the_same_behind_an_address(
    study: RemotePath, small_study: SyntheticStudy, tmp_path: Path
) -> None:
    tables = []
    for place in (study, small_study.images):
        data = settings_of(place, small_study)
        verified = verify(attach_labels(scan(data), data), data, stores=tmp_path / "pools")
        tables.append(split_by_case(verified, SplitSettings()).manifest.table)
    assert_frame_equal(tables[0], tables[1])
    assert tables[0].filter(status="kept")["pixel_digest"].null_count() == 0


def test_a_second_scan_asks_for_no_object(
    study: RemotePath, small_study: SyntheticStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = settings_of(study, small_study)
    first = scan(data, cache=tmp_path)
    asked: list[str] = []
    read_really = RemotePath.read_range

    def ask(self: RemotePath, start: int, num_bytes: int) -> bytes:
        asked.append(self.name)
        return read_really(self, start, num_bytes)

    monkeypatch.setattr(RemotePath, "read_range", ask)
    assert_frame_equal(scan(data, cache=tmp_path).table, first.table)
    assert asked == []
    name = first.kept["path"][0]
    content = (small_study.images / name).read_bytes()
    fsspec.filesystem("s3").pipe_file(f"hospital/study/images/{name}", content + b"\0")
    scan(data, cache=tmp_path)
    assert set(asked) == {Path(name).name}
    fsspec.filesystem("s3").pipe_file(f"hospital/study/images/{name}", content)


def test_what_is_not_in_the_store_is_one_clear_line(study: RemotePath) -> None:
    with pytest.raises(DataError, match=r"^s3://hospital/none does not exist; give a folder of images"):
        scan(DataSettings(images=study.parent / "none"))
    with pytest.raises(DataError, match=r"^s3://hospital/study/labels.csv is a file; give a folder of images"):
        scan(DataSettings(images=study / "labels.csv"))
    with pytest.raises(DataError, match=r"^s3://hospital/a.npz is an array file behind an address; copy it to this"):
        scan(DataSettings(images=study.parent / "a.npz"))
