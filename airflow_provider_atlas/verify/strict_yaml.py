"""Policies as people write them: YAML that says one thing, checked against a JSON Schema."""

from collections.abc import Mapping
from typing import Any, cast

from airflow_provider_atlas.encoding import JsonObject
from airflow_provider_atlas.errors import ConfigError

MAX_POLICY_SIZE = 1 << 20
"""The largest policy that is read, in bytes."""


def load(content: bytes, schema: JsonObject) -> Mapping[str, Any]:
    """Return the document in ``content``, which ``schema`` accepts. Raises ConfigError, which says where and what."""
    import jsonschema
    import yaml

    if len(content) > MAX_POLICY_SIZE:
        raise ConfigError(f"the policy is larger than {MAX_POLICY_SIZE} bytes")
    try:
        document = yaml.load(content.decode("utf-8"), Loader=_strict_loader())  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"the policy is not YAML: {' '.join(str(error).split())[:300]}") from error
    validator = jsonschema.Draft202012Validator(cast("Mapping[str, Any]", schema))
    problem = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if problem is not None:
        where = ".".join(map(str, problem.absolute_path)) or "the policy"
        raise ConfigError(f"the policy is not usable: {where}: {problem.message[:300]}")
    return cast("Mapping[str, Any]", document)


def _strict_loader() -> Any:  # noqa: ANN401 - yaml has no type for a loader class
    import yaml

    class StrictLoader(yaml.SafeLoader):
        """YAML without aliases (which can be made to explode) and without repeated keys (the last would win)."""

        def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - yaml's own signature
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError("aliases are not allowed in a policy")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401
            mapping = super().construct_mapping(node, deep=deep)
            if len(mapping) != len(node.value):
                raise yaml.YAMLError(f"a key is given twice{node.start_mark}")
            return mapping

    return StrictLoader
