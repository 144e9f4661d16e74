"""Calls the support desk with the MCP project's own client: `stdio PROGRAM`, or `http URL TOKEN`.

Runs once for each way to start a session: the handshake of revisions before 2026-07-28, and the newer discovery.
"""

import sys

import anyio
import httpx2
from jsonschema import Draft202012Validator
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

KEY = "operator/idempotency-key"
TOOLS = ["find_orders", "notify_customer", "open_ticket", "order_refunds", "recent_orders", "refund_order"]
CALLS = {
    "find_orders": {"filter": {"status": "payment"}, "limit": 2},
    "notify_customer": {"email": "ana@example.com", "message": "It arrives on Thursday."},
    "open_ticket": {"email": "ana@example.com", "subject": "Colour", "body": "It is green.", "priority": "urgent"},
    "order_refunds": {"order_id": 1002},
    "recent_orders": {"email": "ana@example.com"},
    "refund_order": {"order_id": 1002, "amount_cents": 1},
}


def connect(kind, where, mode, headers):
    if kind == "stdio":
        return Client(StdioServerParameters(command=where, args=["mcp"], env={}), mode=mode)
    http = httpx2.AsyncClient(headers=headers, timeout=30)
    return Client(streamable_http_client(where, http_client=http), mode=mode)


async def lists(client):
    tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == TOOLS, tools
    for tool in tools:
        assert tool.description and tool.annotations.title, tool
        assert tool.annotations.read_only_hint == (tool.name in ("find_orders", "order_refunds", "recent_orders")), tool
        for schema in (tool.input_schema, tool.output_schema):
            assert schema["type"] == "object", schema
            Draft202012Validator.check_schema(schema)
    return {tool.name: tool for tool in tools}


async def calls_every_tool(client, tools):
    for name, arguments in CALLS.items():
        # The client itself checks `structured_content` against the output schema.
        result = await client.call_tool(name, arguments)
        assert not result.is_error and result.structured_content, (name, result)
        Draft202012Validator(tools[name].output_schema).validate(result.structured_content)


async def refunded(client, order):
    return (await client.call_tool("order_refunds", {"order_id": order})).structured_content["refunds"]


async def refunds_once(client, key):
    refund = {"order_id": 1004, "amount_cents": 100}
    before = len(await refunded(client, 1004))
    first = await client.call_tool("refund_order", refund, meta={KEY: key})
    again = await client.call_tool("refund_order", refund, meta={KEY: key})
    assert first.structured_content == again.structured_content, (first, again)
    assert first.meta == {KEY: key}, first.meta
    assert again.meta == {KEY: key, "operator/replayed": True}, again.meta
    assert len(await refunded(client, 1004)) == before + 1
    # The key belongs to that refund. It cannot be used for another request.
    other = await client.call_tool("refund_order", refund | {"amount_cents": 101}, meta={KEY: key})
    assert other.is_error and "used for a different request" in other.content[0].text, other
    # If the client sends no key, two calls are two refunds.
    keys = {(await client.call_tool("refund_order", refund)).meta[KEY] for _ in range(2)}
    assert len(keys) == 2 and len(await refunded(client, 1004)) == before + 3


async def names_each_wrong_input(client):
    wrong = await client.call_tool("recent_orders", {"email": 5, "limit": "ten", "page": 1})
    assert wrong.is_error and wrong.structured_content is None, wrong
    text = wrong.content[0].text
    for sentence in ["`email` must be text, and 5 was given.", "`limit` must be a whole number", "no input `page`"]:
        assert sentence in text, text
    problem = wrong.meta["operator/problem"]
    assert [error["input"] for error in problem["errors"]] == ["email", "limit", "page"], problem
    wrong = await client.call_tool("refund_order", {"amount_cents": 0})
    assert wrong.is_error and "`order_id` is missing." in wrong.content[0].text, wrong
    assert "`amount_cents` must be at least 1, and 0 was given." in wrong.content[0].text, wrong
    missing = await client.call_tool("order_refunds", {"order_id": 7})
    assert missing.is_error and missing.content[0].text.startswith("There is no order 7."), missing


async def refuses_what_is_no_call(client):
    for name, meta in [("refund", None), ("refund_order", {KEY: "a:b"}), ("refund_order", {KEY: 5})]:
        try:
            result = await client.call_tool(name, CALLS["refund_order"], meta=meta)
        except MCPError as error:
            assert error.error.code == -32602, error.error
        else:
            raise AssertionError(result)


async def main(kind, where, *token):
    headers = {"Authorization": f"Bearer {token[0]}"} if token else {}
    for mode in ("legacy", "auto"):
        async with connect(kind, where, mode, headers) as client:
            tools = await lists(client)
            await calls_every_tool(client, tools)
            await refunds_once(client, f"{kind}-{mode}")
            await names_each_wrong_input(client)
            await refuses_what_is_no_call(client)
            print(f"{kind}, {mode}: {client.protocol_version}")


anyio.run(main, *sys.argv[1:])
