"""Small rules of files and sockets: names, frames, ids, relayed messages."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from services.domain.errors import InvalidInput, NotFound
from services.queue_manager.files.paths import checked_name, inside
from services.queue_manager.frames import binary_frame, text_frame
from services.queue_manager.relaying import decode_messages
from services.queue_manager.streams import event_of, parse_id, spell_id


@settings(deadline=None)
@given(st.text())
def test_a_name_that_passes_stays_inside_its_folder(name: str) -> None:
    try:
        checked_name(name, "name")
    except InvalidInput as refused:
        assert refused.message.startswith("The name ")
        return
    folder = Path("/data/inputs")
    assert (folder / name).resolve().is_relative_to(folder)
    assert "\0" not in name
    assert ".." not in Path(name).parts


@pytest.mark.parametrize("name", ["a.png", "sub/folder/a b.png", "ümläut 漢字.png", "..a", "a..b", "-rf", ".hidden"])
def test_ordinary_names_pass(name: str) -> None:
    assert checked_name(name, "name") == name


def test_a_file_is_found_only_where_it_really_lies(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("a")
    (tmp_path / "secret").write_text("s")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "way").symlink_to(tmp_path)
    assert inside(folder, "sub/a").read_text() == "a"
    for name in ("link", "way/secret", "sub", "missing", "../secret"):
        with pytest.raises(NotFound):
            inside(folder, name)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200_000])
def test_frames_are_what_a_websocket_library_reads(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    for frame, opcode in ((text_frame(payload[:size]), Opcode.TEXT), (binary_frame(payload[:size]), Opcode.BINARY)):
        reader = StreamReader()
        reader.feed_data(frame)
        reader.feed_eof()
        parsing = _parse(reader)
        assert (parsing.opcode, parsing.data, parsing.fin) == (opcode, payload[:size], True)


def _parse(reader: StreamReader) -> Frame:
    generator = Frame.parse(reader.read_exact, mask=False)
    try:
        next(generator)
    except StopIteration as end:
        frame: Frame = end.value
        return frame
    raise AssertionError("the frame is longer than it says")


@pytest.mark.parametrize("text", ["1-0", "1767225600000-12", "0", "5"])
def test_ids_are_read_as_redis_spells_them(text: str) -> None:
    assert spell_id(parse_id(text)) == (text if "-" in text else f"{text}-0")


@pytest.mark.parametrize("text", ["", "-", "x", "1-x", "-1", "1.5", "$", "9" * 30, "٣"])
def test_what_is_no_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match="1767225600000-0"):
        parse_id(text)


def test_an_event_is_json_with_everything_in_it() -> None:
    fields = {b"type": b"job.failed", b"job": b"some-id", b"at": b"12", b"data": b'{"error":{}}'}
    event = event_of("events:anna", b"7-1", fields)
    assert json.loads(event.body) == {
        "id": "7-1",
        "type": "job.failed",
        "job": "some-id",
        "participant": "anna",
        "at": 12,
        "data": {"error": {}},
    }
    assert event.lines == b"id: 7-1\ndata: " + event.body + b"\n\n"
    room = json.loads(event_of("room-events", b"7-2", {b"type": b"room.paused", b"job": b"", b"at": b"1"}).body)
    assert (room["participant"], room["job"], room["data"]) == (None, None, {})


def test_messages_are_passed_on_as_they_came() -> None:
    body = b'[{"type":"progress","data":{"b":1.50, "a":"\xc3\xa4"}},{"type":"status"}]'
    assert decode_messages(body) == [
        b'{"message":"progress","data":{"b":1.50, "a":"\xc3\xa4"}}',
        b'{"message":"status","data":{}}',
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b'[{"type":"x","data":[]}]',
        b'[{"type":"","data":{}}]',
        b'[{"type":"x","more":1}]',
        b'[{"data":{}}]',
        b'[{"type":"x","data":{"a":NaN}}]',
        b'[{"type":"x","data":{"a":"\xff"}}]',
        b'[{"type":"x","data":{"a":"\\ud800"}}]',
        b'[{"type":"' + b"x" * 101 + b'"}]',
        b"[" + b'{"type":"x"},' * 1000 + b'{"type":"x"}]',
        b"[" * 100_000,
    ],
)
def test_what_is_no_list_of_messages_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode_messages(body)
    assert refused.value.message.endswith(".")
