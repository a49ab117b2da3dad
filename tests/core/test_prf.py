"""The streams and keys, against OpenSSL's AES (through cryptography) and by their properties."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from argot._core import prf

BACKENDS = ["vaes512", "vaes256", "aesni", "portable"]
Z128 = np.dtype([("lo", "<u8"), ("hi", "<u8")])
KEY, RUN = bytes(range(32)), bytes(range(100, 132))


def openssl_stream(key: bytes, length: int) -> bytes:
    """Block i is AES(key, i as 16 bytes little endian)."""
    counters = b"".join(i.to_bytes(16, "little") for i in range(-(-length // 16)))
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(counters)[:length]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    best = prf.backend()
    try:
        prf.set_backend(request.param)
    except ValueError:
        pytest.skip(f"no {request.param} here")
    yield request.param
    prf.set_backend(best)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 63, 64, 65, 511, 512, 513, 4097, 300_001])
def test_stream_is_aes_in_counter_mode(backend: str, length: int) -> None:
    assert prf.backend() == backend
    key = bytes(range(40, 56))
    assert prf.fill(key, length, np.uint8).tobytes() == openssl_stream(key, length)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.uint64, np.int64, Z128])
@pytest.mark.parametrize("shape", [(), 3, (0,), (2, 0, 4), (3, 5), (1, 2, 3, 4)])
def test_shapes_and_dtypes(dtype: object, shape: object) -> None:
    drawn = prf.fill(b"k" * 16, shape, dtype)
    want = np.empty(shape, dtype)
    assert (drawn.shape, drawn.dtype) == (want.shape, want.dtype)
    assert drawn.flags.c_contiguous and drawn.flags.writeable
    assert drawn.tobytes() == openssl_stream(b"k" * 16, want.nbytes)


@given(key=st.binary(min_size=16, max_size=16), words=st.integers(0, 200))
def test_a_longer_draw_begins_with_the_shorter(key: bytes, words: int) -> None:
    assert np.array_equal(prf.fill(key, words, np.uint64), prf.fill(key, words + 7, np.uint64)[:words])


def test_draws_look_uniform() -> None:
    ones = np.unpackbits(prf.fill(b"\0" * 16, 1 << 20, np.uint8)).sum()
    assert abs(int(ones) - (1 << 22)) < 6 * (1 << 23) ** 0.5 / 2


@given(a=st.binary(max_size=80), b=st.binary(max_size=80))
def test_keys_are_equal_only_for_equal_names(a: bytes, b: bytes) -> None:
    assert (prf.derive(KEY, RUN, a) == prf.derive(KEY, RUN, b)) == (a == b)


def test_a_third_party_cannot_reproduce_a_pairwise_draw() -> None:
    """It knows the run, the name and every key of its own subsets; the draw needs the key of the pair."""
    pair_key = {pair: bytes([10 + i]) * 32 for i, pair in enumerate([(0, 1), (1, 2), (0, 2)])}
    name = b"root/mul:3/draw:0"
    secret = prf.fill(prf.derive(pair_key[0, 1], RUN, name), 64, np.uint64)
    held_by_2 = [pair_key[1, 2], pair_key[0, 2], bytes(32), RUN]
    for key in held_by_2 + [prf.hash(k) for k in held_by_2] + [prf.derive_key("x", k) for k in held_by_2]:
        guess = prf.fill(prf.derive(key, RUN, name), 64, np.uint64)
        assert not np.any(guess == secret)


def test_two_runs_on_neighbouring_inputs_leave_no_known_difference() -> None:
    """x + mask in run one against (x + 1) + mask in run two: the masks differ, so the difference tells nothing."""
    x = np.arange(1000, dtype=np.uint64)
    runs = [prf.hash(b"run one"), prf.hash(b"run two")]
    first, second = (
        x + np.uint64(i) + prf.fill(prf.derive(KEY, run, b"share"), x.shape, np.uint64) for i, run in enumerate(runs)
    )
    assert np.unique(second - first).size == x.size
    same_run = x + np.uint64(1) + prf.fill(prf.derive(KEY, runs[0], b"share"), x.shape, np.uint64)
    assert np.unique(same_run - first).tolist() == [1], "the reuse that run ids prevent"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: prf.fill(b"short", 3, np.uint8), ValueError),
        (lambda: prf.fill(b"k" * 16, -1, np.uint8), OverflowError),
        (lambda: prf.fill(b"k" * 16, 3, np.float64), TypeError),
        (lambda: prf.fill(b"k" * 16, 3, np.object_), TypeError),
        (lambda: prf.fill(b"k" * 16, 3, np.bool_), TypeError),
        (lambda: prf.derive(KEY[:-1], RUN, b""), ValueError),
        (lambda: prf.derive(KEY, RUN + b"x", b""), ValueError),
        (lambda: prf.set_backend("quantum"), ValueError),
    ],
)
def test_bad_arguments_are_refused(call, error) -> None:
    with pytest.raises(error):
        call()
