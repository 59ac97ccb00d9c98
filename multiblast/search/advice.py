"""What a user should know of a search before it runs, though nothing is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from multiblast.options import Options

__all__ = ["advice"]

_FEW_TARGETS = 5  # below this, BLAST+ itself warns
_SHORT = {"blastp": 30, "blastn": 50}  # letters, as the program's own short tasks have it


def advice(options: Options, lengths: Sequence[int]) -> Iterator[str]:
    """Yield caveats of a search.

    Args:
        options: The program and its options.
        lengths: Letters of each sequence.
    """
    most = getattr(options, "max_target_seqs", None)
    if most is not None and most < _FEW_TARGETS:
        yield (
            f"max_target_seqs {most} does not mean the best {most}: it limits the search early, and better hits may be "
            "lost; search with 5 or more, and cut the report instead"
        )
    limit = _SHORT.get(options.program, 0)
    task = getattr(options, "task", "")
    short = sum(length < limit for length in lengths)
    if short and not task.endswith("-short"):
        noun = "sequence is" if short == 1 else "sequences are"
        yield (
            f"{short:,} {noun} shorter than {limit} letters, for which {task or options.program} finds little: "
            f"task {options.program}-short is meant for them"
        )
