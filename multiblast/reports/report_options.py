"""What a report is to be: a format, and the options of BLAST+'s formatter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from multiblast.errors import InvalidInputError, Problem
from multiblast.ids import Canonical
from multiblast.options.values import number
from multiblast.reports.formats import FORMATS, ReportFormat, find_format
from multiblast.search.plugins import search_plugin, search_plugins
from multiblast.search.profiles import outputs_of

if TYPE_CHECKING:
    from multiblast.options import Options
    from multiblast.plugins.search_programs import SearchPlugin

_LARGEST = 999_999_999
_FIELDS_OF_BLASTN = {"qcovus"}

_Name = Annotated[str, BeforeValidator(lambda given: find_format(given).name)]
_Fields = Annotated[tuple[str, ...], BeforeValidator(lambda given: given.split() if isinstance(given, str) else given)]
# A switch that is named without a value, as at a terminal, is on.
_Switch = Annotated[bool, BeforeValidator(lambda given: True if given == "" else given)]
_Count = Annotated[int | None, Field(ge=0, le=_LARGEST), BeforeValidator(number)]
_Least = Annotated[int | None, Field(ge=1, le=_LARGEST), BeforeValidator(number)]
_SortKey = Annotated[int | None, Field(ge=0, le=4), BeforeValidator(number)]


class Formatting(BaseModel):
    """A report's format and options; requests spell them as the aliases.

    Attributes:
        format: The name of the format.
        fields: Specifiers of columns in their order, for formats that have some; BLAST+'s own if empty.
        delimiter: Between columns; the format's own if empty.
        html: Whether text reports are HTML.
        show_gis: Whether deflines show GI numbers.
        max_target_sequences: Subjects to show, as descriptions and as alignments, for any format.
        num_descriptions: One-line descriptions to show.
        num_alignments: Subjects to show alignments for.
        line_length: Columns of an alignment.
        sort_hits: 0 E-value, 1 bit score, 2 total score, 3 identity, 4 coverage.
        sort_hsps: 0 E-value, 1 score, 2 query start, 3 identity, 4 subject start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, coerce_numbers_to_str=True)

    format: _Name = Field("0", alias="formatType")
    fields: _Fields = Field((), alias="formatFields")
    delimiter: str = ""
    html: _Switch = False
    show_gis: _Switch = Field(False, alias="showGIs")
    # Before the two options that it excludes, since a validator sees only what stands above it.
    max_target_sequences: _Least = Field(None, alias="maxTargetSequences")
    num_descriptions: _Count = Field(None, alias="numDescriptions")
    num_alignments: _Count = Field(None, alias="numAlignments")
    line_length: _Least = Field(None, alias="lineLength")
    sort_hits: _SortKey = Field(None, alias="sortHits")
    sort_hsps: _SortKey = Field(None, alias="sortHSPs")

    @classmethod
    def read(cls, format: object, *, fields: str = "", options: Mapping[str, Any] | None = None) -> Self:  # noqa: A002 - BLAST+'s own word for it
        """Read a request: a format as `find_format` takes it, field specifiers separated by blanks, and other options.

        These go by the spelling of requests (``numDescriptions``), values typed or as text.

        Raises:
            InvalidInputError: with all problems, by key.
        """
        given = {**({"formatFields": fields} if fields.strip() else {}), "formatType": format, **(options or {})}
        try:
            return cls.model_validate(given, by_alias=True, by_name=False)
        except ValidationError as error:
            raise InvalidInputError([_problem(item) for item in error.errors()]) from error

    @classmethod
    def read_outfmt(cls, text: str) -> Self:
        """Read a format, its delimiter and fields as ``-outfmt`` has them, such as ``10 delim=@ std stitle``.

        Raises:
            InvalidInputError: with all problems, by key.
        """
        name, _, fields = text.strip().partition(" ")
        first, _, others = fields.lstrip().partition(" ")
        if not first.startswith("delim="):
            return cls.read(name, fields=fields)
        return cls.read(name, fields=others, options={"delimiter": first.removeprefix("delim=")})

    @classmethod
    def recorded(cls, facts: Mapping[str, Any]) -> Self:
        """Return what a report job was recorded with."""
        options = {name: value for name, value in facts.items() if name not in {"formatType", "partial"}}
        return cls.read(facts["formatType"], options=options)

    @property
    def outfmt(self) -> str:
        """The format, its delimiter and fields as `read_outfmt` reads them."""
        return " ".join([self.format, *([f"delim={self.delimiter}"] if self.delimiter else []), *self.fields])

    @property
    def title(self) -> str:
        """The format as a choice in a form, with the fields that were chosen."""
        return " ".join([self.row.choice, *([f"({' '.join(self.fields)})"] if self.fields else [])])

    @property
    def row(self) -> ReportFormat:
        """The format."""
        return FORMATS[self.format]

    def changed(self) -> dict[str, Canonical]:
        """Return what counts for the report's id: spelled as in requests, without defaults."""
        changed = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {**changed, "formatType": self.format}

    def check_search(self, options: Options) -> None:
        """Refuse what a search with these options, done or to be done, has no such report of.

        Raises:
            InvalidInputError: the program has no such report, or the search keeps no profiles.
        """
        if self.row.from_profiles and not outputs_of(options, ""):
            reason = "the search kept no profiles: submit it with out_pssm or out_ascii_pssm"
            raise InvalidInputError(Problem(reason, "formatType"))
        self.check_program(options.program)

    def check_program(self, program: str) -> None:
        """Refuse what the program that searched has no such report of."""
        if plugin := search_plugin(program):
            self._check_plugin(plugin)
            return
        problems = []
        if self.row.fields and (unknown := [field for field in self.fields if field not in self.row.fields]):
            names = ", ".join(unknown)
            problems.append(Problem(f"{program} knows no field {names}, which is of other programs", "formatFields"))
        if self.row.programs and program not in self.row.programs:
            able = " and ".join(self.row.programs)
            reason = f"only results of {able} can be written as {self.row.label}, not those of {program}"
            problems.append(Problem(reason, "formatType"))
        if program != "blastn" and (unfit := _FIELDS_OF_BLASTN.intersection(self.fields)):
            problems.append(Problem(f"only blastn knows the field {', '.join(unfit)}, not {program}", "formatFields"))
        if problems:
            raise InvalidInputError(problems)

    def _check_plugin(self, plugin: SearchPlugin) -> None:
        """Refuse what cannot be made of the rows that a search plugin finds."""
        problems = []
        if not self.row.from_rows:
            able = ", ".join(row.choice for row in FORMATS.values() if row.from_rows)
            reason = (
                f"what {plugin.name} finds is kept as rows, and cannot be written as {self.row.choice}: choose {able}"
            )
            problems.append(Problem(reason, "formatType"))
        elif unknown := [field for field in self.fields if field not in plugin.fields and field != "std"]:
            names = ", ".join(map(repr, unknown))
            there = " ".join(sorted({"std", *plugin.fields}))
            problems.append(Problem(f"{plugin.name} has no field {names}: choose from {there}", "formatFields"))
        for name in ("html", "show_gis"):
            if getattr(self, name):
                key = type(self).model_fields[name].alias or name
                problems.append(Problem(f"tables of {plugin.name} do not have this option: leave it out", key))
        if problems:
            raise InvalidInputError(problems)

    def arguments(self) -> list[str]:
        """Return the options of ``blast_formatter`` that this stands for."""
        arguments = ["-outfmt", self.outfmt]
        arguments += ["-html"] if self.html else []
        arguments += ["-show_gis"] if self.show_gis else []
        numbers = {
            "-num_descriptions": self.num_descriptions,
            "-num_alignments": self.num_alignments,
            "-max_target_seqs": self.max_target_sequences,
            "-line_length": self.line_length,
            "-sorthits": self.sort_hits,
            "-sorthsps": self.sort_hsps,
        }
        for name, value in numbers.items():
            arguments += [] if value is None else [name, str(value)]
        return arguments

    @field_validator("*")
    @classmethod
    def _check_format(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what the format does not have; a format that there is not has its own problem already."""
        name, row = str(info.field_name), FORMATS.get(info.data.get("format", ""))
        if row is None:
            return value
        if row.write:
            raise ValueError(f"format {row.name} has no options")
        if value != cls.model_fields[name].default:
            _check_option(row, name, value, info.data)
        return value


def _check_option(row: ReportFormat, name: str, value: Any, others: Mapping[str, Any]) -> None:
    having = [one.name for one in FORMATS.values() if name in one.options]
    if having and name not in row.options:
        raise ValueError(f"format {row.name} does not have this option; {_listed(having)}")
    if name == "fields":
        _check_fields(row, value)
    if name == "delimiter" and not (value.isprintable() and value.isascii() and " " not in value):
        raise ValueError(f"the delimiter {value!r} is not made of printable ASCII characters")
    if name in {"num_descriptions", "num_alignments"} and others.get("max_target_sequences") is not None:
        raise ValueError("give either this or maxTargetSequences")


def _check_fields(row: ReportFormat, fields: tuple[str, ...]) -> None:
    if not row.fields:
        having = [one.name for one in FORMATS.values() if one.fields]
        raise ValueError(f"format {row.name} has no fields to choose; {_listed(having)}")
    unknown = [field for field in fields if field not in row.fields]
    if row.from_rows and unknown:  # whether the program has them, is checked once that is known
        unknown = [field for field in unknown if not any(field in one.fields for one in search_plugins().values())]
    if unknown:
        names = ", ".join(map(repr, unknown))
        raise ValueError(f"format {row.name} knows no field {names}: choose from {' '.join(row.fields)}")


def _listed(names: list[str]) -> str:
    *first, last = names
    return f"only formats {', '.join(first)} and {last} do" if first else f"only format {last} does"


def _problem(item: Any) -> Problem:
    key, cause = str(item["loc"][0]), item.get("ctx", {}).get("error")
    if isinstance(cause, InvalidInputError):  # of `find_format`
        return cause.problems[0]
    if item["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in Formatting.model_fields.items()][1:]
        return Problem(f"the formatter has no option {key!r}: choose from {', '.join(known)}", key)
    if cause:
        return Problem(str(cause), key)
    reason = str(item["msg"]).replace("Input should", "it should")
    return Problem(f"{item['input']!r} is not possible: {reason}", key)
