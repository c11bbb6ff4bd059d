"""No secret of the corpus stays; what is none does."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.support.redaction import REMOVED, Redactor

SECRET = "s3cr3t,Wert"
KEY = "MC4CAQAwBQYDK2VwBCIEIDvDcmVxDHbPRgrmAbDPpPg6wVWSvS6eHqhE6dBDjZZ1"
CORPUS = [
    f'password = "{SECRET}"',
    f"password = '{SECRET}'",
    f"admin_password={SECRET}",
    f'{{"user": "joe", "password": "{SECRET}", "port": 1}}',
    f'{{"apiKey":"{SECRET}"}}',
    f"export DB_PASSWORD={SECRET}",
    f"SEALIFT_ANSWER_ADMIN_PASSWORD={SECRET}",
    f"  passwd: {SECRET}",
    f"db.password: {SECRET}",
    f'tokens = ["a", "{SECRET}"]',
    f'secrets = [\n  "one",\n  "{SECRET}",\n]',
    f"client-secret: {SECRET}",
    f"aws_secret_access_key = {SECRET}",
    f"passphrase => '{SECRET}'",
    f"pwd={SECRET};server=db",
    f"postgresql://sealift:{SECRET}@db.example/sealift",
    f"http://:{SECRET}@proxy:3128/",
    f"amqp://user:p@{SECRET}@host/",
    f"Authorization: Bearer {SECRET}",
    f"authorization: Basic {SECRET}",
    f"Proxy-Authorization: Digest username=x, response={SECRET}",
    f"Cookie: session={SECRET}; other=1",
    f"Set-Cookie: sid={SECRET}",
    f"X-Api-Key: {SECRET}",
    f"curl -H 'X-Auth-Token: {SECRET}' http://h/",
    f"bearer {SECRET.replace(',', '.')}",
    f"<password>{SECRET}</password>",
    f'<db:Password type="plain">{SECRET}</db:Password>',
    f"machine h login u password {SECRET}",
    f"CREATE USER x IDENTIFIED BY '{SECRET}'",
    f"ALTER ROLE x WITH LOGIN PASSWORD '{SECRET}'",
    f"mysql --password {SECRET} -h db",
    f"tool --api-key={SECRET}",
    f'"session": {{"uuid": "{SECRET}"}}',
    f"sessionUuid={SECRET}",
    f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\n{KEY}\n",
    f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{KEY}\n-----END ENCRYPTED PRIVATE KEY-----\nafter",
    "root:$6$saltsalt$s3cr3tWertHash/abc.:19000:0:99999:7:::",
    "joe:$y$j9T$s3cr3tWert$hash:19000::::::",
    "hash $argon2id$v=19$m=65536,t=3,p=4$s3cr3tWert$abc",
    "id AKIAS3CR3TWERTXXXXXX",
    "ghp_s3cr3tWertAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "glpat-s3cr3tWertAAAAAAAAAAA",
    "xoxb-s3cr3tWert-AAAAAAAAAAAA",
    "eyJhbGciOiJIUzI1NiJ9.s3cr3tWertAAAA.sig",
    "AGE-SECRET-KEY-1S3CR3TWERT",
]
HARMLESS = [
    "sealift-server 1.1.0 started on port 8080",
    'listen_address = "127.0.0.1"',
    "the password of admin is set",
    "http://127.0.0.1:8080/healthz answers",
    "Nov 25 03:12:16 host sshd[12]: Server listening on 0.0.0.0 port 22.",
    "sha256:413da5422b2e43cac4a6be94c3196fc97819c10a9d0f0c02ffbce52c7db93daa",
    'management_ip = "10.0.0.5"',
    "bypass = 1",
    "compass: north",
    "author = somebody",
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----",
]


@pytest.mark.parametrize("text", CORPUS, ids=lambda text: f"{CORPUS.index(text)}")
def test_no_secret_of_the_corpus_stays(text: str) -> None:
    redactor = Redactor()
    result = redactor(f"before\n{text}\nafter")
    for part in ("s3cr3t", "S3CR3T", "Wert", KEY):
        assert part not in result
    assert result.startswith("before\n")
    assert REMOVED in result
    assert redactor.removed > 0


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor()(text) == text


def test_the_rest_of_a_json_document_stays() -> None:
    text = json.dumps({"user": "joe", "password": SECRET, "port": 8080})
    assert json.loads(Redactor()(text).replace(REMOVED, f'"{REMOVED}"')) == {
        "user": "joe",
        "password": REMOVED,
        "port": 8080,
    }


@given(value=st.text(min_size=4).filter(lambda value: value not in REMOVED), before=st.text(), after=st.text())
def test_a_known_value_never_stays(value: str, before: str, after: str) -> None:
    blind = value.encode("utf-8", "replace").decode()
    encoded = base64.b64encode(blind.encode()).decode().rstrip("=")
    for form in (blind, json.dumps(blind), encoded):
        result = Redactor([blind])(f"{before} {form} {after}")
        assert form.strip('"') not in result.replace(REMOVED, "")
