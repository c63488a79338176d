"""Copies are found; what merely looks alike is kept apart."""

import io

import imagehash
import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

from headstart.core.errors import OptionError
from headstart.data.duplicates import codes, duplicate_groups
from headstart.data.near_images import hamming, perceptual_hashes
from headstart.data.near_texts import near_clusters, normalised, shingle_hashes


def photo(seed, size=(96, 80)):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_images_exact_near_and_different(tmp_path):
    files = {
        "a.png": encoded(photo(0)),
        "b.png": encoded(photo(1)),
        "a copy.png": encoded(photo(0)),
        "a small.jpg": encoded(photo(0).resize((48, 40)), "JPEG", quality=60),
        "a brighter.png": encoded(ImageEnhance.Brightness(photo(0)).enhance(1.1)),
        "c.png": encoded(photo(2)),
        "broken.png": encoded(photo(3))[:100],
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    report = duplicate_groups([str(tmp_path / name) for name in files], "image")
    assert report.groups.tolist() == [0, 1, 0, 0, 0, 2, 3]
    assert report.exact == ((0, 2),)
    assert report.near == ((0, 2, 3, 4),)
    assert list(report.unreadable) == [6]
    assert "damaged" in report.unreadable[6]
    assert duplicate_groups(list(files.values()), "image", near=False).near == ()


def test_a_missing_file_is_unreadable_and_alone(tmp_path):
    report = duplicate_groups([tmp_path / "none.png", photo(0), tmp_path / "none2.png"], "image")
    assert report.groups.tolist() == [0, 1, 2]
    assert set(report.unreadable) == {0, 2}


def test_digits_of_eight_pixels_are_not_glued_together():
    digits = load_digits()
    images = [(image * 15.9).astype(np.uint8) for image in digits.images]
    report = duplicate_groups([encoded(Image.fromarray(image)) for image in images], "image")
    assert len(set(report.groups)) == len({image.tobytes() for image in images})


@pytest.mark.parametrize("side", [32, 64, 96])
def test_enlarged_digits_are_not_glued_together(side):
    images = [
        Image.fromarray((image * 15.9).astype(np.uint8)).resize((side, side))
        for image in load_digits().images[:600]
    ]
    report = duplicate_groups(images, "image")
    labels = load_digits().target
    assert len(set(report.groups)) > 0.97 * len(images)
    assert all(len(set(labels[list(cluster)])) == 1 for cluster in report.near)


def test_plain_images_merge_only_when_equal():
    plain = [Image.new("RGB", (100, 100), (level, 128, 128)) for level in (100, 101, 100, 140)]
    assert duplicate_groups(plain, "image").groups.tolist() == [0, 1, 0, 2]
    formats = [encoded(plain[0], "PNG"), encoded(plain[0], "BMP")]
    report = duplicate_groups(formats, "image")
    assert (report.exact, report.near) == ((), ((0, 1),))


def test_the_same_shape_in_another_colour_or_with_a_moved_hand_is_another_image():
    def clock(hand, colour):
        image = np.full((96, 96, 3), 255, np.uint8)
        yy, xx = np.mgrid[:96, :96] - 48
        image[yy**2 + xx**2 < 44**2] = colour
        turn = xx * np.sin(hand) - yy * np.cos(hand)
        aside = xx * np.cos(hand) + yy * np.sin(hand)
        image[(turn > 0) & (turn < 36) & (np.abs(aside) < 3)] = 0
        return image

    hours = [clock(2 * np.pi * hour / 12, (230, 200, 60)) for hour in range(12)]
    assert len(set(duplicate_groups(hours, "image").groups)) == 12
    colours = [clock(0, colour) for colour in ((200, 60, 60), (60, 200, 60), (60, 60, 200))]
    assert len(set(duplicate_groups(colours, "image").groups)) == 3


def test_members_are_compared_with_the_first_so_chains_do_not_grow():
    one, two = (np.asarray(photo(seed)).astype(float) for seed in (0, 1))
    film = [
        Image.fromarray((one + (two - one) * t).astype(np.uint8)) for t in np.linspace(0, 1, 60)
    ]
    report = duplicate_groups(film, "image")
    assert report.groups[0] != report.groups[-1]
    assert len(set(report.groups)) >= 4
    assert report.groups[0] == report.groups[1]


def test_perceptual_hash_is_that_of_imagehash():
    thumbs = [
        photo(seed).convert("L").resize((32, 32), Image.Resampling.LANCZOS) for seed in range(20)
    ]
    ours = perceptual_hashes(np.stack([np.asarray(thumb) for thumb in thumbs]))
    theirs = [imagehash.phash(thumb) for thumb in thumbs]
    assert [f"{value:016x}" for value in ours] == [str(value) for value in theirs]
    assert hamming(ours, ours[3]).tolist() == [value - theirs[3] for value in theirs]


def test_texts():
    texts = [
        "What is the balance of my savings account?",
        "what is the  balance of my savings account",
        "What is the balance of my checking account?",
        "turn on the light",
        "turn off the light",
        "turn on the light",
        ":)",
        ":(",
        "",
        " ",
        "ok",
        "OK!",
    ]
    report = duplicate_groups(texts, "text")
    assert report.groups.tolist() == [0, 0, 1, 2, 3, 2, 4, 5, 6, 6, 7, 7]
    assert report.exact == ((3, 5),)
    assert report.near == ((0, 1), (8, 9), (10, 11))


def test_a_long_text_with_a_changed_word_is_a_near_duplicate_and_with_half_changed_is_not():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghij"), 6)) for _ in range(400)]
    text, changed = words[:100], [*words[:50], "other", *words[51:100]]
    half = words[:50] + words[200:250]
    report = duplicate_groups([" ".join(each) for each in (text, changed, half)], "text")
    assert report.groups.tolist() == [0, 0, 1]


def test_nearly_all_pairs_that_brute_force_finds_are_found():
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), 5)) for _ in range(200)]
    base = [list(rng.choice(words, 30)) for _ in range(60)]
    for each in list(base):
        copy = list(each)
        copy[int(rng.integers(30))] = str(rng.choice(words))
        base.append(copy)
    texts = [" ".join(each) for each in base]
    sets = [set(shingle_hashes([text])[0].tolist()) for text in texts]
    alike = [len(sets[i] & sets[i + 60]) / len(sets[i] | sets[i + 60]) for i in range(60)]
    found = {(head, int(other)) for head, tail in near_clusters(texts) for other in tail}
    wanted = {(i, i + 60) for i in range(60) if alike[i] >= 0.8}
    assert len(wanted) > 40
    assert found == wanted


