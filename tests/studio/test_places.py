"""Which folders may be seen, and what may be sent."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import DataError
from headstart.studio.limits import Limits
from headstart.studio.places import Places
from headstart.studio.uploads import Uploads, data_in, safe_path, unpack

SMALL = Limits(spare_bytes=0)


def test_a_folder_lists_folders_first_and_says_what_is_data(studio):
    for name in ("b", "a", ".hidden"):
        (studio.root / name).mkdir()
    (studio.root / "t.csv").write_text("x,y\n1,2\n")
    (studio.root / "notes.doc").write_text("")
    found = studio.ask("GET", "/api/files").json()
    assert [(one["name"], one["kind"], one["usable"]) for one in found["entries"]] == [
        ("a", "folder", True),
        ("b", "folder", True),
        ("notes.doc", "file", False),
        ("t.csv", "file", True),
    ]
    assert found["parent"] is None
    below = studio.ask("GET", "/api/files", params={"path": str(studio.root / "a")}).json()
    assert below["parent"] == str(studio.root)
    assert [one["name"] for one in below["trail"]] == [studio.root.name, "a"]


def test_nothing_outside_the_root_is_reached(studio, tmp_path):
    (tmp_path / "secret").mkdir()
    (studio.root / "way-out").symlink_to(tmp_path / "secret")
    for path in (
        "/",
        str(tmp_path),
        str(studio.root / ".."),
        str(studio.root / "../secret"),
        str(studio.root / "way-out"),
        str(studio.home / "jobs"),
        "/etc",
        "~root",
        "a\0b",
        " ",
    ):
        for answer in (
            studio.ask("GET", "/api/files", params={"path": path}),
            studio.ask("POST", "/api/looks", json={"data": path}),
            studio.ask("POST", "/api/jobs", json={"data": path}),
        ):
            assert answer.status_code in (404, 422), path
            assert "error" in answer.json()
    assert not list((studio.home / "jobs").glob("*-*"))


def test_a_long_folder_is_cut(make_studio):
    studio = make_studio(listed=3)
    for number in range(5):
        (studio.root / f"{number}").mkdir()
    found = studio.ask("GET", "/api/files").json()
    assert (len(found["entries"]), found["more"]) == (3, 2)


def test_a_file_name_of_any_bytes_is_listed(studio):
    os.close(os.open(os.fsencode(studio.root) + b"/\xff\xfe.csv", os.O_CREAT))
    (studio.root / "<img src=x onerror=alert(1)>.csv").write_text("")
    found = studio.ask("GET", "/api/files")
    assert found.status_code == 200
    assert "<img src=x onerror=alert(1)>.csv" in [one["name"] for one in found.json()["entries"]]


def test_a_file_is_no_folder(studio):
    (studio.root / "t.csv").write_text("a\n1\n")
    answer = studio.ask("GET", "/api/files", params={"path": str(studio.root / "t.csv")})
    assert answer.status_code == 422


@given(name=st.text(max_size=40))
@settings(deadline=None, derandomize=True, max_examples=200)
def test_no_name_leads_out_of_its_folder(name):
    try:
        path = safe_path(name, SMALL)
    except DataError:
        return
    inside = Path("/folder").joinpath(*path.parts)
    assert os.path.normpath(inside) == str(inside)
    assert str(inside).startswith("/folder/")


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/x",
        "a//b",
        "",
        "C:/x",
        "a\\..\\b",
        "a\nb",
        "x/" * 20 + "y",
        "\ud800",
    ],
)
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(DataError, match="under this name"):
        safe_path(name, SMALL)


def test_hostile_names_that_are_only_names_are_kept():
    for name in ("a/<b>'\"&.png", "a/..b.png", "a/ü 猫.png", "a/$(rm -rf).png", "a/--help.png"):
        assert str(safe_path(name, SMALL)) == name


def test_an_upload_is_kept_and_read(studio):
    begun = studio.ask("POST", "/api/uploads", json={"files": 2, "bytes": 20}).json()["upload"]
    for name in ("pets/cat/1.txt", "pets/dog/<b>.txt"):
        answer = studio.ask("PUT", f"/api/uploads/{begun}", params={"name": name}, content=b"abc")
        assert answer.status_code == 201
    assert not studio.ask("GET", "/api/files").json()["entries"]
    ended = studio.ask("POST", f"/api/uploads/{begun}/end").json()["path"]
    assert Path(ended).name == "pets"
    assert (Path(ended) / "dog" / "<b>.txt").read_bytes() == b"abc"
    again = studio.ask("POST", f"/api/uploads/{begun}/end")
    assert again.status_code == 404


def test_an_upload_beyond_the_limits_is_refused(make_studio):
    studio = make_studio(file_bytes=10, upload_bytes=15, files=2)
    assert studio.ask("POST", "/api/uploads", json={"files": 3, "bytes": 1}).status_code == 422
    assert studio.ask("POST", "/api/uploads", json={"files": 1, "bytes": 16}).status_code == 422
    begun = studio.ask("POST", "/api/uploads", json={"files": 1, "bytes": 1}).json()["upload"]

    def put(name, size):
        return studio.ask(
            "PUT", f"/api/uploads/{begun}", params={"name": name}, content=b"x" * size
        ).status_code

    assert put("large", 11) == 422
    assert put("a/b", 4) == 201
    assert put("a/b", 1) == 422  # sent twice, and the third file
    gone = studio.ask("DELETE", f"/api/uploads/{begun}")
    assert gone.json() == {"dropped": True}
    assert studio.ask("DELETE", f"/api/uploads/{begun}").json() == {"dropped": False}
    assert not list((studio.home / "uploads").iterdir())
    assert studio.ask("PUT", "/api/uploads/../../x", content=b"").status_code in (404, 405)


def test_a_request_that_is_too_long_is_refused(studio):
    answer = studio.ask("POST", "/api/looks", json={"data": "x" * 100_000})
    assert answer.status_code == 413


def test_what_is_not_known_is_refused(studio):
    for body in ({"data": "x", "more": 1}, {}, {"data": 3}, {"data": "x", "shots": 0}):
        assert studio.ask("POST", "/api/jobs", json=body).status_code == 422


def test_looks_and_fits_take_what_the_page_sends(studio, monkeypatch):
    monkeypatch.setattr("headstart.studio.jobs.Jobs._run", lambda self, job: None)
    path = studio.root / "t.csv"
    path.write_text("a,b\n1,2\n")
    columns = {"label": "a", "text": "b", "group": "a", "name": "T"}
    for where, more in (
        ("looks", {}),
        ("jobs", {"budget": "2m", "metric": None, "seed": 0, "shots": 3, "max_risk": 0.05}),
    ):
        body = {"data": str(path), **columns, **more}
        job = studio.ask("POST", f"/api/{where}", json=body).json()["job"]
        facts = studio.ask("GET", f"/api/jobs/{job}").json()
        assert {key: facts[key] for key in columns} == columns


def archive(path: Path, members: dict[str, bytes], **more: object) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = int(more.get("mode", stat.S_IFREG | 0o644)) << 16
            made.writestr(info, content)
    return path


def test_an_archive_is_unpacked(tmp_path):
    packed = archive(
        tmp_path / "a.zip", {"pets/cat/1.txt": b"1", "pets/dog/2.txt": b"2", "e/": b""}
    )
    unpack(packed, tmp_path / "out", SMALL)
    assert (tmp_path / "out/pets/dog/2.txt").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/x", "a/../../b", "a\\b", "C:/x"])
def test_an_archive_that_leads_out_is_refused_whole(tmp_path, name):
    packed = archive(tmp_path / "a.zip", {"fine.txt": b"1", name: b"2"})
    with pytest.raises(DataError):
        unpack(packed, tmp_path / "out", SMALL)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.zip"]


def test_links_locked_files_and_twins_in_an_archive_are_refused(tmp_path):
    link = archive(tmp_path / "l.zip", {"x": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    with pytest.raises(DataError, match="no plain file"):
        unpack(link, tmp_path / "out", SMALL)
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as twins:
        twins.writestr("x", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            twins.writestr("x", b"2")
    with pytest.raises(DataError, match="twice"):
        unpack(tmp_path / "t.zip", tmp_path / "out", SMALL)
    locked = bytearray(archive(tmp_path / "p.zip", {"x": b"1"}).read_bytes())
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(sign) + place] |= 1
    (tmp_path / "p.zip").write_bytes(locked)
    with pytest.raises(DataError, match="password"):
        unpack(tmp_path / "p.zip", tmp_path / "out", SMALL)


def test_bombs_are_not_unpacked(tmp_path):
    bomb = archive(tmp_path / "b.zip", {"zeros": bytes(30_000_000)})
    with pytest.raises(DataError, match="too much"):
        unpack(bomb, tmp_path / "out", SMALL)
    lying = bytearray(archive(tmp_path / "c.zip", {"zeros": bytes(300_000)}).read_bytes())
    for sign, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # the sizes it promises
        at = lying.index(sign) + place
        lying[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "c.zip").write_bytes(lying)
    with pytest.raises(DataError):
        unpack(tmp_path / "c.zip", tmp_path / "out", SMALL)
    many = archive(tmp_path / "m.zip", {str(n): b"" for n in range(30)})
    with pytest.raises(DataError, match="too many"):
        unpack(many, tmp_path / "out", Limits(files=20, spare_bytes=0))


def test_a_file_that_is_no_archive_is_told(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"this is no archive")
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(tmp_path / "a.zip", tmp_path / "out", SMALL)


def sent(uploads: Uploads, name: str, content: bytes) -> Path:
    async def body():
        yield content

    upload = uploads.begin(1, len(content))
    asyncio.run(uploads.receive(upload, name, body()))
    return uploads.end(upload)


def test_a_zip_that_is_sent_is_read_as_a_folder(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr("cat/1.png", b"x")
        made.writestr("dog/1.png", b"x")
    found = sent(Uploads(tmp_path / "up", SMALL), "pets.zip", packed.getvalue())
    assert sorted(one.name for one in found.iterdir()) == ["cat", "dog"]
    uploads = Uploads(tmp_path / "up", SMALL)
    with pytest.raises(DataError):
        sent(uploads, "bad.zip", b"PK no")
    assert [one.name for one in (tmp_path / "up").iterdir()] == [found.parent.name]


def test_a_table_that_is_sent_is_read_as_a_file(tmp_path):
    found = sent(Uploads(tmp_path / "up", SMALL), "t.csv", b"a,b\n1,2\n")
    assert found.name == "t.csv"


def test_a_single_class_does_not_lose_its_name(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/1.png").write_bytes(b"")
    assert data_in(tmp_path) == tmp_path


def test_a_full_disk_is_told(tmp_path):
    uploads = Uploads(tmp_path / "up", Limits(spare_bytes=2**60))
    with pytest.raises(DataError, match="too full"):
        uploads.begin(1, 1)


def test_a_root_that_is_the_whole_disk_works():
    assert Places((Path("/"),)).listing("/", 5)["parent"] is None


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_told_and_thrown_away(tmp_path, method):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as made:
        made.writestr("a/1.txt", os.urandom(3000))
    damaged = bytearray(packed.getvalue())
    damaged[40:400] = b"\xff" * 360
    uploads = Uploads(tmp_path / "u", SMALL)
    with pytest.raises(DataError, match="cannot be unpacked"):
        sent(uploads, "a.zip", bytes(damaged))
    assert not list((tmp_path / "u").iterdir())


def test_half_a_file_is_not_kept_and_may_be_sent_again(tmp_path):
    async def broken():
        yield b"1"
        raise ConnectionError

    async def whole():
        yield b"123"

    uploads = Uploads(tmp_path / "u", SMALL)
    upload = uploads.begin(1, 3)
    with pytest.raises(DataError):
        asyncio.run(uploads.receive(upload, "a.csv", broken()))
    asyncio.run(uploads.receive(upload, "a.csv", whole()))
    assert uploads.end(upload).read_bytes() == b"123"


def test_an_upload_that_is_dropped_while_it_comes_is_told(tmp_path):
    uploads = Uploads(tmp_path / "u", SMALL)
    upload = uploads.begin(1, 3)

    async def body():
        uploads.drop(upload)
        yield b"1"

    with pytest.raises(DataError, match="no such upload"):
        asyncio.run(uploads.receive(upload, "a.csv", body()))
