"""A few of the random draws of `make exactness`, always the same ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from multiblast.reports import Formatting
from multiblast.sequences import read_fasta
from tests.exactness.random_draws import DATA, Draw, Place, draw

SEED, DRAWS = 11, 5


def test_random_draws_are_what_plain_blast_prints(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.build()
    found = {seed: place.compare(draw(seed)) for seed in (f"{SEED}-{number}" for number in range(DRAWS))}
    assert {seed: lines for seed, (outcome, lines) in found.items() if outcome == "different"} == {}
    assert sum(outcome == "same" for outcome, _ in found.values()) >= DRAWS / 2


@pytest.mark.long
def test_rounds_list_more_sequences_as_found_again_than_plain_blast_may(tmp_path: Path) -> None:
    """Of psiblast with ``-max_target_seqs``, in pairwise text, and nothing else."""
    place = Place(tmp_path)
    place.build()
    outcome, lines = place.compare(draw("1020-114"))
    assert (outcome, len(lines)) == ("listed", 2)


@pytest.mark.parametrize("databases", ["rps", "rps rps_more", "all"])
def test_domains_of_several_volumes_are_reported_without_messages_on_queries(databases: str, tmp_path: Path) -> None:
    """As by the program, whether they are one database or several; those of one volume with them."""
    place = Place(tmp_path)
    place.build()
    names = (place.databases / "rps.pn").read_text().split()[:2]
    (place.databases / "rps_more.pn").write_text("\n".join(names))
    command = ["makeprofiledb", "-in", "rps_more.pn", "-dbtype", "rps", "-out", "rps_more", "-title", "more"]
    subprocess.run(command, cwd=place.databases, check=True, capture_output=True)
    (place.databases / "all.pal").write_text("TITLE all\nDBLIST rps rps_more\n")
    protein = next(read_fasta(DATA / "exactness_proteins_query.fasta")).residues.decode()
    query = f">with O\n{protein[:50]}O{protein[50:]}\n>masked\n{'X' * 40}\n>plain\n{protein}\n"
    formats = tuple(Formatting(format=name) for name in ("5", "6", "13", "14"))
    outcome, lines = place.compare(Draw("", "rpsblast", databases, {"comp_based_stats": "0"}, query, formats))
    assert outcome in {"same", "listed"}, lines
