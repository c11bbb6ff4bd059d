"""The manifest's questions and the operator's answers: from a file, the environment, a terminal, or defaults."""

from __future__ import annotations

import secrets
import string
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from installer.state import AnswerValue
from payload.errors import InputError
from payload.manifest import Answer

ENVIRONMENT_PREFIX = "SEALIFT_ANSWER_"
_ALPHABET = string.ascii_letters + string.digits
_TRUE, _FALSE = {"true", "yes", "y", "1", "on"}, {"false", "no", "n", "0", "off"}


@dataclass(frozen=True, slots=True)
class Answers:
    """`values` may be shown and stored; `secrets` never. `generated` names the secrets made by this run."""

    values: Mapping[str, AnswerValue]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    generated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """Where answers come from, most important first. `ask` is None when nobody is there to ask."""

    file: Mapping[str, object] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    stored: Mapping[str, AnswerValue] = field(default_factory=dict)
    """Of the installed release."""
    kept: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets that an earlier install wrote to their files."""
    ask: Callable[[Answer], str] | None = None


def read_answers_file(path: Path) -> dict[str, object]:
    """Read `answers.toml`.

    Raises:
        InputError: it cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            "answers-unreadable",
            f"cannot read answers from {path}",
            details=str(error),
            remedy='lines like: name = "value"',
        ) from error


def resolve(known: tuple[Answer, ...], questions: tuple[Answer, ...], sources: Sources) -> Answers:
    """Answer `questions`, which are those of the `known` ones that this run needs.

    Raises:
        InputError: answers are missing, unknown or of the wrong kind; `details` lists all of them.
    """
    problems = _unknown(known, sources)
    values: dict[str, AnswerValue] = {}
    hidden: dict[str, str] = {}
    generated: list[str] = []
    for question in questions:
        try:
            found = _one(question, sources)
        except ValueError as error:
            problems.append(f"{question.name}: {error}")
            continue
        if not question.secret:
            values[question.name] = found
            continue
        if found == "":
            generated.append(question.name)
            found = generate(question.generate or 0)
        hidden[question.name] = str(found)
    if problems:
        raise InputError(
            "answers-invalid",
            "the answers have mistakes",
            details="\n".join(sorted(problems)),
            remedy=f"give them by --config answers.toml or {ENVIRONMENT_PREFIX}NAME in the environment",
        )
    return Answers(values, hidden, tuple(generated))


def generate(length: int) -> str:
    """A random secret of letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def read_kept(folder: Path, questions: tuple[Answer, ...]) -> dict[str, str]:
    """Secrets that an earlier install generated and wrote to `folder`."""
    files = {question.name: folder / question.name for question in questions if question.generate}
    return {
        name: path.read_text(encoding="utf-8").removesuffix("\n")
        for name, path in files.items()
        if path.is_file() and not path.is_symlink()
    }


def _unknown(questions: tuple[Answer, ...], sources: Sources) -> list[str]:
    names = {question.name for question in questions}
    of_file = [f"{name}: no such question" for name in sources.file if name not in names]
    wanted = {ENVIRONMENT_PREFIX + name.upper() for name in names}
    wanted |= {f"{name}_FILE" for name in wanted}
    of_env = [name for name in sources.environment if name.startswith(ENVIRONMENT_PREFIX) and name not in wanted]
    return of_file + [f"{name} (environment): no such question" for name in of_env]


def _one(question: Answer, sources: Sources) -> AnswerValue:
    """The answer; an empty text for a secret that is to be generated."""
    given = _given(question, sources)
    if given is not None:
        return _typed(question, given)
    if question.secret and question.name in sources.kept:
        return sources.kept[question.name]
    if not question.secret and question.name in sources.stored:
        return _typed(question, sources.stored[question.name])
    if sources.ask is not None and not question.generate:
        return _asked(question, sources.ask)
    if question.default is not None:
        return question.default
    if question.generate:
        return ""
    raise ValueError(f"needs an answer ({question.prompt})")


def _given(question: Answer, sources: Sources) -> object | None:
    if question.name in sources.file:
        return sources.file[question.name]
    variable = ENVIRONMENT_PREFIX + question.name.upper()
    if variable in sources.environment:
        return sources.environment[variable]
    if (path := sources.environment.get(f"{variable}_FILE")) is not None:
        try:
            return Path(path).read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, ValueError) as error:
            raise ValueError(f"cannot read {path}: {error}") from error
    return None


def _asked(question: Answer, ask: Callable[[Answer], str]) -> AnswerValue:
    text = ask(question)
    if text == "" and question.default is not None:
        return question.default
    return _typed(question, text)


def _typed(question: Answer, given: object) -> AnswerValue:
    """`given` as the kind of value that the question's default has; text when it has none."""
    if isinstance(question.default, bool):
        word = str(given).lower()
        if word in _TRUE | _FALSE:
            return word in _TRUE
        raise ValueError(f"must be yes or no, not {given!r}")
    if isinstance(question.default, int):
        if not isinstance(given, bool) and str(given).lstrip("-").isdigit():
            return int(str(given))
        raise ValueError(f"must be a whole number, not {given!r}")
    if not isinstance(given, str):
        raise ValueError("must be a text in quotes")
    if "\n" in given or "\0" in given:
        raise ValueError("must be one line")
    if question.secret and given == "":
        raise ValueError("must not be empty")
    return given
