"""What tests of search plugins share: the plain programs, run on whole files with the pinned options."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence as Words
from pathlib import Path

import pytest

from multiblast.search.plugins import search_plugins
from multiblast.sequences import Sequence
from multiblast.targets import BlastDatabase

PROGRAMS = ("diamond-blastp", "diamond-blastx", "mmseqs-search")
NEEDS_TOOLS = pytest.mark.skipif(
    not all(map(shutil.which, ("diamond", "mmseqs"))), reason="no diamond or mmseqs here: deployments/install.sh tools"
)
_COMMANDS = {"diamond-blastp": ("diamond", "blastp"), "diamond-blastx": ("diamond", "blastx")}


class PlainProgram:
    """A program as one would run it by hand, on a database made from the sequences of a registered one."""

    def __init__(self, program: str, database: BlastDatabase, directory: Path) -> None:
        self.program, self.directory = program, directory
        self.pinned = search_plugins()[program].table.pinned_words(database.letters)
        directory.mkdir(parents=True, exist_ok=True)
        fasta, self.made = directory / "all.fasta", directory / "made"
        with fasta.open("wb") as file:
            subprocess.run(["blastdbcmd", "-db", str(database.path), "-entry", "all"], stdout=file, check=True)
        make = ["diamond", "makedb", "--in", str(fasta), "-d", str(self.made), "--quiet"]
        if program == "mmseqs-search":
            make = ["mmseqs", "createdb", str(fasta), str(self.made), "-v", "1", "--shuffle", "0", "--dbtype", "1"]
        subprocess.run(make, check=True)

    def rows(self, queries: Words[Sequence], *options: str, threads: int = 1, name: str = "plain") -> bytes:
        """Return what it prints for a file of queries, in its own default columns.

        With several threads MMseqs2 prints the queries in another order each time.
        """
        work = self.directory / name
        work.mkdir(exist_ok=True)
        query, rows = work / "query.fasta", work / "rows"
        query.write_bytes(b"".join(one.canonical for one in queries))
        words = [*self.pinned, "--threads", str(threads), *options]
        if self.program == "mmseqs-search":
            command = ["mmseqs", "easy-search", query, self.made, rows, work / "tmp", "-v", "1"]
        else:
            command = [*_COMMANDS[self.program], "-q", query, "-d", self.made, "-o", rows, "--quiet"]
            command += ["--ignore-warnings"]
        subprocess.run([*map(str, command), *words], check=True)
        return rows.read_bytes()
