"""Which artifacts a task reads and writes, by Airflow's assets, our operators' declarations, and what it records.

An asset is Airflow's word for a thing that may be no file: then the link says that it was not measured. What is
declared to us is a file, and is there: a task that does not keep to that has failed, whatever the mode.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_atlas.airflow.task_run import Context, Operator
from airflow_provider_atlas.artifacts.store import Artifact, ArtifactStore
from airflow_provider_atlas.artifacts.uri import artifact_uri
from airflow_provider_atlas.errors import AtlasError, CaptureError, ConfigError, MissingError
from airflow_provider_atlas.intoto.environment import Unmeasured
from airflow_provider_atlas.recording import name_of

_TEMPLATE = re.compile(r"\{[{%#]")


class DeclarationError(Exception):
    """A task does not keep to what it declares: an input is not there, or an output was not written."""


class Declares:
    """An operator that declares its ``inputs`` and ``outputs``: URIs, paths or assets, rendered before they count."""

    inputs: Sequence[object]
    outputs: Sequence[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """URIs of files: ``demanded`` ones must be there in every mode, ``expected`` ones in ``enforce``."""

    demanded: Sequence[str] = ()
    expected: Sequence[str] = ()
    unmeasured: Sequence[Unmeasured] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was there, by URI; and what was not, with the reason."""

    artifacts: Mapping[str, Artifact]
    problems: Mapping[str, AtlasError]

    def describe(self, uri: str) -> Artifact:
        """Return the artifact that was measured at ``uri`` (``ArtifactStore``): nothing is hashed twice."""
        if uri in self.problems:
            raise self.problems[uri]
        return self.artifacts[uri]


def inputs_of(operator: Operator) -> Declared:
    """Return what ``operator`` declares to read. Raises DeclarationError for a declaration that names no file."""
    demanded = _demanded(operator.inputs, "input") if isinstance(operator, Declares) else ()
    return _declared(demanded, [*operator.inlets, *_asset_arguments(operator)])


def outputs_of(operator: Operator, context: Context) -> Declared:
    """Return what ``operator`` declares to write, the assets that its code added while it ran among it.

    Raises DeclarationError for a declaration that names no file.
    """
    demanded = _demanded(operator.outputs, "output") if isinstance(operator, Declares) else ()
    return _declared(demanded, [*operator.outlets, *_added_to_aliases(context.get("outlet_events"))])


def check_declaration(values: object, what: str) -> None:
    """Raise ValueError when ``values`` is no list, or holds what cannot name a file. For when a DAG is parsed.

    What a template will render to, or another task return, is not known then.
    """
    if hasattr(values, "resolve"):
        return
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ValueError(f"{what} is a list of files: {values!r} is {type(values).__name__}")  # noqa: TRY004
    for value in values:
        if not hasattr(value, "resolve") and not (isinstance(value, str) and _TEMPLATE.search(value)):
            try:
                file_uri(value)
            except AtlasError as error:
                raise ValueError(f"{what}: {error}") from error


def file_uri(value: object) -> str:
    """Return the URI of the file that ``value`` names. Raises ConfigError or CaptureError when it names none."""
    uri = artifact_uri(name_of(value))
    if not uri.startswith("file:"):
        raise ConfigError(f"expected a file, since no other artifact can be measured, not {uri[:200]!r}")
    return uri


def measure(uris: Iterable[str], store: ArtifactStore) -> Measured:
    """Describe ``uris``, each once."""
    artifacts: dict[str, Artifact] = {}
    problems: dict[str, AtlasError] = {}
    for uri in dict.fromkeys(uris):
        try:
            artifacts[uri] = store.describe(uri)
        except (MissingError, CaptureError) as error:
            problems[uri] = error
    return Measured(artifacts=artifacts, problems=problems)


def recorded_uris(names: Iterable[str]) -> tuple[list[str], list[Unmeasured]]:
    """Return the URIs of what a task's own code recorded, and what of it names no file."""
    uris: list[str] = []
    unmeasured: list[Unmeasured] = []
    for name in dict.fromkeys(names):
        try:
            uris.append(file_uri(name))
        except AtlasError as error:
            unmeasured.append(Unmeasured(uri=name, reason=str(error)))
    return uris, unmeasured


def _demanded(values: Sequence[object], what: str) -> Sequence[str]:
    try:
        return [file_uri(value) for value in flat(values)]
    except AtlasError as error:
        raise DeclarationError(f"a declared {what} is not usable: {error}") from error


def flat(values: object) -> Iterator[object]:
    """Return ``values`` one by one, those of lists among them too: a template may render to either."""
    if isinstance(values, list | tuple | set):
        for value in values:
            yield from flat(value)
    elif values is not None:
        yield values


def _declared(demanded: Sequence[str], assets: Iterable[object]) -> Declared:
    expected: list[str] = []
    unmeasured: list[Unmeasured] = []
    for asset in assets:
        uri = getattr(asset, "uri", None)
        if not isinstance(uri, str):
            _refuse_nameless(asset, unmeasured)
        elif not uri.startswith(("file:", "/")):
            unmeasured.append(Unmeasured(uri=uri, reason="the asset is no file, and nothing else can be measured"))
        else:
            found, refused = recorded_uris([uri])
            expected += found
            unmeasured += refused
    known = set(demanded)
    return Declared(
        demanded=tuple(demanded),
        expected=tuple(uri for uri in dict.fromkeys(expected) if uri not in known),
        unmeasured=tuple(dict.fromkeys(unmeasured)),
    )


def _asset_arguments(operator: object) -> Iterator[object]:
    # Airflow makes inlets of the assets that a TaskFlow function is called with, but in execute: too late to be
    # hashed before the function runs.
    from airflow.sdk import Asset
    from airflow.sdk.bases.decorator import DecoratedOperator

    if isinstance(operator, DecoratedOperator):
        arguments = (*operator.op_args, *operator.op_kwargs.values())
        yield from (argument for argument in arguments if isinstance(argument, Asset))


def _refuse_nameless(asset: object, unmeasured: list[Unmeasured]) -> None:
    # An alias is a promise of assets: those that came are among the outlet events, and a promise has no content.
    kind = type(asset).__name__
    if kind != "AssetAlias":
        name = asset if isinstance(asset, str) else getattr(asset, "name", kind)
        unmeasured.append(Unmeasured(uri=str(name), reason=f"{kind} has no URI, so there is nothing to measure"))


@dataclass(frozen=True, slots=True)
class _Added:
    uri: str


def _added_to_aliases(outlet_events: object) -> Iterator[_Added]:
    # ``outlet_events[alias].add(Asset(…))`` leaves the asset's key in the alias's accessor.
    try:
        accessors = [outlet_events[key] for key in outlet_events]  # type: ignore[index,attr-defined]  # Airflow's
    except (TypeError, KeyError, AttributeError):
        return
    for accessor in accessors:
        for event in getattr(accessor, "asset_alias_events", ()):
            yield _Added(uri=event.dest_asset_key.uri)
