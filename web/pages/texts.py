"""What pages say, apart from their headings and labels: in one place, to be read and improved together."""

from __future__ import annotations

from typing import NamedTuple


class StatusText(NamedTuple):
    """A heading, and what to do next."""

    title: str
    next: str


STATUSES = {
    "queued": StatusText(
        "Waiting for its turn", "It starts by itself. You can close this page: its address stays the same."
    ),
    "in-progress": StatusText(
        "Searching", "Sequences appear below as they are done. You can close this page and come back."
    ),
    "complete": StatusText("Done", "Look at the hits below, or download them in any format of BLAST+."),
    "failed": StatusText(
        "The search failed", "What was found is kept. Read the reason, then search again or change the search."
    ),
    "cancelled": StatusText(
        "Cancelled", "What was found until then is kept: searching again continues with the sequences that are missing."
    ),
    "expired": StatusText(
        "The result has expired",
        "Nobody used it for some time, so that its space was freed. Searching again brings it back.",
    ),
}

REPORT_STATUSES = {
    "queued": "made as soon as the search is done",
    "in-progress": "being made",
    "complete": "",
    "failed": "not made",
    "cancelled": "cancelled",
    "expired": "not used for some time, so that its space was freed: make it again below",
}

PLUGIN_STATUSES = {
    "queued": STATUSES["queued"],
    "in-progress": StatusText("It runs", "What it makes appears here. You can close this page and come back."),
    "paused": StatusText("It asks you something", "It goes on once you have answered the question below."),
    "complete": StatusText("Done", "Look at what it made below, or go on with that."),
    "failed": StatusText("It failed", "Read the reason and what the program printed, then change that and try again."),
    "cancelled": StatusText("Cancelled", "Running it again begins where it was stopped, if it works in several steps."),
    "expired": StatusText(
        "What it made has expired",
        "Nobody used it for some time, so that its space was freed. Running it again brings it back.",
    ),
}

ABANDONED = StatusText(
    "Interrupted", "What was found until then is kept: searching again continues with the sequences that are missing."
)

PARTLY = StatusText(
    "Done, but for some sequences", "Some sequences failed: the table says which. The others are complete."
)

FAILURES = {
    "bad query or options": "BLAST+ does not accept the sequence or an option. Check its letters, and the options.",
    "database not usable": "A database cannot be read. Tell the administrator.",
    "error in the BLAST+ engine": "BLAST+ gave up on the sequence. Check its letters, or leave it out.",
    "out of memory": "The search needed more memory than there is. Search fewer or shorter sequences at a time.",
    "network error": "The network failed. Search again in a while.",
    "output could not be written": "The disk of the service is full. Tell the administrator.",
    "time limit reached": "The search took longer than it may. Search fewer sequences, or a smaller database.",
    "killed": "The search was stopped from outside. Search again.",
    "crashed": "BLAST+ crashed on the sequence. Tell the administrator the address of this page.",
    "cancelled": "It was cancelled before this sequence was searched.",
    "program not installed": "The program is missing on the machine that searched. Tell the administrator.",
    "unknown error": "Nobody knows why. Search again, and tell the administrator if that does not help.",
}

PROGRAMS = {
    "blastn": "nucleotides in nucleotides",
    "blastp": "proteins in proteins",
    "blastx": "translated nucleotides in proteins",
    "tblastn": "proteins in translated nucleotides",
    "tblastx": "translated nucleotides in translated nucleotides",
    "psiblast": "proteins in proteins, in several rounds",
    "deltablast": "proteins in proteins, with conserved domains",
    "rpsblast": "proteins in profiles",
    "rpstblastn": "translated nucleotides in profiles",
}

CANNOT_BEGIN = (
    "The service cannot begin it for now, and does so as soon as it can: if it takes long, tell the administrator"
)

TWO_QUERIES = "There are sequences in the field and in a file: empty the field, or choose no file"
NO_DATABASE = "Tick at least one database"
TWO_KINDS = "Tick databases of one kind only: proteins, nucleotides or profiles"
TWO_SITES = "Tick databases of one site only"
NO_PROGRAM = "No program searches {query} sequences in a database of {kind}s"
NO_GUESTS = "Sign in first: this service has no guests"
NO_PAGE = "There is no page at this address"
ONLY_FORMS = "Nothing can be looked at here: this is where a form is sent to"