def test_shingles_of_a_text_do_not_depend_on_its_neighbours():
    texts = ["abc", "abcdefg", "\U0001f600 emoji and \ud800", "", "zzzzzzzzzz"]
    hashes, starts = shingle_hashes(texts)
    for text, part in zip(texts, np.split(hashes, starts[1:]), strict=True):
        assert np.array_equal(part, shingle_hashes([text])[0])
        assert len(part) == max(len(text) - 4, 1)


def test_normalised():
    assert normalised("  Don’t   STOP, now… ") == "dont stop now"
    assert normalised("ﬁne") == "fine"
    assert normalised("C++") != normalised("C#")


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.lists(st.text(alphabet="ab .!", max_size=12), max_size=12))
def test_groups_of_any_texts(texts):
    report = duplicate_groups(texts, "text")
    assert len(report.groups) == len(texts)
    for i, one in enumerate(texts):
        for j, two in enumerate(texts):
            if normalised(one) == normalised(two):
                assert report.groups[i] == report.groups[j]
    assert all(len(set(report.groups[list(c)])) == 1 for c in report.exact + report.near)
    assert sorted(set(report.groups.tolist())) == list(range(len(set(report.groups.tolist()))))


def test_tables_equal_rows_only():
    frame = pd.DataFrame({"a": [1.0, 1.0, np.nan, np.nan, 3.0, 4.0], "b": list("xxyyzz")})
    report = duplicate_groups(frame, "table")
    assert report.groups.tolist() == [0, 0, 1, 1, 2, 3]
    assert report.exact == ((0, 1), (2, 3))
    assert "equal rows" in report.notes[0]


def test_tables_whose_rows_coincide_by_nature_are_not_grouped():
    frame = pd.DataFrame({"a": [0, 1] * 50, "b": [0, 1] * 50})
    report = duplicate_groups(frame, "table")
    assert len(set(report.groups)) == 100
    assert "98 of 100 rows" in report.notes[1]


def test_tables_of_odd_columns():
    frame = pd.DataFrame({"a": [[1, 2], [1, 2], [3]], "c": pd.Categorical(["x", "x", "y"])})
    assert duplicate_groups(frame, "table").groups.tolist() == [0, 0, 1]
    assert duplicate_groups(pd.DataFrame(index=range(3)), "table").groups.tolist() == [0, 1, 2]
    assert duplicate_groups(frame.iloc[:0], "table").groups.tolist() == []


def test_recordings_are_compared_by_their_samples(tmp_path):
    wave = (np.sin(np.arange(4000) / 9) * np.linspace(0, 2e4, 4000)).astype(np.int16)
    for name, samples in (("a.wav", wave), ("b.flac", wave), ("c.wav", wave[::-1])):
        sf.write(tmp_path / name, samples, 16000)
    (tmp_path / "d.wav").write_bytes(b"RIFF")
    report = duplicate_groups([str(path) for path in sorted(tmp_path.iterdir())], "audio")
    assert report.exact == ((0, 1),)
    assert "known format" in report.unreadable[3]
    assert report.notes


def test_nothing_and_unknown():
    assert duplicate_groups([], "text").groups.tolist() == []
    assert duplicate_groups([], "image").groups.tolist() == []
    with pytest.raises(OptionError, match="modality"):
        duplicate_groups([], "smell")


def test_codes():
    assert codes(np.array(["b", "a", "b"])).tolist() == [0, 1, 0]


def test_progress_is_reported():
    class Ear:
        def __init__(self):
            self.heard = []

        def say(self, text):
            raise AssertionError(text)

        def progress(self, stage, done, total, unit="items"):
            self.heard.append((stage, done, total))

    ear = Ear()
    duplicate_groups([photo(0), photo(1)], "image", reporter=ear)
    assert ear.heard == [("looking for exact copies", 2, 2), ("looking for near duplicates", 2, 2)]


def test_hamming_is_the_same_without_numpy_2(monkeypatch):
    hashes = np.random.default_rng(0).integers(0, 2**63, 50, dtype=np.uint64)
    counts = hamming(hashes, hashes[0])
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert np.array_equal(hamming(hashes, hashes[0]), counts)


def test_long_texts_are_sampled_and_still_found():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), 6)) for _ in range(2000)]
    texts = [" ".join(words[int(k)] for k in rng.integers(0, 2000, 1500)) for _ in range(6)]
    texts.append(texts[2].replace(texts[2][300:400], "something else"))
    assert [(head, tail.tolist()) for head, tail in near_clusters(texts)] == [(2, [6])]
