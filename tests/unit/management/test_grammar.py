"""The shell's grammar: words to calls."""

import shlex

import pytest

from management.cli.catalogue import Verb
from management.cli.errors import CliError
from management.cli.grammar import parse

QUERY_PARAMETERS = {
    "conditions": "list",
    "fields": "list",
    "limit": "int",
    "start": "int",
    "count": "bool",
    "sortBy": "string",
}
QUERY = Verb.of(
    "QueryL3Network",
    {
        "message": "org.zstack.header.network.l3.APIQueryL3NetworkMsg",
        "needsSession": True,
        "parameters": {name: {"kind": kind, "required": False} for name, kind in QUERY_PARAMETERS.items()},
        "secrets": [],
        "inventory": "L3NetworkInventory",
        "help": "",
    },
)
OTHER = Verb.of(
    "AttachNetworkServiceToL3Network",
    {
        "message": "x.APIAttachMsg",
        "needsSession": True,
        "parameters": {
            "networkServices": {"kind": "json", "required": True},
            "uuids": {"kind": "list", "required": False},
            "sshPort": {"kind": "int", "required": False},
        },
        "secrets": [],
        "help": "",
    },
)


def test_the_transcript_with_its_trailing_comma() -> None:
    words = shlex.split("fields=l2NetworkUuid, uuid=1a82c2691978476fa6cefa36bb9d4bfd")
    assert parse(QUERY, words).fields == {
        "conditions": [{"name": "uuid", "op": "=", "value": "1a82c2691978476fa6cefa36bb9d4bfd"}],
        "fields": ["l2NetworkUuid"],
    }


@pytest.mark.parametrize(
    ("word", "op", "value"),
    [
        ("name=a=b", "=", "a=b"),
        ("name!=a", "!=", "a"),
        ("name>a", ">", "a"),
        ("name<a", "<", "a"),
        ("name>=a", ">=", "a"),
        ("name<=a", "<=", "a"),
        ("name?=a,b", "in", "a,b"),
        ("name!?=a,b", "not in", "a,b"),
        ("name~=a", "like", "%a%"),
        ("name~=a%", "like", "a%"),
        ("name!~=a_", "not like", "a_"),
        ("name=null", "is null", ""),
        ("name!=null", "is not null", ""),
        ("vmNics.ip=1.2.3.4", "=", "1.2.3.4"),
        ("name=", "=", ""),
    ],
)
def test_operators(word: str, op: str, value: str) -> None:
    (condition,) = parse(QUERY, [word]).fields["conditions"]
    assert (condition["op"], condition["value"]) == (op, value)


def test_values_follow_their_kind() -> None:
    services = '{"5d21":["DHCP","DNS"]}'
    fields = parse(OTHER, [f"networkServices={services}", "uuids=a, b,", "sshPort=22", "name=x y"]).fields
    assert fields == {
        "networkServices": {"5d21": ["DHCP", "DNS"]},
        "uuids": ["a", "b"],
        "sshPort": 22,
        "name": "x y",
    }
    assert parse(OTHER, ["networkServices={'a': ['b']}"]).fields["networkServices"] == {"a": ["b"]}


@pytest.mark.parametrize(
    ("verb", "word"),
    [
        (QUERY, "name"),
        (QUERY, "=x"),
        (QUERY, "limit=many"),
        (QUERY, "limit>3"),
        (OTHER, "name>3"),
        (OTHER, "networkServices=__import__('os')"),
    ],
)
def test_mistakes(verb: Verb, word: str) -> None:
    with pytest.raises(CliError):
        parse(verb, [word])
