from __future__ import annotations

from pathlib import Path

import pytest

from installer.answers import Answers, Sources, generate, read_answers_file, read_kept, resolve
from payload.errors import InputError
from payload.manifest import Answer

PORT = Answer(name="port", prompt="Port", default=8080)
TLS = Answer(name="tls", prompt="TLS", default=False)
SITE = Answer(name="site", prompt="Name of the site")
PASSWORD = Answer(name="password", prompt="Password", secret=True, generate=16)
TOKEN = Answer(name="token", prompt="Token", secret=True)
ALL = (PORT, TLS, SITE, PASSWORD, TOKEN)


def answer(sources: Sources, *questions: Answer) -> Answers:
    return resolve(ALL, questions, sources)


def test_defaults_and_generated_secrets() -> None:
    answers = answer(Sources(), PORT, TLS, PASSWORD)
    assert answers.values == {"port": 8080, "tls": False}
    assert answers.generated == ("password",)
    assert len(answers.secrets["password"]) == 16
    assert generate(16) != generate(16)


def test_file_wins_over_environment_over_stored_over_default() -> None:
    stored = Sources(stored={"port": 1})
    environment = Sources(stored={"port": 1}, environment={"SEALIFT_ANSWER_PORT": "2"})
    file = Sources(stored={"port": 1}, environment={"SEALIFT_ANSWER_PORT": "2"}, file={"port": 3})
    assert [answer(each, PORT).values["port"] for each in (stored, environment, file)] == [1, 2, 3]


def test_all_mistakes_at_once() -> None:
    sources = Sources(
        file={"port": "many", "tls": "perhaps", "colour": "red", "site": 5},
        environment={"SEALIFT_ANSWER_SHAPE": "round"},
    )
    with pytest.raises(InputError) as caught:
        answer(sources, *ALL)
    assert caught.value.details.splitlines() == [
        "SEALIFT_ANSWER_SHAPE (environment): no such question",
        "colour: no such question",
        "port: must be a whole number, not 'many'",
        "site: must be a text in quotes",
        "tls: must be yes or no, not 'perhaps'",
        "token: needs an answer (Token)",
    ]


def test_secret_by_file_and_kept_secret(tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from a file\n")
    (tmp_path / "password").write_text("kept before\n")
    sources = Sources(environment={"SEALIFT_ANSWER_TOKEN_FILE": str(tmp_path / "given")}, kept=read_kept(tmp_path, ALL))
    answers = answer(sources, PASSWORD, TOKEN)
    assert (answers.secrets, answers.generated) == ({"token": "from a file", "password": "kept before"}, ())
    assert "from a file" not in repr(answers) + repr(sources)


def test_questions_are_asked_except_what_can_be_generated() -> None:
    asked: list[str] = []

    def ask(question: Answer) -> str:
        asked.append(question.name)
        return {"port": "", "site": "north"}[question.name]

    answers = answer(Sources(ask=ask), PORT, SITE, PASSWORD)
    assert (answers.values, asked) == ({"port": 8080, "site": "north"}, ["port", "site"])


def test_file_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "answers.toml").write_text("port = = 1")
    with pytest.raises(InputError, match="cannot read answers"):
        read_answers_file(tmp_path / "answers.toml")
