"""Archives made in code for the tests."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable

Members = Iterable[tuple[str, bytes]]


def tar_of(members: Members) -> bytes:
    """A tar that holds `members`."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return whole.getvalue()


def zip_of(members: Members, *, deflated: bool = False, zip64: bool = False) -> bytes:
    """A zip that holds `members`; `zip64` writes the long form of sizes even where the short one would do."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
        for name, data in members:
            with archive.open(name, "w", force_zip64=zip64) as file:
                file.write(data)
    return whole.getvalue()
