"""Directories that cannot be read are named where databases are listed, and where one of them is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from multiblast.targets.makeblastdb import build_database

PROTEINS = Path(__file__).parents[2] / "examples" / "data" / "protein_query.fasta"
# Root reads everything, unless it gives that up.
AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
LIST = """if True:
    import sys
    from pathlib import Path
    from multiblast.errors import InvalidInputError
    from multiblast.targets import Targets

    targets = Targets(Path(sys.argv[1]))
    print(*targets.unusable(), sep="\\n")
    try:
        print(targets.resolve_all("demo", [("examples", "proteins")])[0].name)
    except InvalidInputError as error:
        print(error)
"""


@pytest.mark.parametrize("closed", [".", "demo", "demo/examples", "demo/examples/blast"])
def test_directory_that_cannot_be_read_is_named(tmp_path: Path, closed: str) -> None:
    root = tmp_path / "targets"
    build_database(PROTEINS, root / "demo" / "examples" / "blast", "proteins", molecule="protein")
    (root / closed).chmod(0)
    try:
        listing = [*AS_OTHERS, sys.executable, "-c", LIST, str(root)]
        listed, *asked = subprocess.run(listing, capture_output=True, check=True, text=True).stdout.splitlines()
    finally:
        (root / closed).chmod(0o755)
    assert listed == f"{closed}: Permission denied: let the user that this runs as read and search it"
    assert "there is none" in asked[0]
    assert asked[0].endswith(listed)
