# /// script
# requires-python = ">=3.11"
# dependencies = ["pyhmmer>=0.11,<0.13"]
# ///
"""Make a profile of an alignment with HMMER."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyhmmer.easel import Alphabet, TextMSA, TextSequence
from pyhmmer.plan7 import Background, Builder

_PROTEIN_ONLY = set("EFIJLOPQZ*")


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    text = Path(request["inputs"]["alignment"][0]["path"]).read_text("utf-8")
    records = [part.partition("\n") for part in ("\n" + text).split("\n>")[1:]]
    rows = ["".join(letters.split()) for _, _, letters in records]
    if len({len(row) for row in rows}) != 1:
        sys.exit("this is no alignment: its rows differ in length")
    is_protein = any(set(row.upper()) & _PROTEIN_ONLY for row in rows)
    alphabet = Alphabet.amino() if is_protein else Alphabet.dna()
    msa = TextMSA(
        name=request["parameters"]["name"].encode(),
        sequences=[TextSequence(name=b"%d" % number, sequence=row) for number, row in enumerate(rows)],
    ).digitize(alphabet)
    hmm, _, _ = Builder(alphabet, seed=42).build_msa(msa, Background(alphabet))
    hmm.creation_time = None  # so that equal alignments give equal profiles
    hmm.command_line = None
    with Path("outputs/profile.hmm").open("wb") as file:
        hmm.write(file)


if __name__ == "__main__":
    main()
