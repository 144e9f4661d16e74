"""Validates every schema of an `operator` or `mcp` document against the meta-schema of JSON Schema 2020-12, and every list of
tools against the schemas of the revisions of the Model Context Protocol."""

import json
import sys

from jsonschema import Draft202012Validator
from mcp_types import _v2025_11_25, _v2026_07_28

for path in sys.argv[1:]:
    with open(path) as file:
        document = json.load(file)
    described = document.get("endpoints") or document["tools"]
    schemas = [
        schema
        for one in described
        for keyword, schema in one.items()
        if keyword in ("inputs", "outputs", "inputSchema", "outputSchema")
    ]
    # The documents of some readers do not describe the answers.
    assert len(schemas) in (len(described), 2 * len(described)), path
    for schema in schemas:
        Draft202012Validator.check_schema(schema)
        # Every reference must lead to a place within this schema, or validation fails.
        list(Draft202012Validator(schema).iter_errors({}))
    if "tools" in document:
        for revision in (_v2025_11_25, _v2026_07_28):
            revision.ListToolsResult.model_validate(document)
