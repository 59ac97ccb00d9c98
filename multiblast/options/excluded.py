"""Options of the programs that cannot be chosen here, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping

_FILE = "it names a file on the server"
_REASONS: Mapping[str, str] = {
    "h help version": "it shows help and searches nothing",
    "query db out": "it is set for each search from the query, the targets and the result store",
    "outfmt show_gis num_descriptions num_alignments line_length html sorthits sorthsps": (
        "it shapes a report, not a search; choose it when making a report"
    ),
    "show_domain_hits": "it prints a second result beside that of the search, which is not kept",
    "num_threads mt_mode": "it changes how fast a search runs, not its result; it is a setting of the installation",
    "remote entrez_query": "searches run on this installation's own databases, never at NCBI",
    "import_search_strategy export_search_strategy": (
        "a search strategy file would override the options recorded with the job"
    ),
    "subject subject_loc": "queries are searched in registered databases",
    "gilist seqidlist ipglist negative_gilist negative_seqidlist negative_ipglist phi_pattern": _FILE,
    "taxidlist": f"{_FILE}; give the ids themselves with taxids",
    "negative_taxidlist": f"{_FILE}; give the ids themselves with negative_taxids",
    "filtering_db window_masker_taxid window_masker_db": (
        "it reads files of the installation whose content is not part of a result's identity; "
        "mask with lower case instead"
    ),
    "in_msa": f"{_FILE}; make a profile with out_pssm and give that with in_pssm",
    "msa_master_idx ignore_msa_master": "it belongs to in_msa, which cannot be chosen",
    "save_each_pssm": "one profile is kept, that of the last round; run fewer rounds for an earlier one",
}

EXCLUDED: Mapping[str, str] = {name: reason for names, reason in _REASONS.items() for name in names.split()}

EXCLUDED_OF: Mapping[str, Mapping[str, str]] = {
    "tblastn": {"in_pssm": "tblastn 2.12.0 crashes when it is to keep the result of a profile; search with psiblast"}
}
"""Those of one program that others have."""
