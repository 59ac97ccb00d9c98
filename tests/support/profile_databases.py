"""Databases of profiles: for rpsblast, and of domains for deltablast."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

__all__ = ["build_profile_databases"]

_RESIDUES = "-ABCDEFGHIKLMNPQRSTVWXYZU*OJ"


def build_profile_databases(directory: Path, query: Path, *, count: int) -> None:
    """Make profiles of the first sequences of a file, and of these the databases ``rps`` and ``delta``.

    Args:
        directory: Where the database ``proteins`` is, and the profile databases go.
        query: FASTA.
        count: How many sequences are tried.
    """
    records = query.read_text().split(">")[1 : count + 1]
    names: dict[str, list[str]] = {"rps": [], "delta": []}
    for number, record in enumerate(records):
        sequence = "".join(record.split("\n")[1:])
        (directory / "one.fasta").write_text(f">domain{number} number {number}\n{sequence}\n")
        profile = directory / f"rps{number}.smp"
        command = ["psiblast", "-query", "one.fasta", "-db", "proteins", "-num_iterations", "2", "-parse_deflines"]
        command += ["-out_pssm", profile.name, "-save_pssm_after_last_round", "-out", "/dev/null"]
        if subprocess.run(command, cwd=directory, check=False, capture_output=True).returncode:
            continue  # psiblast 2.12.0 crashes on a query without relatives
        (directory / f"delta{number}.smp").write_text(_with_observations(profile.read_text(), sequence))
        for kind, made in names.items():
            made.append(f"{kind}{number}.smp")
    for kind, made in names.items():
        (directory / f"{kind}.pn").write_text("\n".join(made) + "\n")
        command = ["makeprofiledb", "-in", f"{kind}.pn", "-dbtype", kind, "-out", kind, "-title", f"{kind} for tests"]
        subprocess.run(command, cwd=directory, check=True, capture_output=True)


def _with_observations(profile: str, sequence: str) -> str:
    """Add what a domain database wants beside frequencies: each residue as if seen in eight sequences."""
    one_hot = ",\n".join("{ 1, 10, 0 }" if one == other else "{ 0, 10, 0 }" for one in sequence for other in _RESIDUES)
    start = "intermediateData {"
    profile = profile.replace(start, f"{start}\nweightedResFreqsPerPos {{\n{one_hot}\n}},", 1)
    end = re.compile(r"\n\s+\}").search(profile, profile.index("freqRatios {"))
    assert end is not None
    observations = ",\n".join("{ 8, 10, 0 }" for _ in sequence)
    return f"{profile[: end.end()]},\nnumIndeptObsr {{\n{observations}\n}}{profile[end.end() :]}"
