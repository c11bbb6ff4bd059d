"""Package URLs of what a lock names: the same in the bill of materials and in the provenance."""

from __future__ import annotations

from packageurl import PackageURL

from payload.lock import LockedImage, LockedRpm, LockedWheel
from payload.manifest import Image


def rpm_purl(rpm: LockedRpm) -> PackageURL:
    """Of an RPM package."""
    qualifiers = {"arch": rpm.arch, "repository_id": rpm.upstream} | ({"epoch": str(rpm.epoch)} if rpm.epoch else {})
    return PackageURL("rpm", None, rpm.name, f"{rpm.version}-{rpm.release}", qualifiers)


def wheel_purl(wheel: LockedWheel) -> PackageURL:
    """Of a Python wheel."""
    return PackageURL("pypi", None, wheel.name, str(wheel.version), {"file_name": wheel.filename})


def image_purl(locked: LockedImage, image: Image) -> PackageURL:
    """Of an image."""
    qualifiers = {"checksum": locked.digest} | ({"download_url": image.url} if image.url else {})
    return PackageURL("generic", None, locked.name, None, qualifiers)
