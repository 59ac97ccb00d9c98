"""Options of the programs that cannot be chosen here, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping

_HELP = "it shows help and searches nothing"
_OURS = "it is set for each search from the query, the targets and the result store"
_FORMAT = "it shapes a report, not a search; choose it when making a report"
_SPEED = "it changes how fast a search runs, not its result; it is a setting of the installation"
_REMOTE = "searches run on this installation's own databases, never at NCBI"
_FILE = "it names a file on the server"
_STRATEGY = "a search strategy file would override the options recorded with the job"
_SUBJECT = "queries are searched in registered databases"
_MASKER = (
    "it reads files of the installation whose content is not part of a result's identity; mask with lower case instead"
)

EXCLUDED: Mapping[str, str] = {
    "h": _HELP,
    "help": _HELP,
    "version": _HELP,
    "query": _OURS,
    "db": _OURS,
    "out": _OURS,
    "outfmt": _FORMAT,
    "show_gis": _FORMAT,
    "num_descriptions": _FORMAT,
    "num_alignments": _FORMAT,
    "line_length": _FORMAT,
    "html": _FORMAT,
    "sorthits": _FORMAT,
    "sorthsps": _FORMAT,
    "show_domain_hits": "it prints a second result beside that of the search, which is not kept",
    "num_threads": _SPEED,
    "mt_mode": _SPEED,
    "remote": _REMOTE,
    "entrez_query": _REMOTE,
    "import_search_strategy": _STRATEGY,
    "export_search_strategy": _STRATEGY,
    "subject": _SUBJECT,
    "subject_loc": _SUBJECT,
    "gilist": _FILE,
    "seqidlist": _FILE,
    "taxidlist": f"{_FILE}; give the ids themselves with taxids",
    "ipglist": _FILE,
    "negative_gilist": _FILE,
    "negative_seqidlist": _FILE,
    "negative_taxidlist": f"{_FILE}; give the ids themselves with negative_taxids",
    "negative_ipglist": _FILE,
    "filtering_db": _MASKER,
    "window_masker_taxid": _MASKER,
    "window_masker_db": _MASKER,
    "in_msa": f"{_FILE}; make a profile with out_pssm and give that with in_pssm",
    "msa_master_idx": "it belongs to in_msa, which cannot be chosen",
    "ignore_msa_master": "it belongs to in_msa, which cannot be chosen",
    "phi_pattern": _FILE,
    "save_each_pssm": "one profile is kept, that of the last round; run fewer rounds for an earlier one",
}
