"""Reading a table of labels, and finding its columns."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.inputs import DataSettings
from radpath.data.label_table import Columns, LabelTable, choose_columns, read_label_table
from radpath.errors import DataError

IMAGES = {"a.png": "a.png", "b.png": "b.png", "a": "a.png", "b": "b.png", "1": "1.png", "2": "2.png"}


def table_of(text: str) -> LabelTable:
    header, *rows = [line.split(",") for line in text.split()]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(header)}
    return LabelTable(source=Path("labels.csv"), columns=columns, line_numbers=list(range(2, len(rows) + 2)))


def choose(text: str, *, cases_in_names: bool = False, **columns: str) -> Columns:
    given_settings = DataSettings.model_validate({"images": Path("images"), **columns})
    return choose_columns(table_of(text), given_settings, IMAGES.get, cases_in_names=cases_in_names)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_separators_byte_order_marks_and_line_ends_are_understood(
    tmp_path: Path, separator: str, encoding: str, newline: str
) -> None:
    path = tmp_path / "labels.csv"
    lines = [separator.join(cells) for cells in (["file", "label"], [" é.png ", "007"], ["", ""], ["b.png", "NA"])]
    path.write_bytes(newline.join(lines).encode(encoding))
    table = read_label_table(path)
    assert table.columns == {"file": ["é.png", "b.png"], "label": ["007", "NA"]}
    assert table.line_numbers == [2, 4]


@given(st.lists(st.tuples(st.text("ab,;\t\"\n é'", min_size=1), st.text('x"\n,')), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_whatever_the_csv_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("table") / "labels.csv"
    written = io.StringIO(newline="")
    csv.writer(written).writerows([("file", "label"), *rows])
    path.write_bytes(written.getvalue().encode())
    told = [(file.strip(), label.strip()) for file, label in rows if (file + label).strip()]
    if not told:
        with pytest.raises(DataError, match="has no rows"):
            read_label_table(path)
        return
    table = read_label_table(path)
    assert list(zip(table.columns["file"], table.columns["label"], strict=True)) == told


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"labels.csv has no rows; it needs a line of column names and one line for each image or case$"),
        (b"file,label\n\n", r"has no rows"),
        (
            b"file,label\na,b\nc\n",
            r"line 3 has 1 cells and the header 2; put texts that hold the separator into double",
        ),
        (b"file,label\na,b,c\n", r"line 2 has 3 cells and the header 2"),
        (b"file,label,label\na,b,c\n", r"has two columns 'label'; rename one$"),
        (b'file,label\n"a"b,c\n', r"line 2 is not CSV: "),
        (b'file,label\n"a,c\n', r"line 2 is not CSV: unexpected end of data$"),
        ("file,label\né,b\n".encode("latin-1"), r"is not UTF-8 \(byte 11\); save it as CSV in UTF-8$"),
        ("file,label\né,b\n".encode("utf-16"), r"is not UTF-8 \(byte 0\)"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_label_table(path)


def test_a_missing_table_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^there is no table of labels .*none.csv$"):
        read_label_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"cannot be read: Is a directory$"):
        read_label_table(tmp_path)


def test_columns_without_a_name_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(",file,label,\n0,a.png,x,\n", encoding="utf-8")
    assert read_label_table(path).columns == {"file": ["a.png"], "label": ["x"]}


@pytest.mark.parametrize(
    "path", ["path", "File", "Image Path", "image_id", "imagePath", "img", "Image Index", "filename"]
)
@pytest.mark.parametrize("label", ["label", "Class", "diagnosis", "dx", "Ground Truth"])
def test_well_known_names_are_found(path: str, label: str) -> None:
    table = LabelTable(
        source=Path("labels.csv"),
        columns={path: ["a.png"], label: ["x"], "Patient ID": ["7"], "Split": ["test"], "age": ["60"]},
        line_numbers=[2],
    )
    chosen = choose_columns(table, DataSettings(images=Path("images")), IMAGES.get, cases_in_names=False)
    assert chosen == Columns(path=path, label=label, case="Patient ID", split="Split")


def test_settings_go_before_well_known_names() -> None:
    text = "file,key,label,kind,patient,exam,split,side\nx,a,0,benign,1,2,test,train"
    chosen = choose(text, path_column="key", label_column="kind", case_column="exam", split_column="side")
    assert chosen == Columns(path="key", label="kind", case="exam", split="side")


def test_an_empty_setting_ignores_a_column() -> None:
    chosen = choose("file,label,patient,fold\na.png,x,1,0", case_column="", split_column="")
    assert chosen == Columns(path="file", label="label", case=None, split=None)


def test_the_column_whose_texts_name_images_holds_the_path() -> None:
    assert choose("age,key,label\n60,a,x\n61,b,y\n62,c,z").path == "key"


def test_a_column_of_labels_is_not_taken_for_paths() -> None:
    assert choose("label,key\n1,a\n2,b").path == "key"
    with pytest.raises(DataError, match=r"no column is known to hold the image, or name the cases"):
        choose("label,age\n1,60\n2,61")


def test_a_few_matching_texts_are_no_path_column() -> None:
    with pytest.raises(DataError, match=r"choose with --set data.path_column=NAME; its columns: ward, label$"):
        choose("ward,label\n1,x\n7,y\n8,z")


def test_a_known_path_column_that_names_no_image_is_shown() -> None:
    with pytest.raises(DataError, match=r"to hold the image \('z.png' names none, or several\), or name the cases"):
        choose("file,label\nz.png,x")


def test_columns_that_say_the_same_are_not_ambiguous() -> None:
    assert choose("image_id,path,label,class\na,a.png,x,x\nb,b.png,y,y") == Columns(
        path="image_id", label="label", case=None, split=None
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "file,label,grade\na.png,x,1",
            r"columns label and grade could each be the label; .* data.label_column=label;",
        ),
        ("file,label,patient,exam\na.png,x,1,2", r"columns patient and exam could each be the case"),
        ("path,image,label\na,b,x", r"columns path and image could each be the path; .*: path, image, label$"),
        ("key,twin,label\na,b,x", r"columns key and twin could each be the path"),
    ],
)
def test_an_ambiguous_column_is_an_error_that_names_the_setting(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose(text)


def test_a_missing_label_column_lists_the_columns() -> None:
    message = (
        r"^labels.csv: no column is known to hold the label; choose with --set data.label_column=NAME; its columns: "
    )
    with pytest.raises(DataError, match=message + "file, age$"):
        choose("file,age\na.png,60")


def test_a_column_that_is_set_and_not_there_is_an_error() -> None:
    with pytest.raises(DataError, match=r"no column 'kind' \(data.label_column\); its columns: file, label$"):
        choose("file,label\na.png,x", label_column="kind")


def test_a_table_of_cases_needs_names_that_tell_cases() -> None:
    text = "case,label\n1,x\n2,y"
    assert choose(text, cases_in_names=True) == Columns(path=None, label="label", case="case", split=None)
    assert choose(text).path == "case"  # without them, the case is the only column whose texts name images
    with pytest.raises(DataError, match=r"or name the cases with data.name_pattern"):
        choose(text, path_column="")
