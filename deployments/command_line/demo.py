"""``multiblast demo``: the main job on real sequences, from the databases to the report."""

from __future__ import annotations

from pathlib import Path

from deployments.command_line import display
from deployments.command_line.reports import read_formats, write_reports
from deployments.command_line.search import run_search
from deployments.command_line.session import Session
from deployments.environment import CHECKOUT
from multiblast.errors import MultiblastError
from multiblast.molecules import Molecule
from multiblast.settings import home
from multiblast.targets.makeblastdb import build_database

_DATA = CHECKOUT / "examples" / "data"
_DATABASES = {"proteins": Molecule.PROTEIN, "nucleotides": Molecule.NUCLEOTIDE}


def demo() -> None:
    """Search twelve real proteins in a small database of others, and write four reports."""
    console = display.console
    for name in build_demo_targets(home() / "targets"):
        console.print(f"built the database demo/examples/{name}")
    wanted = read_formats(["0", "5", "6", "html"], "", Path("results"))
    running = Session(early=False)
    job = run_search(
        running,
        query_file=str(_DATA / "protein_query.fasta"),
        program="blastp",
        targets=["demo/examples/proteins"],
        options=["evalue=1e-5"],
        summary="the demo",
    )
    display.searched_job(job)
    files, failures = write_reports(running, job.job_id, wanted, overwrite=True)
    if failures:
        raise MultiblastError("; ".join(failures))
    console.print("The reports; 0, 5 and 6 are exactly what blastp prints, html is for looking at:")
    for file in files:
        console.print(f"  {file.path}")
    console.print(f"Next: .venv/bin/multiblast report {job.job_id} --format 7")
    console.print("In a browser: make up, then open the address that it prints first.")


def build_demo_targets(root: Path) -> list[str]:
    """Build those demo databases that are not there yet; return their names.

    A database is not built again: its date is part of what it is, and results belong to it.
    """
    directory = root / "demo" / "examples" / "blast"
    missing = [name for name, kind in _DATABASES.items() if not (directory / f"{name}.{kind[0]}in").exists()]
    for name in missing:
        with display.working(f"Building the database {name} …"):
            build_database(_DATA / f"{name}.fasta.gz", directory, name, molecule=_DATABASES[name], title=f"Demo {name}")
    return missing
