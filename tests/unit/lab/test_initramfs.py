"""What the trial image is packed from."""

from __future__ import annotations

import lzma

import pytest

from management.image import build, initramfs


def test_archives_are_the_same_for_the_same_content_and_end_with_a_trailer() -> None:
    nodes = [initramfs.folder("bin"), initramfs.executable("init", b"#!x"), initramfs.console("dev/console", (5, 1))]
    packed = initramfs.pack(nodes)
    assert packed == initramfs.pack(nodes)
    raw = lzma.decompress(packed)
    assert raw.startswith(b"070701")
    assert raw.count(b"070701") == 4
    assert b"init\0" in raw
    assert raw.rstrip(b"\0").endswith(b"TRAILER!!!")
    assert len(raw) % 4 == 0


def test_the_kernel_is_the_one_that_the_metapackage_names() -> None:
    shown = "Package: linux-image-cloud-amd64\nDepends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)\n"
    assert build.kernel_package(shown) == "linux-image-6.1.0-56-cloud-amd64"
    with pytest.raises(build.ImageError, match="names no kernel"):
        build.kernel_package("Depends: libc6\n")


def test_a_wrong_call_is_a_usage_error() -> None:
    assert build.main([]) == 2
