"""Files of a registry in any store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from multiblast.registry.commands import pull, push
from multiblast.registry.local import Registry
from multiblast.registry.recording import ProductName, record_product
from multiblast.registry.status import status, verify


def test_registry_keeps_files_in_s3(
    here: Any, locals_: Callable[[str], Any], remote: Any, config: Callable[[str], Path], rclone_s3: Any
) -> None:
    """Push from S3, pull into S3: the bytes are the same, and their digests are checked there too."""
    content = bytes(range(256)) * 20_000
    local = locals_("in-s3")
    origin = Registry(here.database, rclone_s3.store(), here.directory)
    path = here.directory / "content"
    path.write_bytes(content)
    found = origin.files.add(path)
    one = record_product(origin, ProductName("rich", "params/a", "1.0.0"), path, file_type="bin")
    here.commit("object", one.object_id)
    assert push(origin, remote.open()).exit_code == 0
    target = Registry(local.database, rclone_s3.store(), local.directory)
    text = "read: [{data_product: params/a, use: {namespace: rich}}]"
    assert pull(config(text), target, remote.open(), local.user()).exit_code == 0
    with target.files.open(found.sha1) as file:
        assert file.read() == content
    assert (status(target).exit_code, verify(target).exit_code) == (0, 0)
