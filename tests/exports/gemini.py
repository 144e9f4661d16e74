"""Reads every tool of an `mcp` document with Google's library, which refuses each keyword that the API does not know."""

import json
import sys

from google.genai.types import FunctionDeclaration

with open(sys.argv[1]) as file:
    tools = json.load(file)["tools"]
for tool in tools:
    FunctionDeclaration.model_validate(
        {"name": tool["name"], "description": tool["description"], "parameters": tool["inputSchema"]}
    )
print(len(tools), "tools")
